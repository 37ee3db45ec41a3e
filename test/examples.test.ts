/**
 * Runs the examples as they stand, against the real service: the files in examples/, and of README.md, docs/client.md, docs/calls.md,
 * docs/generation.md, docs/tools.md, docs/models.md, docs/caches.md, docs/adapters.md, docs/embeddings.md, docs/download.md, docs/cli.md and docs/balancing.md every fenced block that is marked
 * `ts node`, `ts deno` or `sh`, apart from those
 * that start or test the service itself. A `ts node` block without a client of its own goes on from the page's first
 * block. Only the port is another one, for the command by MLXD_SERVER.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { afterAll, assert, beforeAll, describe, it } from "vitest";
import { exampleOutputs } from "./support/example-outputs.ts";
import { type RunningService, startService } from "./support/running-service.ts";
import { deno, grpcurl, noGrpcurl } from "./support/tools.ts";

const root = fileURLToPath(new URL("..", import.meta.url));

interface Example {
  readonly name: string;
  readonly kind: string;
  readonly code: string;
  /** Where it is run. */
  readonly folder: string;
}

const fence = /^```(ts node|ts deno|sh)\n(.*?)^```$/gms;
const startsService = /^npm (start|test|run)\b/m;

const examplesOf = (page: string): readonly Example[] => {
  const markdown = readFileSync(join(root, page), "utf8");
  const blocks = [...markdown.matchAll(fence)].map(({ 1: kind = "", 2: code = "", index }) => {
    const line = markdown.slice(0, index).split("\n").length;
    return { name: `${page}:${line}`, kind, code, folder: root };
  });
  const first = blocks.find(({ kind }) => kind === "ts node")?.code ?? "";
  const runnable = blocks.filter(({ kind, code }) => kind !== "sh" || !startsService.test(code));
  return runnable.map((block) =>
    block.kind === "ts node" && !block.code.includes("createMlxdClient(")
      ? { ...block, code: `${first}\n${block.code}` }
      : block,
  );
};

const files: readonly Example[] = ["deno.ts", "node.ts"].map((file) => ({
  name: `examples/${file}`,
  kind: file === "deno.ts" ? "ts deno" : "ts node",
  code: readFileSync(join(root, "examples", file), "utf8"),
  folder: join(root, "examples"),
}));

const pages = [
  "README.md",
  "docs/client.md",
  "docs/calls.md",
  "docs/generation.md",
  "docs/tools.md",
  "docs/models.md",
  "docs/jobs.md",
  "docs/caches.md",
  "docs/adapters.md",
  "docs/embeddings.md",
  "docs/download.md",
  "docs/cli.md",
  "docs/balancing.md",
].filter((page) => existsSync(join(root, page)));

const programs: Record<string, readonly [program: string, ...args: string[]]> = {
  "ts node": [process.execPath, "--input-type=module-typescript", "-"],
  "ts deno": [deno, "run", "--no-lock", "--no-remote", "--allow-net", "--allow-env", "-"],
  sh: ["bash", "-euo", "pipefail"],
};

const env = {
  ...process.env,
  PATH: `${join(root, "bin")}:${join(root, ".cache/bin")}:${process.env["PATH"] ?? ""}`,
  DENO_DIR: join(root, ".cache/deno"),
  DENO_NO_UPDATE_CHECK: "1",
};

let service: RunningService;
beforeAll(async () => {
  service = await startService();
});
afterAll(() => service.stop());

const examples = [...files, ...pages.flatMap(examplesOf)];

describe("the example", () => {
  it.for(examples)("$name runs", async ({ name, kind, code, folder }, context) => {
    if (code.includes("grpcurl") && !(await grpcurl())) context.skip(noGrpcurl);
    const [program = "", ...args] = programs[kind] ?? [];
    const child = spawn(program, args, { cwd: folder, env: { ...env, MLXD_SERVER: service.url } });
    const output = Promise.all([text(child.stdout), text(child.stderr), once(child, "close")]);
    child.stdin.end(code.replaceAll("127.0.0.1:50051", `127.0.0.1:${service.port}`));
    const [stdout, stderr, [exitCode]] = await output;
    assert.equal(exitCode, 0, stderr);
    assert.equal(stderr, "");
    for (const [, , prints] of outputsOf(name, code)) assert.match(stdout, prints);
    if (code.includes("console.log") || kind === "sh") assert.notEqual(stdout.trim(), "");
    assert.notMatch(stdout, /^\{"code":/, "curl counts an error as an answer");
  });
});

/** What is said of this example's output. */
const outputsOf = (name: string, code: string) =>
  exampleOutputs.filter(([page, piece]) => name.split(":")[0] === page && code.includes(piece));

describe("the examples", () => {
  it("that print have something said of what they print", () => {
    for (const { name, code } of examples) {
      const isSilent = !/console\.log|stdout\.write|\bmlxd |curl|grpcurl/.test(code);
      // Pieces as they come, left in the midst.
      const isCut = code.includes("break; // the generation ends here");
      if (!isSilent && !isCut) assert.isNotEmpty(outputsOf(name, code), name);
    }
  });

  it("are all there that something is said of", () => {
    for (const output of exampleOutputs) {
      const [page, piece] = output;
      const told = examples.filter(({ name, code }) => outputsOf(name, code).includes(output));
      assert.isAtLeast(told.length, 1, `${page} has no example with ${piece}`);
    }
  });

  it("are right by their types", async () => {
    const folder = join(root, ".cache/examples");
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, "tsconfig.json"), '{"extends":"../../tsconfig.json","include":["."]}');
    for (const { name, kind, code } of examples) {
      if (kind === "sh") continue;
      const file = `${name.replaceAll(/[^\w]/g, "-")}.ts`;
      writeFileSync(join(folder, file), code.replaceAll(/"\.{1,2}\/src\//g, '"../../src/'));
    }
    const tsc = spawn(process.execPath, [join(root, "node_modules/.bin/tsc"), "-p", folder], { cwd: root });
    assert.equal(await text(tsc.stdout), "");
  });
});
