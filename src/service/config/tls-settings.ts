/** Whether the port speaks TLS, and whom it asks for a certificate. */
import { Config } from "effect";

export interface TlsSettings {
  /** PEM file of the server's certificate, with those between it and its authority. */
  readonly certificateFile: string;
  /** PEM file of its private key. */
  readonly keyFile: string;
  /** PEM file of the authorities whose client certificates count; undefined: no client is asked for one. */
  readonly clientAuthorityFile: string | undefined;
  /** Whether a client without a certificate is turned away, and not only unknown. */
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
