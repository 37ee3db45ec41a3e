/** The keys that entries registered by calls may name: only the operator can say which server gets which key. */
import { Config, Schema } from "effect";

export interface CatalogKey {
  /** A variable of the service's environment. */
  readonly variable: string;
  /** The host, with a port unless it is the protocol's own, that the key may be sent to. */
  readonly host: string;
}

const keysFrom = (text: string): ReadonlyArray<CatalogKey> =>
  text
    .split(",")
    .map((part) => part.trim())
    .filter((part) => part !== "")
    .map((part) => {
      const at = part.indexOf("@");
      return { variable: part.slice(0, Math.max(0, at)), host: part.slice(at + 1).toLowerCase() };
    });

const keys = Schema.String.check(
  Schema.makeFilter(
    (text) =>
      keysFrom(text).every(
        ({ variable, host }) =>
          /^[A-Za-z_][A-Za-z0-9_]{0,127}$/.test(variable) && URL.parse(`http://${host}`)?.host === host,
      ) || "VARIABLE@HOST or VARIABLE@HOST:PORT, separated by commas",
  ),
);

export const catalogKeys = Config.schema(keys, "MLXD_CATALOG_KEYS").pipe(Config.map(keysFrom), Config.withDefault([]));

/**
 * Why a registered backend may not have its key; undefined if it may, or names none. A provider's own key goes to the
 * provider without being listed.
 *
 * @param providerKey the variable of the engine's own key
 */
export const keyRefusal = (
  declaration: Readonly<Record<string, unknown>>,
  allowed: ReadonlyArray<CatalogKey>,
  providerKey: string | undefined,
): string | undefined => {
  const { api_key_variable: variable, base_url: baseUrl } = declaration;
  if (typeof variable !== "string" || (variable === providerKey && baseUrl === undefined)) return undefined;
  const host = typeof baseUrl === "string" ? URL.parse(baseUrl)?.host : undefined;
  if (allowed.some((key) => key.variable === variable && key.host === host)) return undefined;
  // The value is not repeated: it may be a key by mistake.
  return `this key is not sent there: the operator allows it by MLXD_CATALOG_KEYS=VARIABLE@${host ?? "HOST"}`;
};
