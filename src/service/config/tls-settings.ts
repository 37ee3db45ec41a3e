/** Whether the port speaks TLS, and whether clients need certificates. */
import { Config } from "effect";

export interface TlsSettings {
  /** PEM file of the server's certificate and the intermediate certificates. */
  readonly certificateFile: string;
  /** PEM file of its private key. */
  readonly keyFile: string;
  /** PEM file of the authorities for client certificates; undefined: clients are not asked for one. */
  readonly clientAuthorityFile: string | undefined;
  /** Whether clients without a certificate are rejected, instead of being unauthenticated. */
  readonly requiresClientCertificate: boolean;
}

const path = (name: string) => Config.String(name).pipe(Config.withDefault(""));

export const tlsSettings = Config.all({
  certificateFile: path("MLXD_TLS_CERT"),
  keyFile: path("MLXD_TLS_KEY"),
  clientAuthorityFile: path("MLXD_TLS_CLIENT_CA"),
  clientCertificate: Config.Literals(["optional", "required"], "MLXD_TLS_CLIENT_CERT").pipe(
    Config.withDefault("optional" as const),
  ),
}).pipe(
  Config.map(({ certificateFile, keyFile, clientAuthorityFile, clientCertificate }): TlsSettings | undefined =>
    certificateFile === "" && keyFile === "" && clientAuthorityFile === ""
      ? undefined
      : {
          certificateFile,
          keyFile,
          clientAuthorityFile: clientAuthorityFile === "" ? undefined : clientAuthorityFile,
          requiresClientCertificate: clientCertificate === "required",
        },
  ),
);
