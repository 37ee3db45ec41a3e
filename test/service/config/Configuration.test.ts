import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, assert, beforeEach, describe, it } from "@effect/vitest";
import { Effect, Layer, Redacted } from "effect";

import { Configuration } from "../../../src/service/config/Configuration.ts";
import { DownloadConfig } from "../../../src/service/config/DownloadConfig.ts";
import { ModelsConfig } from "../../../src/service/config/ModelsConfig.ts";
import { ServerConfig } from "../../../src/service/config/ServerConfig.ts";
import { secretNames, settingNames } from "../../../src/service/config/settings.ts";

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "mlxd-configuration-"));
  mkdirSync(join(folder, "deep"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const write = (name: string, text: string) => writeFileSync(join(folder, name), text);

const layer = (args: ReadonlyArray<string>, environment: Record<string, string> = {}) =>
  Layer.mergeAll(ServerConfig.layer, ModelsConfig.layer("/bundled")).pipe(
    Layer.provide(Configuration.layer({ args, environment, workingDirectory: join(folder, "deep") })),
  );

const portOf = (args: ReadonlyArray<string>, environment?: Record<string, string>) =>
  Effect.map(ServerConfig, ({ port }) => port).pipe(Effect.provide(layer(args, environment)));
const refused = (args: ReadonlyArray<string>) => Effect.map(Effect.flip(portOf(args)), ({ message }) => message);

describe("the configuration", () => {
  it.effect("is the command line's over the environment's over the file's over the default", () =>
    Effect.gen(function* () {
      assert.equal(yield* portOf([]), 50051);
      write("mlxd.yaml", "service: {port: 1}\n");
      assert.equal(yield* portOf([]), 1);
      assert.equal(yield* portOf([], { MLXD_PORT: "" }), 1);
      assert.equal(yield* portOf([], { MLXD_PORT: "2" }), 2);
      assert.equal(yield* portOf(["--port", "3"], { MLXD_PORT: "2" }), 3);
      assert.equal(yield* portOf(["--port=4"]), 4);
    }),
  );

  it.effect("is in the file that the command line names, or the environment, or the nearest above", () =>
    Effect.gen(function* () {
      write("mlxd.yaml", "service: {port: 1}\n");
      write("other.yaml", "service: {port: 2}\n");
      write("third.yaml", "service: {port: 3}\n");
      assert.equal(yield* portOf([]), 1);
      assert.equal(yield* portOf([], { MLXD_CONFIG: "../other.yaml" }), 2);
      assert.equal(yield* portOf(["--config", "../third.yaml"], { MLXD_CONFIG: "../other.yaml" }), 3);
      assert.include(yield* refused(["--config", "gone.yaml"]), "gone.yaml: it cannot be read (ENOENT)");
    }),
  );

  it.effect("has the default model of INFERENCE_DEFAULT_MODEL where nothing else names one", () =>
    Effect.gen(function* () {
      const modelOf = (environment: Record<string, string>) =>
        Effect.map(ModelsConfig, ({ defaultModel }) => defaultModel).pipe(Effect.provide(layer([], environment)));
      assert.equal(yield* modelOf({ INFERENCE_DEFAULT_MODEL: "a" }), "a");
      assert.equal(yield* modelOf({ INFERENCE_DEFAULT_MODEL: "" }), "");
      assert.equal(yield* modelOf({ INFERENCE_DEFAULT_MODEL: "a", MLXD_DEFAULT_MODEL: "b" }), "b");
      write("mlxd.yaml", "service: {default_model: c}\n");
      assert.equal(yield* modelOf({ INFERENCE_DEFAULT_MODEL: "a" }), "c");
    }),
  );

  it.effect("takes from .env what the environment leaves open", () =>
    Effect.gen(function* () {
      write(".env", "MLXD_PORT=5\nFROM_FILE=6\n");
      assert.equal(yield* portOf([]), 5);
      assert.equal(yield* portOf([], { MLXD_PORT: "2" }), 2);
      write("mlxd.yaml", "service:\n  port: ${FROM_FILE}\n");
      write(".env", "FROM_FILE=6\n");
      assert.equal(yield* portOf([]), 6);
      assert.equal(yield* portOf([], { FROM_FILE: "7" }), 7);
    }),
  );

  it.effect("knows no option that there is not", () =>
    Effect.gen(function* () {
      assert.equal(yield* refused(["--prot", "1"]), "the command line: --prot: there is no such option; --port?");
      assert.equal(yield* refused(["--port"]), "the command line: --port: needs a value");
      assert.equal(yield* refused(["serve"]), "the command line: serve: there is nothing to do with this");
      assert.include(yield* refused(["--port", "many"]), "MLXD_PORT");
    }),
  );

  it.effect("takes a secret from the environment and the file, never from the command line", () =>
    Effect.gen(function* () {
      for (const args of [["--hf-token", "hf_secret"], ["--hf-token=hf_secret"], ["--hf-token"]]) {
        const message = yield* refused(args);
        assert.match(message, /--hf-token: is a secret.*set MLXD_HF_TOKEN, or hf_token in mlxd\.yaml/);
        assert.notInclude(message, "hf_secret");
      }
      const tokenOf = (environment: Record<string, string>) =>
        Effect.map(DownloadConfig, ({ token }) => token && Redacted.value(token)).pipe(
          Effect.provide(
            DownloadConfig.layer.pipe(
              Layer.provide(Configuration.layer({ args: [], environment, workingDirectory: folder })),
            ),
            { local: true },
          ),
        );
      assert.equal(yield* tokenOf({ MLXD_HF_TOKEN: "hf_a" }), "hf_a");
      write("mlxd.yaml", "service: {hf_token: hf_b}\n");
      assert.equal(yield* tokenOf({}), "hf_b");
    }),
  );

  it("knows every secret", () => {
    const sources = new URL("../../../src/service/config/", import.meta.url);
    const text = readdirSync(sources).map((file) => readFileSync(new URL(file, sources), "utf8"));
    const secrets = [...text.join("\n").matchAll(/Config\.Redacted\("(MLXD_[A-Z_]+)"\)/g)].map(([, name]) => name);
    assert.isNotEmpty(secrets);
    assert.deepEqual(secrets, [...secretNames]);
  });

  it.effect("reads the files anew when it is asked to", () =>
    Effect.gen(function* () {
      write("mlxd.yaml", "service: {default_model: a}\n");
      yield* Effect.gen(function* () {
        const config = yield* ModelsConfig;
        assert.deepInclude(config, { directory: "/bundled", defaultModel: "a" });
        write("mlxd.yaml", "service: {default_model: b, models: w}\n");
        const now = yield* config.reread ?? Effect.die("is missing");
        // The folder counts from the next start on.
        assert.deepInclude(now, { directory: "/bundled", defaultModel: "b" });
        write("mlxd.yaml", "service: {default_modle: b}\n");
        const error = yield* Effect.flip(config.reread ?? Effect.die("is missing"));
        assert.deepInclude(error, { _tag: "ConfigurationInvalid", line: 1, key: "service.default_modle" });
      }).pipe(Effect.provide(layer([])));
    }),
  );

  it("knows every variable that the sources name", () => {
    const sources = new URL("../../../src/service/config/", import.meta.url);
    const text = readdirSync(sources).map((file) => readFileSync(new URL(file, sources), "utf8"));
    const named = new Set(
      text
        .join("\n")
        .match(/"MLXD_[A-Z_]+"/g)
        ?.map((quoted) => quoted.slice(1, -1)),
    );
    for (const notASetting of ["MLXD_", "MLXD_CONFIG"]) named.delete(notASetting);
    assert.deepEqual([...named].toSorted(), [...settingNames]);
  });
});
