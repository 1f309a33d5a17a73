import assert from "node:assert/strict";
import { ServiceStatus } from "../../gen/treasury/v1/health_pb.ts";
import { eventually } from "../support/condition.ts";
import { FaultProxy } from "../support/fault_proxy.ts";
import { startPostgres } from "../support/postgres.ts";
import { DatabaseUnderLoad } from "./database/database_under_load.ts";

const HOST = "database.test";

/** Resolves the host's name as a test wants it. */
class NameService {
  /** What becomes of a question. */
  answer: () => Promise<{ address: string }[]>;
  readonly #address: string;

  constructor(address: string) {
    this.#address = address;
    this.answer = this.known;
  }

  readonly lookup = (host: string) => {
    assert.equal(host, HOST);
    return this.answer();
  };

  readonly known = () => Promise.resolve([{ address: this.#address }]);

  /** As getaddrinfo fails. */
  readonly failing = (code: string) => () =>
    Promise.reject(Object.assign(new Error(`getaddrinfo ${code} ${HOST}`), { code }));

  readonly silent = () => new Promise<never>(() => {});
}

const faults = [
  ["does not exist any more", (names: NameService) => names.failing("ENOTFOUND")],
  ["cannot be looked up at the moment", (names: NameService) => names.failing("EAI_AGAIN")],
  ["gets no answer", (names: NameService) => names.silent],
] as const;

for (const [name, answerOf] of faults) {
  Deno.test(`under load: the host's name ${name}, and comes back`, async () => {
    await using server = await startPostgres({ settings: { synchronous_commit: "on" } });
    await using proxy = await FaultProxy.start(server.database);
    const names = new NameService(proxy.host);
    await using load = await DatabaseUnderLoad.start(server, {
      config: { hosts: [{ host: HOST, port: proxy.port }] },
      manager: { lookup: names.lookup },
    });
    await eventually(() => {
      const { open, connecting, max } = load.database.poolStats();
      return open === max && connecting === 0;
    }, { what: "no connection is still to be opened" });
    names.answer = answerOf(names);
    // Who is connected does not need the name.
    await load.transfers.more("committed", 20);
    await load.untilHealth(ServiceStatus.HEALTHY);

    proxy.endAll("reset");
    await load.untilHealth(ServiceStatus.UNHEALTHY, [
      "HOST_NOT_FOUND",
      "CONNECT_TIMEOUT",
      "PING_TIMEOUT",
    ]);
    await load.transfers.more("failed", 20);

    names.answer = names.known;
    await load.untilRecovered();
    await load.finish(server);
  });
}
