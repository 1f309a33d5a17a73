import { CertificateReader } from "./certificates.ts";
import type { ServerTlsConfig, TlsFiles, TlsMaterial } from "./config.ts";
import { ConfigError, type ConfigProblem, type Report } from "./config_error.ts";
import type { ReadTextFile } from "./files.ts";
import type { ReadSettings } from "./read_settings.ts";

/** Reads how the listening port does TLS; `undefined`: it does none. */
export function readServerTls(
  { values, isSet }: ReadSettings,
  certificates: CertificateReader,
  report: Report,
): ServerTlsConfig | undefined {
  const { TLS_CERT_FILE: cert, TLS_KEY_FILE: key, TLS_CLIENT_CA_FILE: clientCa } = values;
  if (clientCa === undefined && isSet("TLS_CLIENT_AUTH")) {
    report("TLS_CLIENT_CA_FILE", "is not set, but TLS_CLIENT_AUTH is; they go together");
  }
  if (clientCa !== undefined && cert === undefined && key === undefined) {
    report("TLS_CERT_FILE", "is not set, but TLS_CLIENT_CA_FILE needs it");
  }
  const material = readMaterial({ cert, key, clientCa }, certificates);
  if (material === undefined || cert === undefined || key === undefined) return undefined;
  return { ...material, clientAuth: values.TLS_CLIENT_AUTH, files: { cert, key, clientCa } };
}

/**
 * Reads and checks the files of the listening port once more.
 *
 * @throws {ConfigError} Lists every problem at once, by the names of the settings.
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
