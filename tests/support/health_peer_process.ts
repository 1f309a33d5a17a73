// A healthy gRPC service as a process of its own, for tests that kill it. Its port is its argument.
import { HealthCheckResponse_ServingStatus as ServingStatus } from "../../gen/grpc/health/v1/health_pb.ts";
import { healthRoutes, startHttp2Peer } from "./health_peers.ts";

const port = Number(Deno.args[0]);
await startHttp2Peer(healthRoutes(() => ServingStatus.SERVING), { port });
console.log("listening");
