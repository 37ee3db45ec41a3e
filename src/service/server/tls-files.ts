/** Reads and checks the TLS files before connections depend on them. */
import { constants, X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { createSecureContext, type SecureContextOptions } from "node:tls";
import { Result, Schema } from "effect";

import type { TlsSettings } from "../config/tls-settings.ts";

/** The service cannot use the configured TLS files. */
export class TlsUnusable extends Schema.TaggedError<TlsUnusable>()("TlsUnusable", {
  /** The variable that names the faulty file. */
  setting: Schema.String,
  problem: Schema.String,
}) {
  override get message(): string {
    return `${this.setting}: ${this.problem}`;
  }
}

export interface TlsContext extends SecureContextOptions {
  /** When the server's certificate expires, in epoch milliseconds. */
  readonly expiresAt: number;
}

export const readTls = (settings: TlsSettings): Result.Result<TlsContext, TlsUnusable> =>
  Result.try({
    try: () => readAll(settings),
    catch: (cause) => {
      if (cause instanceof TlsUnusable) return cause;
      throw cause;
    },
  });

/** Throws TlsUnusable. */
const readAll = (settings: TlsSettings): TlsContext => {
  const { certificateFile, keyFile, clientAuthorityFile } = settings;
  const cert = read("MLXD_TLS_CERT", certificateFile);
  const key = read("MLXD_TLS_KEY", keyFile);
  const ca = clientAuthorityFile === undefined ? undefined : read("MLXD_TLS_CLIENT_CA", clientAuthorityFile);
  const expiresAt = Date.parse(certificate("MLXD_TLS_CERT", cert).validTo);
  if (ca !== undefined) certificate("MLXD_TLS_CLIENT_CA", ca);
  const context: SecureContextOptions = {
    cert,
    key,
    ...(ca !== undefined && { ca }),
    minVersion: "TLSv1.2",
    // A resumed session is not verified again: with tickets, a client whose authority was removed could go on
    // connecting.
    secureOptions: constants.SSL_OP_NO_RENEGOTIATION | (ca === undefined ? 0 : constants.SSL_OP_NO_TICKET),
  };
  try {
    createSecureContext(context);
  } catch (cause) {
    const { code = "" } = cause as { readonly code?: string };
    const problem = code.includes("MISMATCH")
      ? "it is not the key of the certificate"
      : `it is no usable key (${code})`;
    throw new TlsUnusable({ setting: "MLXD_TLS_KEY", problem });
  }
  return { ...context, expiresAt };
};

const read = (setting: string, path: string): string => {
  if (path === "") throw new TlsUnusable({ setting, problem: "is not set, and TLS takes a certificate and its key" });
  try {
    return readFileSync(path, "utf8");
  } catch (cause) {
    const { code = "unknown error" } = cause as NodeJS.ErrnoException;
    throw new TlsUnusable({ setting, problem: `the file cannot be read (${code})` });
  }
};

const certificate = (setting: string, pem: string): X509Certificate => {
  try {
    return new X509Certificate(pem);
  } catch {
    throw new TlsUnusable({ setting, problem: "the file begins with no certificate in PEM" });
  }
};
