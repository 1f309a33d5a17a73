import { Buffer } from "node:buffer";
import { once } from "node:events";
import net from "node:net";
import { eventually } from "../../support/condition.ts";
import { CONNECTION_START, grpcCall, RawHttp2Client } from "../../support/http2_client.ts";
import { goaway, rstStream } from "../../support/http2_client_frames.ts";
import { GET_HEALTH, WATCH_HEALTH } from "./paths.ts";

/** The ports of a server; they differ only where it has one for each version of HTTP. */
export interface Ports {
  readonly port: number;
  readonly http1Port: number;
}

/** A client that connects, asks something, and leaves in its own way. */
export type Departure = (server: Ports) => Promise<void>;

/** Every protocol x when the client leaves x how it leaves, by name. */
export function departures(): Map<string, Departure> {
  const all = new Map<string, Departure>();
  for (const moment of ["answered", "mid-call", "mid-stream"] as const) {
    for (const manner of ["polite", "reset", "killed"] as const) {
      all.set(`HTTP/2 ${moment} ${manner}`, ({ port }) => leaveHttp2(port, moment, manner));
      all.set(`HTTP/1.1 ${moment} ${manner}`, ({ http1Port }) => {
        return leaveHttp1(http1Port, moment, manner);
      });
    }
    for (const manner of ["goaway", "cancelled"] as const) {
      all.set(`HTTP/2 ${moment} ${manner}`, ({ port }) => leaveHttp2(port, moment, manner));
    }
  }
  return all;
}

type Moment = "answered" | "mid-call" | "mid-stream";
/**
 * `polite` says GOAWAY and ends its side, `goaway` says it and is gone, `cancelled` resets its
 * streams (RST_STREAM) and ends its side, `reset` has TCP reset the connection, `killed` is gone.
 */
type Manner = "polite" | "goaway" | "cancelled" | "reset" | "killed";

/**
 * Calls on a connection, all open at once: as many as the server allows. Without its
 * frame guard it survived clients with 16 calls on Deno 2.9.6, and died of those with 64 and 100.
 */
const CALLS = 100;
const WATCHES = 4;

async function leaveHttp2(port: number, moment: Moment, manner: Manner): Promise<void> {
  await using client = await RawHttp2Client.connect(port);
  const path = moment === "mid-stream" ? WATCH_HEALTH : GET_HEALTH;
  const streams = Array.from(
    { length: moment === "mid-stream" ? WATCHES : CALLS },
    (_, index) => grpcCall(1 + 2 * index, path),
  );
  client.socket.write(Buffer.concat([CONNECTION_START, ...streams]));
  await client.until(
    {
      "answered": () => client.endedStreams === CALLS,
      "mid-call": () => client.endedStreams > 0,
      "mid-stream": () => client.answeredStreams === WATCHES,
    }[moment],
  );
  if (manner === "polite" || manner === "goaway") client.socket.write(goaway());
  if (manner === "cancelled") {
    client.socket.write(Buffer.concat(streams.map((_, index) => rstStream(1 + 2 * index))));
  }
  await leave(client.socket, manner);
}

const HTTP1_CALL = http1Request(GET_HEALTH, "application/json", "{}");
const HTTP1_WATCH = http1Request(WATCH_HEALTH, "application/connect+json", "\0\0\0\0\x02{}");

async function leaveHttp1(port: number, moment: Moment, manner: Manner): Promise<void> {
  const socket = net.connect({ port, host: "127.0.0.1", noDelay: true });
  socket.on("error", () => {});
  await once(socket, "connect");
  socket.write(
    {
      "answered": HTTP1_CALL,
      "mid-call": HTTP1_CALL + HTTP1_CALL.slice(0, -1),
      "mid-stream": HTTP1_WATCH,
    }[moment],
  );
  // A server that dies closes without a word.
  await Promise.race([once(socket, "data"), once(socket, "close")]);
  socket.resume();
  await leave(socket, manner);
}

function http1Request(path: string, contentType: string, body: string): string {
  return `POST ${path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: ${contentType}\r\n` +
    `content-length: ${body.length}\r\n\r\n${body}`;
}

async function leave(socket: net.Socket, manner: Manner): Promise<void> {
  if (manner === "polite" || manner === "cancelled") socket.end();
  else if (manner === "reset") socket.resetAndDestroy();
  else socket.destroy();
  await eventually(() => socket.closed, { what: "the server closes a connection that is left" });
}
