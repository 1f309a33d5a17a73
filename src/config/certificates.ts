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

/**
 * The keys that rustls, the TLS library of Deno, can use. With any other, every handshake fails.
 *
 * Source: https://docs.rs/rustls/latest/rustls/manual/_04_features/index.html
 */
const USABLE_KEYS = "RSA of at least 2048 bits, ECDSA on P-256, P-384 or P-521, Ed25519";
/** OpenSSL's names of them. */
const USABLE_CURVES = new Set(["prime256v1", "secp384r1", "secp521r1"]);

/** The path in a setting; `undefined` when it is unset. */
interface FileSetting {
  readonly setting: SettingName;
  readonly path: string | undefined;
}

/** Reads and validates PEM files. It does not check expiry, which the peer does. */
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

  /** Reads a certificate and its private key. Either both are set or neither is. */
  readKeyPair(certFile: FileSetting, keyFile: FileSetting): KeyPair | undefined {
    if (certFile.path === undefined && keyFile.path === undefined) return undefined;
    this.#requireBoth(certFile, keyFile);
    const cert = this.#read(certFile);
    const certificate = cert === undefined ? undefined : this.#parseFirst(certFile, cert);
    const key = this.#read(keyFile);
    const privateKey = key === undefined ? undefined : this.#parseKey(keyFile, key);
    if (cert === undefined || key === undefined || !certificate || !privateKey) return undefined;
    if (!certificate.checkPrivateKey(privateKey)) {
      this.#report(
        keyFile.setting,
        `the key does not match the certificate of ${certFile.setting}`,
      );
    } else if (!isUsable(privateKey)) {
      this.#report(keyFile.setting, "TLS does not support this type of key", USABLE_KEYS);
    }
    return { cert, key: new Secret(key) };
  }

  #requireBoth(certFile: FileSetting, keyFile: FileSetting): void {
    for (const [file, other] of [[certFile, keyFile], [keyFile, certFile]] as const) {
      if (file.path === undefined) {
        this.#report(file.setting, `is not set, but ${other.setting} is; set both or neither`);
      }
    }
  }

  #read({ setting, path }: FileSetting): string | undefined {
    if (path === undefined) return undefined;
    return readTextFileOr(path, this.#readTextFile, (problem) => this.#report(setting, problem));
  }

  /** Parses every certificate of a file and returns the first: in a chain, the leaf. */
  #parseFirst({ setting }: FileSetting, pem: string): X509Certificate | undefined {
    const blocks = pem.match(/-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----/gs) ?? [];
    try {
      const [first] = blocks.map((block) => new X509Certificate(block));
      if (first === undefined) this.#report(setting, "the file contains no PEM certificate");
      return first;
    } catch {
      this.#report(setting, "the file contains an invalid PEM certificate");
      return undefined;
    }
  }

  #parseKey({ setting }: FileSetting, pem: string): KeyObject | undefined {
    try {
      return createPrivateKey(pem);
    } catch {
      // Without the cause, which may contain text of the key.
      this.#report(setting, "the file contains no unencrypted PEM private key");
      return undefined;
    }
  }
}

function isUsable({ asymmetricKeyType: type, asymmetricKeyDetails: details }: KeyObject): boolean {
  if (type === "rsa") return (details?.modulusLength ?? 0) >= 2048;
  if (type === "ec") return USABLE_CURVES.has(details?.namedCurve ?? "");
  return type === "ed25519";
}
