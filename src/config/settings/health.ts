import { grpcDependencies } from "../values/grpc_dependencies.ts";
import { seconds } from "../values/value_type.ts";
import type { Setting } from "./setting.ts";

/** What is checked, how often, and how long a check may take. */
export const healthSettings = {
  DB_HEALTH_CHECK_INTERVAL: {
    meaning: "Time between background health checks.",
    type: seconds(),
    default: "30",
    starter: true,
  },
  DB_PING_TIMEOUT: {
    meaning: "Maximum time for the database to answer a health check.",
    type: seconds(),
    default: "5",
    starter: true,
  },
  HEALTH_GRPC_DEPENDENCIES: {
    meaning: "gRPC services that this service depends on. A dependency is critical by default; " +
      "without a service name, the check asks for the health of the whole server.",
    type: grpcDependencies,
    example: "ledger-service=http://localhost:50051," +
      "fx=https://fx.internal:443?critical=false&service=fx.v1.Rates",
    confidential: true,
  },
  HEALTH_GRPC_TIMEOUT: {
    meaning: "Maximum time for a gRPC dependency to answer a health check.",
    type: seconds(),
    default: "5",
  },
  HEALTH_WATCH_HEARTBEAT: {
    meaning: "Interval at which WatchHealth repeats the current health if it has not changed.",
    type: seconds(),
    default: "30",
  },
} satisfies Record<string, Setting>;
