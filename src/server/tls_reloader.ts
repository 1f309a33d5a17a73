import { createHash, X509Certificate } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { ConfigError, readTlsMaterial, type TlsFiles, type TlsMaterial } from "../config/mod.ts";
import type { Logger } from "../log/mod.ts";

/** Settings of a {@linkcode TlsReloader}. */
export interface TlsReloaderOptions {
  /** What is in use from the start. */
  readonly material: TlsMaterial;
  /** undefined: nothing is ever read again. */
  readonly files: TlsFiles | undefined;
  /** Puts another one to use, for connections that are accepted from now on. */
  readonly apply: (material: TlsMaterial) => void;
  readonly logger: Logger;
  /**
   * Time from one look at the files to the next, in milliseconds.
   *
   * @default 2_000
   */
  readonly intervalMs?: number | undefined;
}

const DEFAULT_INTERVAL_MS = 2_000;

/** What a file holds, or why that is not known. */
type FileText = { readonly text: string } | { readonly error: unknown };

/**
 * Keeps the certificate of the port what its files say. A pair that cannot be used is logged once,
 * and the one from before stays in use.
 *
 * The files are read every few seconds rather than watched: certbot replaces symbolic links, a
 * Kubernetes volume replaces the folder that they lead to (`..data`), others rename or overwrite,
 * and watchers see some of these and not the others. Whatever has changed must look the same twice,
 * so that a pair of which half is written yet is no news.
 */
export class TlsReloader implements AsyncDisposable {
  readonly #options: TlsReloaderOptions;
  readonly #stop = new AbortController();
  #running: Promise<void> | undefined;
  #certificate: X509Certificate;
  /** Digests of what is in use, of what has failed, and of what has been seen only once. */
  #inUse: string;
  #failed: string | undefined;
  #seenOnce: string | undefined;

  constructor(options: TlsReloaderOptions) {
    this.#options = options;
    const { cert, key, clientCa } = options.material;
    this.#certificate = new X509Certificate(cert);
    const texts = [cert, key.reveal(), clientCa].filter((text) => text !== undefined);
    this.#inUse = digestOf(texts.map((text) => ({ text })));
  }

  /** The certificate that new connections get. */
  get certificate(): X509Certificate {
    return this.#certificate;
  }

  /** Begins to look at the files, until this is disposed. */
  start(): void {
    const { files, logger } = this.#options;
    logger.info(
      { event: "tls.loaded", ...describe(this.#certificate) },
      "Clients are shown this certificate",
    );
    if (files !== undefined) this.#running ??= this.#run(this.#stop.signal);
  }

  /** Looks at the files once. Never rejects. */
  async check(): Promise<void> {
    const { files } = this.#options;
    if (files === undefined) return;
    const texts = await readAll(files, this.#stop.signal);
    if (this.#stop.signal.aborted) return;
    const digest = digestOf([...texts.values()]);
    const isNews = digest !== this.#inUse && digest !== this.#failed;
    const isSettled = digest === this.#seenOnce;
    this.#seenOnce = isNews && !isSettled ? digest : undefined;
    if (digest === this.#inUse) this.#failed = undefined;
    if (isNews && isSettled) this.#take(files, texts, digest);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  async #run(signal: AbortSignal): Promise<void> {
    const { intervalMs = DEFAULT_INTERVAL_MS } = this.#options;
    while (!signal.aborted) {
      await delay(intervalMs, undefined, { signal }).catch(() => {});
      await this.check();
    }
  }

  #take(files: TlsFiles, texts: ReadonlyMap<string, FileText>, digest: string): void {
    const { apply, logger } = this.#options;
    try {
      const material = readTlsMaterial(files, (path) => textOf(texts.get(path)));
      const certificate = new X509Certificate(material.cert);
      apply(material);
      this.#certificate = certificate;
      this.#inUse = digest;
      this.#failed = undefined;
    } catch (err) {
      this.#failed = digest;
      const reasons = err instanceof ConfigError
        ? { problems: err.problems.map(({ setting, problem }) => `${setting}: ${problem}`) }
        : { err };
      logger.error(
        { event: "tls.reload_failed", ...describe(this.#certificate), ...reasons },
        "The files of TLS have changed and cannot be used; the certificate from before stays",
      );
      return;
    }
    const isExpired = this.#certificate.validToDate.getTime() < Date.now();
    logger[isExpired ? "warn" : "info"](
      { event: "tls.reloaded", ...describe(this.#certificate) },
      `New connections get another certificate${isExpired ? ", which has expired" : ""}`,
    );
  }
}

/** Who it is for, and how long; for the log. */
function describe({ subject, serialNumber, validToDate }: X509Certificate) {
  return {
    subject: subject?.replaceAll("\n", ", ") ?? "",
    serial: serialNumber,
    expires_at: validToDate.toISOString(),
  };
}

/** Reads the files at about the same time, by path. */
async function readAll(
  { cert, key, clientCa }: TlsFiles,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, FileText>> {
  const paths = [cert, key, clientCa].filter((path) => path !== undefined);
  const texts = await Promise.all(paths.map(async (path): Promise<[string, FileText]> => {
    try {
      return [path, { text: await Deno.readTextFile(path, { signal }) }];
    } catch (error) {
      return [path, { error }];
    }
  }));
  return new Map(texts);
}

function textOf(file: FileText | undefined): string {
  if (file !== undefined && "text" in file) return file.text;
  throw file?.error;
}

/** Tells one state of the files from another without keeping their text. */
function digestOf(files: readonly FileText[]): string {
  const parts = files.map((file) => "text" in file ? [file.text] : String(file.error));
  return createHash("sha256").update(JSON.stringify(parts)).digest("base64");
}
