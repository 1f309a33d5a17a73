import { createHash, X509Certificate } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { ConfigError, readTlsMaterial, type TlsFiles, type TlsMaterial } from "../config/mod.ts";
import type { Logger } from "../log/mod.ts";

/** Files and interval of a {@linkcode TlsReloader}. */
export interface TlsReloaderOptions {
  /** The certificates in use at the start. */
  readonly material: TlsMaterial;
  /** The files to check; undefined: never reload. */
  readonly files: TlsFiles | undefined;
  /** Applies new certificates to connections that are accepted from now on. */
  readonly apply: (material: TlsMaterial) => void;
  readonly logger: Logger;
  /**
   * Time between two checks of the files, in milliseconds.
   *
   * @default 2_000
   */
  readonly intervalMs?: number | undefined;
}

const DEFAULT_INTERVAL_MS = 2_000;

/** Content of a file, or the error of reading it. */
type FileText = { readonly text: string } | { readonly error: unknown };

/**
 * Reloads the certificate of the port when its files change. An invalid pair of certificate and key
 * is logged once, and the previous pair stays in use.
 *
 * The files are read every few seconds rather than watched: certbot replaces symbolic links, a
 * Kubernetes volume replaces the folder they point to (`..data`), other tools rename or overwrite
 * them, and watchers miss some of these. A change must be seen twice in the same form, so that a
 * half-written pair is not used.
 */
export class TlsReloader implements AsyncDisposable {
  readonly #options: TlsReloaderOptions;
  readonly #stop = new AbortController();
  #running: Promise<void> | undefined;
  #certificate: X509Certificate;
  /** Digests of the files in use, of the last invalid ones, and of those seen only once. */
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

  /** The certificate for new connections. */
  get certificate(): X509Certificate {
    return this.#certificate;
  }

  /** Starts to check the files, until disposal. */
  start(): void {
    const { files, logger } = this.#options;
    logger.info(
      { event: "tls.loaded", ...describe(this.#certificate) },
      "TLS certificate loaded",
    );
    if (files !== undefined) this.#running ??= this.#run(this.#stop.signal);
  }

  /** Checks the files once. Never rejects. */
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
        "The TLS files have changed but are not valid; the previous certificate stays in use",
      );
      return;
    }
    const isExpired = this.#certificate.validToDate.getTime() < Date.now();
    logger[isExpired ? "warn" : "info"](
      { event: "tls.reloaded", ...describe(this.#certificate) },
      `New connections use the changed TLS certificate${isExpired ? ", which has expired" : ""}`,
    );
  }
}

/** Subject and validity, for the log. */
function describe({ subject, serialNumber, validToDate }: X509Certificate) {
  return {
    subject: subject?.replaceAll("\n", ", ") ?? "",
    serial: serialNumber,
    expires_at: validToDate.toISOString(),
  };
}

/** Reads the files concurrently; returns their content by path. */
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

/** Identifies a state of the files without storing their text. */
function digestOf(files: readonly FileText[]): string {
  const parts = files.map((file) => "text" in file ? [file.text] : String(file.error));
  return createHash("sha256").update(JSON.stringify(parts)).digest("base64");
}
