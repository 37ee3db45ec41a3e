/** Where jobs are kept, and how many of their items run. */
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { Config, Context, Layer, Schema } from "effect";

import { wholeNumber } from "./whole-number.ts";

export interface JobsSettings {
  /** A directory for an embedded store, or the URL of a Postgres that several hosts share. */
  readonly store: string;
  /** Items of one model that this host runs at once. */
  readonly parallel: number;
}

/** Its host may stand among the parameters, as that of a socket does: `postgres://mlxd@/jobs?host=/run/postgresql`. */
const isPostgresUrl = (text: string): boolean =>
  /^postgres(ql)?:\/\//.test(text) && URL.canParse(text.replace("@/", "@localhost/"));

const storeText = Schema.String.check(
  Schema.isMaxLength(4096),
  Schema.makeFilter(
    (text) =>
      !/^[a-z][a-z0-9+.-]*:\/\//i.test(text) ||
      isPostgresUrl(text) ||
      "a directory, or a URL that begins with postgres://",
  ),
);

export const jobsSettings = Config.all({
  // A secret, as a URL may hold a password.
  store: Config.Redacted("MLXD_JOBS_STORE").pipe(
    Config.flatMap(() => Config.schema(storeText, "MLXD_JOBS_STORE")),
    Config.withDefault(""),
  ),
  home: Config.String("XDG_DATA_HOME").pipe(Config.withDefault("")),
  parallel: wholeNumber("MLXD_JOBS_PARALLEL", { minimum: 1, maximum: 256, fallback: 8 }),
}).pipe(
  Config.map(({ store, home, parallel }) => ({
    store: /^postgres(ql)?:\/\//.test(store) ? store : resolve(store || defaultDirectory(home)),
    parallel,
  })),
);

const defaultDirectory = (home: string): string => join(home || join(homedir(), ".local", "share"), "mlxd", "jobs");

export class JobsConfig extends Context.Service<JobsConfig, JobsSettings>()("mlxd/config/JobsConfig") {
  static readonly layer = Layer.effect(JobsConfig, jobsSettings);
}
