export { combineObservers, type Observers } from "./observers.ts";
export { createTracing, type Tracing, type TracingOptions } from "./tracing.ts";
