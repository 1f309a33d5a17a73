import { once } from "node:events";
import http2 from "node:http2";

/** A client's HTTP/2 session, for requests that no RPC client would send. */
export class Http2Session implements AsyncDisposable {
  readonly session: http2.ClientHttp2Session;

  /** Connects by prior knowledge to `http:` URLs, and by ALPN to `https:` URLs. */
  constructor(url: URL, options: http2.SecureClientSessionOptions = {}) {
    this.session = http2.connect(url, options);
    this.session.on("error", () => {});
  }

  request(header: http2.OutgoingHttpHeaders): http2.ClientHttp2Stream {
    const stream = this.session.request(header);
    stream.on("error", () => {});
    return stream;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.session.destroyed) return;
    const closed = once(this.session, "close");
    this.session.destroy();
    await closed;
  }
}
