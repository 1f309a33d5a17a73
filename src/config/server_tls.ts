import { CertificateReader } from "./certificates.ts";
import type { ServerTlsConfig, TlsFiles, TlsMaterial } from "./config.ts";
import { ConfigError, type ConfigProblem, type Report } from "./config_error.ts";
import type { ReadTextFile } from "./files.ts";
import type { ReadSettings } from "./read_settings.ts";

/** Reads the TLS settings of the listening port; `undefined` if TLS is off. */
export function readServerTls(
  { values, isSet }: ReadSettings,
  certificates: CertificateReader,
  report: Report,
): ServerTlsConfig | undefined {
  const { TLS_CERT_FILE: cert, TLS_KEY_FILE: key, TLS_CLIENT_CA_FILE: clientCa } = values;
  if (clientCa === undefined && isSet("TLS_CLIENT_AUTH")) {
    report("TLS_CLIENT_CA_FILE", "is not set, but TLS_CLIENT_AUTH requires it");
  }
  if (clientCa !== undefined && cert === undefined && key === undefined) {
    report("TLS_CERT_FILE", "is not set, but TLS_CLIENT_CA_FILE requires it");
  }
  const material = readMaterial({ cert, key, clientCa }, certificates);
  if (material === undefined || cert === undefined || key === undefined) return undefined;
  return { ...material, clientAuth: values.TLS_CLIENT_AUTH, files: { cert, key, clientCa } };
}

/**
 * Reads and validates the TLS files of the listening port again, after they have changed.
 *
 * @throws {ConfigError} If a file is invalid. It lists all problems, each with its setting.
 */
export function readTlsMaterial(files: TlsFiles, readTextFile: ReadTextFile): TlsMaterial {
  const problems: ConfigProblem[] = [];
  const certificates = new CertificateReader(readTextFile, (setting, problem, allowed) => {
    problems.push({ setting, problem, allowed });
  });
  const material = readMaterial(files, certificates);
  if (material === undefined || problems.length > 0) throw new ConfigError(problems);
  return material;
}

function readMaterial(
  { cert, key, clientCa }: { readonly [F in keyof TlsFiles]: string | undefined },
  certificates: CertificateReader,
): TlsMaterial | undefined {
  const pair = certificates.readKeyPair(
    { setting: "TLS_CERT_FILE", path: cert },
    { setting: "TLS_KEY_FILE", path: key },
  );
  const clientCaFile = { setting: "TLS_CLIENT_CA_FILE", path: clientCa } as const;
  const clientCaPem = certificates.readCertificates(clientCaFile);
  return pair && { ...pair, clientCa: clientCaPem };
}
