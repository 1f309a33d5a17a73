export { addReflection } from "./reflection.ts";
export { Server, type ServerOptions } from "./server.ts";
