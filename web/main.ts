/// <reference lib="dom" />
// The status page: follows the health of the service that serves it.
import { createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-web";
import { Health } from "../gen/treasury/v1/health_pb.ts";
import { followHealth } from "./follow_health.ts";
import { StatusPage } from "./view/status_page.ts";

const page = new StatusPage(document);
setInterval(() => page.tick(), 1000);

await followHealth({
  client: createClient(Health, createConnectTransport({ baseUrl: location.origin })),
  isVisible: () => document.visibilityState === "visible",
  onHealth: (health) => page.showHealth(health),
  onEvents: (events) => page.showEvents(events),
  onLink: (link) => page.showLink(link),
});
