import http from "node:http";
import { Duplex } from "node:stream";

const CHUNK_BYTES = 64 * 1024;

/**
 * Connects to the Docker engine's Unix socket by Deno's own means.
 *
 * Deno 2.9.3 closed each Unix socket of node:net twice. When another thread, such as that of
 * another test file, opened something between the two, the second one closed that: a process could
 * not be spawned ("Bad file descriptor"), or a connection fell silent. Deno 2.9.6 closes them once
 * (strace: no EBADF for 40 connections, where 2.9.3 had 81), so this can go when a whole run on a
 * Docker engine has passed without it.
 */
export class DockerAgent extends http.Agent {
  override createConnection(
    options: http.ClientRequestArgs,
    done: (error: Error | null, stream: Duplex) => void,
  ): Duplex | null | undefined {
    const { socketPath } = options;
    if (typeof socketPath !== "string") return super.createConnection(options, done);
    Deno.connect({ transport: "unix", path: socketPath }).then(
      (connection) => done(null, new UnixStream(connection)),
      done as (error: Error) => void,
    );
    return undefined;
  }
}

/** A Unix socket as what node:http takes for a socket. */
class UnixStream extends Duplex {
  readonly #connection: Deno.UnixConn;

  constructor(connection: Deno.UnixConn) {
    super({ allowHalfOpen: false });
    this.#connection = connection;
  }

  override _read(): void {
    const chunk = new Uint8Array(CHUNK_BYTES);
    this.#connection.read(chunk).then(
      (count) => this.push(count === null ? null : chunk.subarray(0, count)),
      (error) => this.destroy(error),
    );
  }

  override _write(chunk: Uint8Array, _encoding: string, done: (error?: Error) => void): void {
    writeAll(this.#connection, chunk).then(() => done(), done);
  }

  override _final(done: (error?: Error) => void): void {
    this.#connection.closeWrite().then(() => done(), done);
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#connection.close();
    done(error);
  }

  // What node:http calls on a net.Socket: with the end of the answer, and to set what is not wanted.
  destroySoon = () => this.destroy();
  setKeepAlive = () => this;
  setNoDelay = () => this;
  setTimeout = () => this;
  ref = () => this;
  unref = () => this;
}

async function writeAll(connection: Deno.UnixConn, chunk: Uint8Array): Promise<void> {
  for (let written = 0; written < chunk.length;) {
    written += await connection.write(chunk.subarray(written));
  }
}
