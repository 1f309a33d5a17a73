import { once } from "node:events";
import net from "node:net";
import { claimPort, type PortClaim } from "../../dev/postgres/free_port.ts";
import { eventually } from "./condition.ts";
import type { CutRule, Ending, Passage } from "./fault_proxy_cut.ts";
import {
  type CutPoint,
  Link,
  type LinkHost,
  type TrafficShape,
  untilClosed,
} from "./fault_proxy_link.ts";
import type { Direction } from "./fault_proxy_messages.ts";

export { afterBytes, type CutRule, type Ending, type Moment, onSql } from "./fault_proxy_cut.ts";
export type { TrafficShape } from "./fault_proxy_link.ts";
export type { Direction } from "./fault_proxy_messages.ts";

/**
 * What a new connection meets:
 *
 * - `pass`: the server;
 * - `refuse`: nobody listens on the port;
 * - `close`: it is accepted and closed at once;
 * - `black-hole`: it is accepted and never answered, and never reaches the server.
 *
 * Connections that are open stay as they are.
 */
export type ProxyMode = "pass" | "refuse" | "close" | "black-hole";

/** Counted since the start of the proxy, but for `open`. */
export interface ProxyStats {
  /** Connections that the client has not closed. */
  readonly open: number;
  /** Connections that were accepted, in whatever mode. */
  readonly total: number;
  /** Bytes that have been forwarded. */
  readonly bytesToServer: number;
  readonly bytesToClient: number;
  /** CancelRequest messages of clients that were let through to the server. */
  readonly cancelRequests: number;
}

/** A cut that has been ordered; disposing it takes the order back. */
export interface Cut extends Disposable {
  /**
   * Resolves when a connection has been cut.
   *
   * @throws {Error} When none is within half a minute.
   */
  happened(): Promise<void>;
}

const PORT_ATTEMPTS = 10;

/**
 * A network with faults, between clients and one PostgreSQL: a TCP proxy on 127.0.0.1 whose port
 * stays the same whatever happens. Faults are set while it runs, and they can be combined.
 *
 * A client is accepted before the server is asked, so while the server is down its connection is
 * ended; to have it refused, use the mode. Encrypted connections pass, but `onSql` cuts and the
 * count of cancel requests cannot see into them.
 *
 * ```ts
 * await using proxy = await FaultProxy.start(server.database);
 * const database = new DatabaseManager(server.config({ hosts: [proxy.address] }));
 * const cut = proxy.cut(onSql("commit", "answer"));
 * await assert.rejects(transfer()); // it is committed, and its caller cannot know
 * await cut.happened();
 * ```
 */
export class FaultProxy implements AsyncDisposable {
  readonly host = "127.0.0.1";
  readonly port: number;
  /** Keeps the port while the proxy refuses. */
  readonly #claim: PortClaim;
  readonly #target: { readonly host: string; readonly port: number };
  readonly #links = new Set<Link>();
  /** Client sockets, also of connections that are not linked to the server. */
  readonly #clients = new Set<net.Socket>();
  readonly #cuts = new Set<{ rule: CutRule; ending: Ending; onCut: () => void }>();
  readonly #counts = { total: 0, toServer: 0, toClient: 0, cancelRequests: 0 };
  #mode: ProxyMode = "pass";
  #shape: TrafficShape = {};
  #listener: net.Server;

  private constructor(
    target: { host: string; port: number },
    claim: PortClaim,
    listener: net.Server,
  ) {
    this.#target = target;
    this.#claim = claim;
    this.port = claim.port;
    this.#listener = this.#serve(listener);
  }

  static async start(target: { host: string; port: number }): Promise<FaultProxy> {
    for (let attempt = 1;; attempt++) {
      const claim = await claimPort();
      try {
        return new FaultProxy(target, claim, await listen(claim.port));
      } catch (error) {
        await claim[Symbol.asyncDispose]();
        // Another process can take the port between the look and our own bind.
        if ((error as { code?: string }).code !== "EADDRINUSE" || attempt === PORT_ATTEMPTS) {
          throw error;
        }
      }
    }
  }

  /** Where clients connect to, as an entry of the configuration's `hosts`. */
  get address(): { readonly host: string; readonly port: number } {
    return { host: this.host, port: this.port };
  }

  get mode(): ProxyMode {
    return this.#mode;
  }

  get stats(): ProxyStats {
    return {
      open: this.#clients.size,
      total: this.#counts.total,
      bytesToServer: this.#counts.toServer,
      bytesToClient: this.#counts.toClient,
      cancelRequests: this.#counts.cancelRequests,
    };
  }

