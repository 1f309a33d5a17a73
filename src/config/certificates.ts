import { createPrivateKey, type KeyObject, X509Certificate } from "node:crypto";
import type { Report } from "./config_error.ts";
import { type ReadTextFile, readTextFileOr } from "./files.ts";
import { Secret } from "./secret.ts";
import type { SettingName } from "./settings.ts";

/** A certificate chain and its key, as PEM text. */
export interface KeyPair {
  readonly cert: string;
  readonly key: Secret;
}

/** What rustls, which does TLS for Deno, takes; others would fail with each handshake. */
const USABLE_KEYS = "RSA from 2048 bits on, ECDSA on P-256, P-384 or P-521, Ed25519";

/** The path in a setting; `undefined` when it is unset. */
interface FileSetting {
  readonly setting: SettingName;
  readonly path: string | undefined;
}

/** Reads and checks PEM files. Whether a certificate has expired is left to the peer. */
export class CertificateReader {
  readonly #readTextFile: ReadTextFile;
  readonly #report: Report;

  constructor(readTextFile: ReadTextFile, report: Report) {
    this.#readTextFile = readTextFile;
    this.#report = report;
  }

  /** Reads one or more certificates. */
  readCertificates(file: FileSetting): string | undefined {
    const pem = this.#read(file);
    return pem !== undefined && this.#parseFirst(file, pem) ? pem : undefined;
  }

  /** Reads a certificate and the key that belongs to it: both or neither must be set. */
  readKeyPair(certFile: FileSetting, keyFile: FileSetting): KeyPair | undefined {
    if (certFile.path === undefined && keyFile.path === undefined) return undefined;
    this.#requireBoth(certFile, keyFile);
    const cert = this.#read(certFile);
    const certificate = cert === undefined ? undefined : this.#parseFirst(certFile, cert);
    const key = this.#read(keyFile);
    const privateKey = key === undefined ? undefined : this.#parseKey(keyFile, key);
    if (cert === undefined || key === undefined || !certificate || !privateKey) return undefined;
    if (!certificate.checkPrivateKey(privateKey)) {
      this.#report(keyFile.setting, `the key does not belong to ${certFile.setting}`);
    } else if (!isUsable(cert, key)) {
      this.#report(keyFile.setting, "TLS cannot use this kind of key", USABLE_KEYS);
    }
    return { cert, key: new Secret(key) };
  }

  #requireBoth(certFile: FileSetting, keyFile: FileSetting): void {
    for (const [file, other] of [[certFile, keyFile], [keyFile, certFile]] as const) {
      if (file.path === undefined) {
        this.#report(file.setting, `is not set, but ${other.setting} is; they go together`);
      }
    }
  }

  #read({ setting, path }: FileSetting): string | undefined {
    if (path === undefined) return undefined;
    return readTextFileOr(path, this.#readTextFile, (problem) => this.#report(setting, problem));
  }

  /** Checks every certificate of a file and returns the first, the owner's in a chain. */
  #parseFirst({ setting }: FileSetting, pem: string): X509Certificate | undefined {
    const blocks = pem.match(/-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----/gs) ?? [];
    try {
      const [first] = blocks.map((block) => new X509Certificate(block));
      if (first === undefined) this.#report(setting, "the file holds no PEM certificate");
      return first;
    } catch {
      this.#report(setting, "the file holds a broken PEM certificate");
      return undefined;
    }
  }

  #parseKey({ setting }: FileSetting, pem: string): KeyObject | undefined {
    try {
      return createPrivateKey(pem);
    } catch {
      // The cause stays out: it is not known to be free of the key's text.
      this.#report(setting, "the file holds no PEM private key without a passphrase");
      return undefined;
    }
  }
}

/** Only TLS itself says so, and this is the one place where it does at once: nothing is opened. */
function isUsable(cert: string, key: string): boolean {
  try {
    Deno.createHttpClient({ cert, key }).close();
    return true;
  } catch {
    return false;
  }
}
