export { addReflection } from "./reflection.ts";
export { type Expose, metricsPage, MetricsServer } from "./metrics.ts";
export type { ReadField, RpcCall, RpcObserver, RunningRpc } from "./rpc/mod.ts";
export { type Handler } from "./handler.ts";
export { Server, type ServerOptions } from "./server.ts";
export { statusPage } from "./status_page.ts";