  /** Says what new connections meet; it is so when the promise resolves. */
  async setMode(mode: ProxyMode): Promise<void> {
    const before = this.#mode;
    this.#mode = mode;
    if (mode === before) return;
    if (mode === "refuse") await this.#stopListening();
    else if (before === "refuse") this.#listener = this.#serve(await listen(this.port));
  }

  /** Slows down all connections, open and new ones; `{}` ends that. */
  shape(shape: TrafficShape): void {
    this.#shape = shape;
  }

  /**
   * Forwards nothing more on the connections that are open now, one way or both ways, until
   * {@linkcode resume}: no data, no close, no reset. With the mode `black-hole` for new
   * connections, that is a partitioned network.
   */
  silence(direction: Direction | "both" = "both"): void {
    for (const link of this.#links) {
      if (direction !== "toClient") link.silence("toServer");
      if (direction !== "toServer") link.silence("toClient");
    }
  }

  /** Undoes {@linkcode silence}; what was held back is forwarded first. */
  resume(): void {
    for (const link of this.#links) link.resume();
  }

  /** Ends all connections that are open now, on both sides. */
  endAll(ending: Ending): void {
    for (const link of this.#links) link.end(ending);
    for (const client of this.#clients) {
      if (ending === "reset") client.resetAndDestroy();
      else client.destroy();
    }
  }

  /**
   * Orders the cut of one connection: the first one, open or new, that comes to the point that
   * `rule` describes. Others go on.
   *
   * ```ts
   * proxy.cut(afterBytes("toClient", 100));
   * proxy.cut(onSql("commit", "answer"), "close");
   * ```
   */
  cut(rule: CutRule, ending: Ending = "reset"): Cut {
    let isCut = false;
    const cut = { rule, ending, onCut: () => void (isCut = true) };
    this.#cuts.add(cut);
    const happened = async () => void await eventually(() => isCut, { what: "a cut happens" });
    return { happened, [Symbol.dispose]: () => void this.#cuts.delete(cut) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.setMode("refuse");
    const closed = [
      ...[...this.#links].map(({ closed }) => closed),
      ...[...this.#clients].map(untilClosed),
    ];
    this.endAll("close");
    await Promise.all(closed);
    await this.#claim[Symbol.asyncDispose]();
  }

  async #stopListening(): Promise<void> {
    this.#listener.close();
    // Deno lets go of the port some time later; the event "close" waits for all connections.
    await eventually(() => isRefused(this.port), { what: `port ${this.port} refuses` });
  }

  #serve(listener: net.Server): net.Server {
    return listener.on("connection", (client) => this.#accept(client));
  }

  #accept(client: net.Socket): void {
    if (this.#mode === "refuse") return void client.destroy(); // it came while the port closed
    this.#counts.total++;
    this.#clients.add(client);
    client.on("error", () => {}); // "close" follows
    for (const event of ["end", "close"]) client.once(event, () => this.#clients.delete(client));
    if (this.#mode === "close") client.destroy();
    else if (this.#mode === "black-hole") client.resume().once("end", () => client.destroy());
    else this.#connect(client);
  }

  #connect(client: net.Socket): void {
    const server = net.connect({ ...this.#target, allowHalfOpen: true, noDelay: true });
    const link = new Link(client, server, this.#linkHost());
    this.#links.add(link);
    void link.closed.then(() => this.#links.delete(link));
  }

  #linkHost(): LinkHost {
    return {
      shape: () => this.#shape,
      inspect: (passage) => {
        const cancels = passage.messages.filter(({ type }) => type === "CancelRequest");
        this.#counts.cancelRequests += cancels.length;
        return this.#cutPoint(passage);
      },
      onForwarded: (direction, bytes) => void (this.#counts[direction] += bytes),
    };
  }

  #cutPoint(passage: Passage): CutPoint | undefined {
    for (const cut of this.#cuts) {
      const offset = cut.rule(passage);
      if (offset === undefined) continue;
      this.#cuts.delete(cut);
      return { offset, ending: cut.ending, onCut: cut.onCut };
    }
    return undefined;
  }
}

async function isRefused(port: number): Promise<boolean> {
  try {
    (await Deno.connect({ hostname: "127.0.0.1", port })).close();
    return false;
  } catch (error) {
    return error instanceof Deno.errors.ConnectionRefused;
  }
}

async function listen(port: number): Promise<net.Server> {
  const listener = net.createServer({ allowHalfOpen: true, noDelay: true });
  listener.listen(port, "127.0.0.1");
  await once(listener, "listening");
  return listener;
}
