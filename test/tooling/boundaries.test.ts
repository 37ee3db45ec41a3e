import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, assert, beforeAll, describe, it } from "vitest";

const root = fileURLToPath(new URL("../..", import.meta.url));

/** Files of a make-believe checkout and what the linter must say about each; code for one file adds up. */
const refused: readonly (readonly [file: string, code: string, message: string])[] = [
  ["src/service/domain/sibling.ts", `import "../config/Limits.ts";`, "domain/ may not import config/"],
  ["src/service/domain/package.ts", `import "node:fs";`, "domain/ imports effect only"],
  ["src/service/prompt/telemetry.ts", `import "../telemetry/log.ts";`, "prompt/ may not import telemetry/"],
  ["src/service/prompt/config.ts", `import "../config/Limits.ts";`, "prompt/ may not import config/"],
  ["src/service/output/prompt.ts", `import "../prompt/Tokenizer.ts";`, "output/ may not import prompt/"],
  ["src/service/config/engine.ts", `import "../engine/Engine.ts";`, "config/ may not import engine/"],
  ["src/service/telemetry/engine.ts", `import "../engine/Engine.ts";`, "telemetry/ may not import engine/"],
  ["src/service/engine/mlx/up.ts", `import "../../pipeline/generate.ts";`, "engine/ may not import pipeline/"],
  ["src/service/engine/side.ts", `import "../models/catalog.ts";`, "engine/ may not import models/"],
  ["src/service/admission/side.ts", `import "../models/catalog.ts";`, "admission/ may not import models/"],
  ["src/service/models/up.ts", `import "../pipeline/generate.ts";`, "models/ may not import pipeline/"],
  ["src/service/pipeline/up.ts", `import "../rpc/errors.ts";`, "pipeline/ may not import rpc/"],
  ["src/service/pipeline/type.ts", `export type { A } from "../jobs/Jobs.ts";`, "pipeline/ may not import jobs/"],
  ["src/service/jobs/up.ts", `await import("../rpc/errors.ts");`, "jobs/ may not import rpc/"],
  ["src/service/checkpoint/up.ts", `import "../models/catalog.ts";`, "checkpoint/ may not import models/"],
  ["src/service/sandbox/up.ts", `import "../models/catalog.ts";`, "sandbox/ may not import models/"],
  ["src/service/engine/sandbox.ts", `import "../sandbox/Sandbox.ts";`, "engine/ may not import sandbox/"],
  ["src/service/rpc/up.ts", `import "../server/listener.ts";`, "rpc/ may not import server/"],
  ["src/service/rpc/detour.ts", `import "../../service/server/listener.ts";`, "rpc/ may not import server/"],

  ["src/service/engine/mlx/load.ts", `import "@frost-beta/mlx";`, "only src/service/worker loads MLX"],
  [
    "src/service/engine/require.ts",
    `import { createRequire } from "node:module";`,
    "only src/service/worker loads MLX",
  ],
  ["scripts/require.ts", `import { createRequire } from "node:module";`, "only src/service/worker loads MLX"],
  ["src/service/main.ts", `import "@frost-beta/mlx";`, "only src/service/worker loads MLX"],
  ["scripts/measure.ts", `import "@frost-beta/mlx";`, "only src/service/worker loads MLX"],
  ["test/service/engine/expects.test.ts", `import { expect } from "vitest"; void expect;`, "tests use assert"],
  ["test/service/worker/expects.test.ts", `import { expect } from "@effect/vitest"; void expect;`, "tests use assert"],
  ["test/service/engine/load.test.ts", `import "@frost-beta/mlx";`, "only src/service/worker loads MLX"],
  ["src/service/engine/mlx/inside.ts", `import "../../worker/scheduler.ts";`, "only worker/protocol/ is imported"],
  ["src/service/wiring.ts", `import "./worker/main.ts";`, "only worker/protocol/ is imported"],
  ["src/service/models/inside.ts", `import "../worker/cache/protocol.ts";`, "only worker/protocol/ is imported"],
  [
    "test/integration/inside.test.ts",
    `import "../../src/service/worker/main.ts";`,
    "only worker/protocol/ is imported",
  ],
  ["src/service/worker/out.ts", `import "../domain/generation-task.ts";`, "worker/ may not import domain/"],
  ["src/service/worker/architectures/out.ts", `import "../../prompt/stop.ts";`, "worker/ may not import prompt/"],
  [
    "src/service/worker/layers/up.ts",
    `import "../architectures/llama.ts";`,
    "layers may not import worker/architectures",
  ],
  ["src/service/worker/cache/up.ts", `import "../scheduler/batch.ts";`, "cache may not import worker/scheduler"],
  ["src/service/worker/files/up.ts", `import "../checkpoint.ts";`, "files may not import worker/checkpoint.ts"],
  ["src/service/worker/files/domain.ts", `import "../../domain/errors.ts";`, "worker/ may not import domain/"],
  [
    "src/service/worker/checkpoint.ts",
    `import "./scheduler/batch.ts";`,
    "checkpoint.ts may not import worker/scheduler",
  ],
  ["src/service/models/names/up.ts", `import "../catalog/catalog.ts";`, "names may not import models/catalog"],
  ["src/service/models/memory/up.ts", `import "../Models.ts";`, "memory may not import models/Models.ts"],
  ["src/service/models/memory/mlx.ts", `import "@frost-beta/mlx";`, "only src/service/worker loads MLX"],
  ["src/service/worker/effect.ts", `import "effect";`, "no effect in src/client but in its effect/"],
  ["src/service/worker/module.ts", `import "effect/Stream";`, "no effect in src/client but in its effect/"],

  ["src/service/pipeline/connect.ts", `import "@connectrpc/connect";`, "Connect stays in rpc/, server/ and src/client"],
  ["src/service/wire/connect.ts", `import "@connectrpc/connect";`, "Connect stays in rpc/, server/ and src/client"],
  ["src/service/main.ts", `import "@connectrpc/connect-node";`, "Connect stays in rpc/, server/ and src/client"],
  [
    "src/service/pipeline/gen.ts",
    `import "../../client/gen/mlxd/v1/types_pb.ts";`,
    "only wire/, rpc/ and server/ import",
  ],
  ["src/service/rpc/client.ts", `import "../../client/errors.ts";`, "only wire/, rpc/ and server/ import"],
  ["src/client/effect.ts", `import "effect";`, "no effect in src/client but in its effect/"],
  ["src/client/node.ts", `import "effect/Stream";`, "no effect in src/client but in its effect/"],
  ["src/client/file.ts", `import "node:fs";`, "node: modules only in node.ts and node/ of the client"],
  ["src/client/transport.ts", `import "@connectrpc/connect-node";`, "only node.ts and node/ of the client need Node"],
  ["src/client/ai.ts", `import "@ai-sdk/provider";`, "only ai-sdk/ of the client needs the AI SDK"],
  ["src/client/effect/ai.ts", `import "ai";`, "only ai-sdk/ of the client needs the AI SDK"],
  ["src/client/ai-sdk/effect.ts", `import "effect";`, "no effect in src/client but in its effect/"],
  ["src/client/grpc-js.ts", `import "@grpc/grpc-js";`, "only grpc/ of the client needs grpc-js"],
  ["src/client/grpc/node.ts", `import "@connectrpc/connect-node";`, "only node.ts and node/ of the client need Node"],
  ["src/client/service.ts", `import "../service/domain/errors.ts";`, "src/client knows nothing of src/service"],
  ["src/client/node.ts", `import "../service/domain/errors.ts";`, "src/client knows nothing of src/service"],
  ["src/service/rpc/test.ts", `import "../../../test/support/tools.ts";`, "src imports no test and no script"],
  ["src/service/rpc/cli.ts", `import "../../cli/print.ts";`, "nothing imports src/cli"],
  ["src/client/cli.ts", `import "../cli/print.ts";`, "nothing imports src/cli"],

  ["src/cli/commands/gen.ts", `import "../../client/gen/mlxd/v1/types_pb.ts";`, "of src/client only node.ts"],
  ["src/cli/errors.ts", `import "../client/errors.ts";`, "of src/client only node.ts"],
  ["src/cli/domain.ts", `import "../service/domain/errors.ts";`, "talks to the service through src/client"],
  ["src/cli/connect.ts", `import "@connectrpc/connect";`, "Connect stays in rpc/, server/ and src/client"],
  ["src/cli/effect.ts", `import "effect";`, "no effect in src/client but in its effect/"],
  ["src/cli/env.ts", `export const color = process.env["NO_COLOR"];`, "only config/ reads the environment"],

  ["src/service/server/port.ts", `export const port = process.env["PORT"];`, "only config/ reads the environment"],
  ["src/service/main.ts", `const { env } = process; void env;`, "only config/ reads the environment"],
  ["src/service/worker/env.ts", `import { env } from "node:process"; void env;`, "only config/ reads the environment"],
  ["src/service/models/env.ts", `import { Config } from "effect"; void Config;`, "only config/ reads the environment"],
  ["src/client/env.ts", `export const url = globalThis.process;`, "only config/ reads the environment"],

  ["src/service/models/ring.ts", `export * from "./ring-back.ts";`, "Dependency cycle detected"],
  ["src/service/models/ring-back.ts", `import "./ring.ts";`, "Dependency cycle detected"],
  ["src/service/models/promise.ts", `const f = async () => 1; f();`, "Promises must be awaited"],
  ["src/service/models/any.ts", `export const a = (b: any) => String(b);`, "Unexpected `any`"],
  ["src/service/models/bang.ts", `export const a = (b: { c?: string }) => b.c!;`, "non-null assertion"],
  ["src/service/models/console.ts", `console.log(1);`, "Unexpected console statement"],
  ["src/service/models/unused.ts", `const unused = 1;`, "'unused' is declared but never used"],
  [
    "src/service/pipeline/order.ts",
    `import "./a.ts"; import "effect";`,
    "a package belongs before that of an own file",
  ],
  ["src/service/server/order.ts", `import "effect"; import "node:http";`, "Node belongs before that of a package"],
];

