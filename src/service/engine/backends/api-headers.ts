/** The headers of every request to a backend. */
import { Redacted } from "effect";

import type { BackendSettings } from "../../config/read-backends.ts";
import { speaksMessages } from "../../domain/backend-presets.ts";
import { versions } from "../../config/versions.ts";

export const apiHeaders = ({
  apiKey,
  engine,
}: Pick<BackendSettings, "apiKey" | "engine">): Readonly<Record<string, string>> => {
  const key = apiKey === undefined ? undefined : Redacted.value(apiKey);
  const agent = { "user-agent": `mlxd/${versions.mlxd}` };
  return speaksMessages(engine)
    ? { ...agent, "anthropic-version": "2023-06-01", ...(key !== undefined && { "x-api-key": key }) }
    : { ...agent, ...(key !== undefined && { authorization: `Bearer ${key}` }) };
};

/** Removes the key from a server's text, which may repeat it. */
export const withoutKey = (said: string, { apiKey }: Pick<BackendSettings, "apiKey">): string => {
  const key = apiKey === undefined ? "" : Redacted.value(apiKey);
  return key === "" ? said : said.replaceAll(key, "<key>");
};
