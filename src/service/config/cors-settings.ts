/** Which web pages may call, and which headers they may send. */
import { Config, Schema } from "effect";

const listed = (text: string): ReadonlyArray<string> => text.split(",").flatMap((item) => item.trim() || []);

/**
 * Why a browser never sends this as its `Origin`; undefined if it may. An origin is scheme, host and a port that is not
 * the scheme's default, in lower case and with nothing after it.
 */
const originProblem = (text: string): string | undefined => {
  // Sandboxed frames and local files send "null".
  if (text === "*" || text === "null") return undefined;
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || url.host === "" || !text.includes("://")) {
    return `${JSON.stringify(text)} is no origin: write it as https://app.example.com, with scheme and without a path`;
  }
  if (text.includes("*")) {
    return `${JSON.stringify(text)} would match nothing: a star stands alone, for every origin; list each one`;
  }
  // For schemes that URL does not know, such as an extension's, it reports no origin.
  const origin = url.origin === "null" ? `${url.protocol}//${url.host}` : url.origin;
  return text === origin
    ? undefined
    : `${JSON.stringify(text)} would match nothing: browsers send ${JSON.stringify(origin)}`;
};

const origins = Schema.String.check(
  Schema.makeFilter((text) => listed(text).flatMap((origin) => originProblem(origin) ?? [])[0] ?? true),
);

const headerNames = Schema.String.check(
  Schema.makeFilter((text) => {
    const wrong = listed(text).find((name) => !/^[\w!#$%&'*+.^`|~-]+$/.test(name) || name === "*");
    return wrong === undefined || `${JSON.stringify(wrong)} is no header's name: list names, separated by commas`;
  }),
);

export const corsSettings = {
  corsOrigins: Config.schema(origins, "MLXD_CORS_ORIGINS").pipe(Config.withDefault(""), Config.map(listed)),
  corsHeaders: Config.schema(headerNames, "MLXD_CORS_HEADERS").pipe(Config.withDefault(""), Config.map(listed)),
};