/** What the same rules must let pass; other findings about these unresolvable snippets do not count. */
const allowed: readonly (readonly [file: string, code: string])[] = [
  ["src/service/engine/mlx/protocol.ts", `import "../../worker/protocol/to-worker.ts";`],
  ["src/service/engine/openai/sibling.ts", `import "../mlx/restart.ts"; import "../../domain/errors.ts";`],
  ["src/service/models/engine.ts", `import "../engine/Engine.ts"; import "../config/Models.ts";`],
  ["src/service/rpc/generate.ts", `import "@connectrpc/connect"; import "../../client/gen/mlxd/v1/types_pb.ts";`],
  ["src/service/wire/read.ts", `import "../domain/errors.ts"; import "../../client/gen/mlxd/v1/types_pb.ts";`],
  ["src/service/server/routes.ts", `import "../rpc/generate.ts"; import "@connectrpc/connect-node";`],
  ["src/service/config/Limits.ts", `import { Config } from "effect"; void Config; void process.env["PORT"];`],
  ["src/service/wiring.ts", `import "./server/listener.ts"; import "./worker/protocol/to-worker.ts"; import "effect";`],
  ["src/service/worker/architectures/llama.ts", `import "../cache/kv-cache.ts"; import "../mlx.ts"; import "node:fs";`],
  ["src/service/worker/sampling/logprobs.ts", `import "./sampling.ts"; import "../protocol/sequence-events.ts";`],
  ["src/service/models/residency/pool.ts", `import "../Models.ts"; import "../../engine/Engine.ts";`],
  ["src/service/worker/mlx.ts", `import { createRequire } from "node:module"; import "@frost-beta/mlx";`],
  ["src/client/client.ts", `import "@connectrpc/connect"; import "./gen/mlxd/v1/types_pb.ts";`],
  ["src/client/node.ts", `import "node:http2"; import "@connectrpc/connect-node";`],
  ["src/client/ai-sdk/index.ts", `import "@ai-sdk/provider"; import "../web.ts";`],
  ["src/client/effect/index.ts", `import "effect"; import "../web.ts";`],
  ["src/client/grpc/transport.ts", `import "@grpc/grpc-js"; import "../gen/google/rpc/status_pb.ts";`],
  ["src/cli/commands/load.ts", `import "../../client/node.ts"; import "node:readline"; import "../program.ts";`],
  ["src/cli/commands/serve.ts", `await import("../../service/main.ts");`],
  ["scripts/parity/check-model.ts", `import "../../src/service/worker/scheduler/scheduler.ts";`],
  ["scripts/train-demo/train.ts", `import "@frost-beta/mlx"; import "../../src/service/worker/main.ts";`],
  ["test/service/worker/llama.test.ts", `import "@frost-beta/mlx"; import "../../../src/service/worker/llama.ts";`],
  ["test/client/effect.test.ts", `import "effect"; import "@connectrpc/connect"; void process.env["PATH"];`],
];

