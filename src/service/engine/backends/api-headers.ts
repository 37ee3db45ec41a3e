/** The headers that every request to a backend has. */
import { Redacted } from "effect";

import type { BackendSettings } from "../../config/read-backends.ts";
import { versions } from "../../config/versions.ts";

export const apiHeaders = ({ apiKey }: Pick<BackendSettings, "apiKey">): Readonly<Record<string, string>> => ({
  "user-agent": `mlxd/${versions.mlxd}`,
  ...(apiKey !== undefined && { authorization: `Bearer ${Redacted.value(apiKey)}` }),
});
