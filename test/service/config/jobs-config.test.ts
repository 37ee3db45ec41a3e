import { assert, describe, it } from "@effect/vitest";
import { ConfigProvider, Effect } from "effect";

import { JobsConfig } from "../../../src/service/config/JobsConfig.ts";

const read = (environment: Record<string, string>) =>
  JobsConfig.pipe(
    Effect.provide(JobsConfig.layer, { local: true }),
    Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromEnv({ env: environment })),
  );

describe("the settings of jobs", () => {
  it.effect("have a directory of the user's data by default", () =>
    Effect.gen(function* () {
      assert.deepEqual(yield* read({ XDG_DATA_HOME: "/data" }), { store: "/data/mlxd/jobs", parallel: 8 });
      assert.match((yield* read({})).store, /\/\.local\/share\/mlxd\/jobs$/);
    }),
  );

  it.effect.each([
    "postgres://mlxd:secret@db.example:5432/jobs?sslmode=require",
    "postgresql://db.example/jobs",
    // Over a socket, as Postgres itself writes it.
    "postgres://mlxd@/jobs?host=/run/postgresql",
    "postgres:///jobs?host=/run/postgresql",
  ])("take the Postgres %s", (store) =>
    Effect.gen(function* () {
      assert.strictEqual((yield* read({ MLXD_JOBS_STORE: store })).store, store);
    }),
  );

  it.effect.each(["mysql://db/jobs", "postgres://[", "https://db.example", "Postgres://db/jobs"])(
    "refuse %s, and do not repeat it",
    (store) =>
      Effect.gen(function* () {
        const error = yield* Effect.flip(read({ MLXD_JOBS_STORE: store }));
        assert.include(String(error), "a URL that begins with postgres://");
        assert.notInclude(String(error), store);
      }),
  );
});