interface Diagnostic {
  readonly code: string;
  readonly filename: string;
  readonly message: string;
  readonly help?: string;
  readonly labels: readonly { readonly span: { readonly line: number } }[];
}

const lint = (cwd: string) =>
  new Promise<readonly Diagnostic[]>((resolve, reject) => {
    const oxlint = join(root, "node_modules/oxlint/bin/oxlint");
    execFile(process.execPath, [oxlint, "--format=json"], { cwd, maxBuffer: 1 << 24 }, (_, stdout, stderr) => {
      try {
        resolve((JSON.parse(stdout) as { diagnostics: Diagnostic[] }).diagnostics);
      } catch {
        reject(new Error(`oxlint printed no report: ${stdout}${stderr}`));
      }
    });
  });

describe("import boundaries", () => {
  let folder = "";
  let diagnostics: readonly Diagnostic[] = [];
  const lines = new Map<string, string[]>();
  const about = (file: string, code: string) => {
    const line = 1 + (lines.get(file) ?? []).indexOf(code);
    return diagnostics.filter((found) => found.filename === file && found.labels[0]?.span.line === line);
  };

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "mlxd-boundaries-"));
    for (const [file, code] of [...refused, ...allowed]) lines.set(file, [...(lines.get(file) ?? []), code]);
    lines.set("oxlint.config.ts", [`export { default } from ${JSON.stringify(join(root, "oxlint.config.ts"))};`]);
    for (const [file, code] of lines) {
      await mkdir(dirname(join(folder, file)), { recursive: true });
      await writeFile(join(folder, file), `${code.join("\n")}\n`);
    }
    diagnostics = await lint(folder);
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  it.each(refused)("refuses in %s: %s", (file, code, message) => {
    const said = about(file, code).map((diagnostic) => `${diagnostic.message} ${diagnostic.help ?? ""}`);
    assert.include(said.join("\n"), message);
  });

  it.each(allowed)("allows in %s: %s", (file, code) => {
    assert.deepEqual(
      about(file, code).filter((found) => found.code.includes("no-restricted")),
      [],
    );
  });

  it("knows every folder of src/service, and every wing of those that have any", async () => {
    const { mayImport, wings } = await import("../../boundaries.config.ts");
    const entries = await readdir(join(root, "src/service"), { withFileTypes: true });
    for (const entry of entries) if (entry.isDirectory()) assert.property(mayImport, entry.name);
    for (const [name, table] of Object.entries(wings)) {
      assert.sameMembers(await readdir(join(root, "src/service", name)), Object.keys(table));
    }
  });

  it("lets no wing import one that stands above it", async () => {
    const { mayImport, wings } = await import("../../boundaries.config.ts");
    for (const [name, table] of Object.entries(wings)) {
      const order = Object.keys(table);
      for (const [index, wing] of order.entries()) {
        assert.notProperty(mayImport, wing, `a wing of ${name} has a folder's name: the rules cannot tell them apart`);
        assert.includeMembers(order.slice(0, index), [...(table[wing] ?? [])], `${name}/${wing}`);
      }
    }
  });
});
