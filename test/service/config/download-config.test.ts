import { homedir } from "node:os";
import { join } from "node:path";
import { assert, describe, it } from "@effect/vitest";
import { ConfigProvider, Effect, Redacted } from "effect";

import { DownloadConfig } from "../../../src/service/config/DownloadConfig.ts";

const read = (environment: Record<string, string>) =>
  DownloadConfig.pipe(
    Effect.provide(DownloadConfig.layer, { local: true }),
    Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromEnv({ env: environment })),
  );

describe("the settings of downloads", () => {
  it.effect("have defaults", () =>
    Effect.gen(function* () {
      assert.deepEqual(yield* read({}), {
        endpoint: "https://huggingface.co",
        token: undefined,
        offline: false,
        concurrency: 4,
        cacheDirectory: join(homedir(), ".cache/huggingface/hub"),
      });
    }),
  );

  it.effect("find the hub's cache as its own clients do", () =>
    Effect.gen(function* () {
      const directoryOf = (environment: Record<string, string>) =>
        Effect.map(read(environment), ({ cacheDirectory }) => cacheDirectory);
      assert.strictEqual(yield* directoryOf({ XDG_CACHE_HOME: "/c" }), "/c/huggingface/hub");
      assert.strictEqual(yield* directoryOf({ XDG_CACHE_HOME: "/c", HF_HOME: "/h" }), "/h/hub");
      assert.strictEqual(yield* directoryOf({ HF_HOME: "/h", HF_HUB_CACHE: "/k" }), "/k");
      assert.strictEqual(yield* directoryOf({ HF_HOME: "~/h" }), join(homedir(), "h/hub"));
      assert.strictEqual(yield* directoryOf({ HF_HOME: "", XDG_CACHE_HOME: "/c" }), "/c/huggingface/hub");
    }),
  );

  it.effect("take the hub's own variables, and the service's before them", () =>
    Effect.gen(function* () {
      const hub = { HF_TOKEN: "hf_a", HF_ENDPOINT: "http://mirror.example:8080/hub//", HF_HUB_OFFLINE: "1" };
      const settings = yield* read(hub);
      assert.deepInclude(settings, { endpoint: "http://mirror.example:8080/hub", offline: true });
      assert.strictEqual(settings.token && Redacted.value(settings.token), "hf_a");
      const own = yield* read({ ...hub, MLXD_HF_TOKEN: "hf_b", MLXD_OFFLINE: "false" });
      assert.strictEqual(own.token && Redacted.value(own.token), "hf_b");
      assert.isFalse(own.offline);
      assert.isUndefined((yield* read({ HF_TOKEN: "" })).token);
    }),
  );

  it.effect.each([
    { HF_ENDPOINT: "ftp://hub.example" },
    { HF_ENDPOINT: "https://user:secret@hub.example" },
    { HF_ENDPOINT: "https://hub.example/?x=1" },
    { HF_ENDPOINT: "hub.example" },
    { MLXD_DOWNLOAD_CONCURRENCY: "0" },
    { MLXD_DOWNLOAD_CONCURRENCY: "65" },
    { MLXD_OFFLINE: "perhaps" },
  ])("refuse %j by name", (environment) =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(read(environment));
      assert.include(error.message, Object.keys(environment).join());
      assert.notInclude(error.message, "hf_");
    }),
  );
});
