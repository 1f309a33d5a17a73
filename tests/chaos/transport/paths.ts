/** A unary RPC without side effects. */
export const GET_HEALTH = "/treasury.v1.Health/GetHealth";

/** A server-streaming RPC that waits for news. */
export const WATCH_HEALTH = "/treasury.v1.Health/WatchHealth";
