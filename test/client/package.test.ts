/** What @mlxd/client is as a package: what each entry reaches and exports, how large it is, and that others can use it. */
import { execFile } from "node:child_process";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { brotliCompressSync, gzipSync } from "node:zlib";
import type { DescField, DescFile } from "@bufbuild/protobuf";
import { nestedTypes } from "@bufbuild/protobuf/reflect";
import { checkPackage, createPackageFromTarballData } from "@arethetypeswrong/core";
import { publint } from "publint";
import { afterAll, assert, beforeAll, describe, it } from "vitest";
import { apiReports } from "../../scripts/client/api-report.ts";
import { writeReference } from "../../scripts/client/reference.ts";
import { buildClientPackage, type ClientPackage } from "../support/client-package.ts";
import { saying } from "../support/scripted-events.ts";
import { type ScriptedServer, startScriptedServer } from "../support/scripted-server.ts";
import { bun, deno, node22, typescript59 } from "../support/tools.ts";

const run = promisify(execFile);
const root = fileURLToPath(new URL("../..", import.meta.url));
const source = join(root, "src/client");
const env = { ...process.env, DENO_DIR: join(root, ".cache/deno"), DENO_NO_UPDATE_CHECK: "1" };

interface Manifest {
  readonly exports: Record<string, string>;
  readonly dependencies: Record<string, string>;
  readonly peerDependencies: Record<string, string>;
  readonly devDependencies: Record<string, string>;
}

const readManifest = async (path: string) => JSON.parse(await readFile(join(root, path), "utf8")) as Manifest;

/** The packages that a file and the files it imports take in. */
const packagesOf = async (file: string, seen = new Set<string>()): Promise<Set<string>> => {
  const packages = new Set<string>();
  if (seen.has(file)) return packages;
  seen.add(file);
  const code = await readFile(file, "utf8");
  const specifiers = code.matchAll(/^(?:import|export)\s(?:[^"'=;]*\sfrom\s)?"([^"]+)";|\bimport\("([^"]+)"\)/gm);
  for (const [, fixed, dynamic] of specifiers) {
    const specifier = fixed ?? dynamic ?? "";
    if (!specifier.startsWith(".")) packages.add(specifier);
    else for (const name of await packagesOf(join(file, "..", specifier), seen)) packages.add(name);
  }
  return packages;
};

/** `@scope/name` or `name` of a module of it. */
const packageName = (specifier: string) =>
  specifier
    .split("/")
    .slice(0, specifier.startsWith("@") ? 2 : 1)
    .join("/");

let built: ClientPackage;
let server: ScriptedServer;
beforeAll(async () => {
  built = await buildClientPackage();
  server = await startScriptedServer({
    httpVersion: "1.1",
    async *stream() {
      yield* saying("4 ", "🍏");
    },
  });
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
  await built[Symbol.asyncDispose]();
});

/** For whom there is a package: what an entry may take in beside the packages of `.`. */
const peersOf: Readonly<Record<string, readonly string[]>> = {
  ".": [],
  "./node": ["@connectrpc/connect-node"],
  "./grpc": ["@grpc/grpc-js"],
  "./testing": [],
  "./ai-sdk": ["@ai-sdk/provider"],
  "./effect": ["effect"],
  "./effect/ai": ["effect"],
};

describe("the entries", () => {
  it("are these", async () => {
    const { exports } = await readManifest("src/client/package.json");
    assert.deepEqual(Object.keys(exports), [...Object.keys(peersOf), "./gen/*", "./package.json"]);
  });

  it.each(Object.entries(peersOf))("%s reaches the client's packages and of others only %j", async (entry, peers) => {
    const { exports, dependencies, peerDependencies } = await readManifest("src/client/package.json");
    const compiled = (exports[entry] ?? "").replace(/\.ts$/, ".js");
    const reached = [...(await packagesOf(join(built.folder, compiled)))];
    const fromNode = reached.filter((name) => name.startsWith("node:"));
    const packages = new Set(reached.filter((name) => !name.startsWith("node:")).map(packageName));
    if (entry !== "./node") assert.deepEqual(fromNode, []);
    assert.deepEqual(
      [...packages].filter((name) => !Object.hasOwn(dependencies, name)),
      peers,
    );
    for (const peer of peers) assert.property(peerDependencies, peer);
  });

  it("need the packages that the repository is tested with", async () => {
    const [own, repository] = [await readManifest("src/client/package.json"), await readManifest("package.json")];
    const tested = { ...repository.devDependencies, ...repository.dependencies };
    for (const [name, range] of Object.entries({ ...own.dependencies, ...own.peerDependencies })) {
      assert.equal(range, `^${tested[name]}`, name);
    }
  });

  it("begin with one that is a small bundle for browsers", async () => {
    const output = join(built.folder, "../bundle");
    const rolldown = join(root, "node_modules/.bin/rolldown");
    const options = ["--platform", "browser", "--format", "esm", "--minify", "--dir", output];
    await run(process.execPath, [rolldown, join(built.folder, "web.js"), ...options], { cwd: root });
    const pieces = new Map<string, string>();
    for (const name of await readdir(output)) pieces.set(name, await readFile(join(output, name), "utf8"));
    const imports = (text: string) =>
      [...text.matchAll(/\b(?:import|from|require\()\s*["'`]([^"'`]+)["'`]/g)].map(([, name = ""]) => name);
    const specifiers = [...pieces.values()].flatMap(imports);
    assert.deepEqual(
      specifiers.filter((name) => !name.startsWith("./")),
      [],
    );
    // What a page loads at once; what validates by a JSON Schema, and JSON as a format, are loaded by who uses them.
    const later = [...pieces.keys()].filter((name) => name !== "web.js").toSorted();
    assert.match(later.join(" "), /^json-format-\S+\.js json-issues-\S+\.js$/);
    const code = Buffer.from(pieces.get("web.js") ?? "");
    const [plain, gzip, brotli] = [
      code.byteLength,
      gzipSync(code, { level: 9 }).byteLength,
      brotliCompressSync(code).byteLength,
    ];
    const sizes = [plain, gzip, brotli].map((bytes) => `${(bytes / 1000).toFixed(1)} kB`);
    process.stdout.write(`the client's bundle: ${sizes[0]}, ${sizes[1]} with gzip, ${sizes[2]} with Brotli\n`);
    // gzip is what counts: every server and every runtime has it.
    assert.isBelow(gzip, 45_000);
  });
});

describe("the package", () => {
  it("has no fault that publint knows", async () => {
    const { messages } = await publint({ pkgDir: built.folder, strict: true });
    assert.deepEqual(messages, []);
  });

  it("has types that every kind of resolution of modules finds", async () => {
    const analysis = await checkPackage(createPackageFromTarballData(new Uint8Array(await readFile(built.tarball))));
    if (analysis.types === false) return assert.fail("it has no types");
    // It is made of modules alone. Node 22 can `require` those; TypeScript tells CommonJS so with a note of its own.
    const others = analysis.problems.filter(
      (problem) =>
        problem.kind !== "CJSResolvesToESM" && !("resolutionKind" in problem && problem.resolutionKind === "node10"),
    );
    assert.deepEqual(others, []);
  });

  it("describes the API as its sources do, in fewer words", async () => {
    const names = (await readdir(join(source, "gen"), { recursive: true })).filter((name) => name.endsWith("_pb.ts"));
    let types = 0;
    for (const name of names) {
      const own = (await import(join(source, "gen", name))) as Record<string, DescFile>;
      const packed = (await import(join(built.folder, "gen", name.replace(/ts$/, "js")))) as Record<string, DescFile>;
      const constant = Object.keys(own).find((key) => key.startsWith("file_")) ?? assert.fail(name);
      const [expected, found] = [own[constant], packed[constant]].map((file) => described(file ?? assert.fail(name)));
      assert.deepEqual(found, expected, name);
      types += expected?.types.length ?? 0;
    }
    assert.isAbove(types, 100);
  });

  it("exports what the reports in test/client/api say", async () => {
    const reports = apiReports(root, built.folder);
    const names = await readdir(join(root, "test/client/api"));
    assert.deepEqual(names.toSorted(), [...reports.keys()].toSorted());
    for (const [name, report] of reports) {
      const held = await readFile(join(root, "test/client/api", name), "utf8");
      assert.equal(report, held, `${name}: if the change is meant, npm run build:client -- --api-report writes it`);
    }
  });

  it("has a reference in which each exported name is, with what it is", async () => {
    const names = writeReference(root, built.folder, join(built.folder, "../reference"));
    assert.deepEqual(
      names.filter(({ isSaid }) => !isSaid),
      [],
    );
    assert.isTrue((await readdir(join(built.folder, "../reference"))).includes("index.html"));
    for (const report of await readdir(join(root, "test/client/api"))) {
      const text = await readFile(join(root, "test/client/api", report), "utf8");
      const declared = text.matchAll(/^export (?:abstract )?(?:const|class|function|interface|type) (\w+)/gm);
      const renamed = text.matchAll(/^export \{ (?:\w+ as )?(\w+) \}/gm);
      const exported = new Set([...declared, ...renamed].map(([, name = ""]) => name)); // of overloads and types once
      const of = names.filter(({ module }) => module.split("/").at(-1) === report.replace(".api.md", ""));
      assert.sameMembers([...new Set(of.map(({ name }) => name))], [...exported], report);
    }
  });

  it("is for JSR what JSR takes", async () => {
    const args = ["publish", "--dry-run", "--allow-dirty", "--no-check", "--allow-slow-types"];
    const { stderr } = await run(deno, args, { cwd: built.jsrFolder, env: { ...env, NO_COLOR: "1" } });
    assert.match(stderr, /Success Dry run complete/);
  });
});

/** What of a descriptor tells how messages are encoded, and what their parts are called. */
const described = (file: DescFile) => ({
  name: file.name,
  types: [...nestedTypes(file)].map((type): object => {
    if (type.kind === "enum") {
      const { typeName, open, sharedPrefix, values } = type;
      return {
        typeName,
        open,
        sharedPrefix,
        values: values.map(({ name, number, localName }) => [name, number, localName]),
      };
    }
    if (type.kind !== "message") return { typeName: type.typeName };
    const { typeName, oneofs, fields } = type;
    return { typeName, oneofs: oneofs.map(({ localName }) => localName), fields: fields.map(describedField) };
  }),
  services: file.services.map(({ typeName, methods }) => [
    typeName,
    methods.map((method) => [
      method.name,
      method.localName,
      method.methodKind,
      method.idempotency,
      method.input.typeName,
      method.output.typeName,
    ]),
  ]),
});

/** Without what leads to other descriptors, and the descriptor's own form. */
const describedField = (field: DescField) => {
  const own = Object.entries(field).filter(
    ([key, value]) => typeof value !== "function" && !["proto", "parent", "oneof", "enum", "message"].includes(key),
  );
  return [...own, field.message?.typeName, field.enum?.typeName, field.oneof?.name];
};

/** A program of somebody who has nothing but the package: it takes the address from its arguments. */
const consumer = `
import { createMlxdClient, type GenerationResult, isMlxdError } from "@mlxd/client";
import type { GenerationTask } from "@mlxd/client/gen/mlxd/v1/types_pb";

declare const process: { readonly argv: readonly string[] };
const client = createMlxdClient({ baseUrl: process.argv[2] ?? "", timeoutMs: 60_000 });
const result: GenerationResult = await client.stream("What is 2+2?", { maxOutputTokens: 8 }).collect();
const failed: unknown = await client.generate("x").catch((error: unknown) => error);
const task: Pick<GenerationTask, "model"> = { model: "demo" };
console.log(JSON.stringify([result.text, isMlxdError(failed) ? failed.code : String(failed), task.model]));
`;
const consumerPrints = '["4 🍏","UNIMPLEMENTED","demo"]\n';

describe("who installs the package into an empty folder", () => {
  let folder = "";
  beforeAll(async () => {
    folder = await built.install("@types/node@24.19.2");
    await writeFile(join(folder, "consumer.ts"), consumer);
    const compilerOptions = {
      target: "ES2022",
      module: "NodeNext",
      lib: ["ES2023", "DOM", "ESNext.Disposable"],
      types: [],
      strict: true,
      exactOptionalPropertyTypes: true,
    };
    await writeFile(join(folder, "tsconfig.json"), JSON.stringify({ compilerOptions, files: ["consumer.ts"] }));
  });

  it("has the client's own packages and no others", async () => {
    const { dependencies } = await readManifest("src/client/package.json");
    const names = (await readdir(join(folder, "node_modules"), { recursive: true }))
      .filter((name) => /^(@[^/]+\/)?[^@/.][^/]*\/package\.json$/.test(name))
      .map((name) => packageName(name));
    assert.sameMembers(names, [...Object.keys(dependencies), "@mlxd/client", "@types/node", "undici-types"]);
  });

  const compilers = [
    ["7", () => ({ path: join(root, "node_modules/typescript/bin/tsc") })],
    ["5.9", typescript59],
  ] as const;
  it.each(compilers)("compiles with TypeScript %s", async (_, compiler) => {
    const found = await compiler();
    if (typeof found === "string") return assert.fail(found);
    const args = [found.path, "-p", folder, "--outDir", join(folder, "out")];
    const { stdout } = await run(process.execPath, args, { cwd: folder }).catch((error: unknown) => error as never);
    assert.equal(stdout, "");
    const { stdout: printed } = await run(process.execPath, ["out/consumer.js", server.url], { cwd: folder });
    assert.equal(printed, consumerPrints);
  });

  it.for([
    ["Node 22", node22, ["--experimental-strip-types", "--no-warnings"]],
    ["Bun", bun, ["run"]],
  ] as const)("runs in %s", async ([, program, options], context) => {
    const found = await program();
    if (typeof found === "string") return context.skip(found);
    const { stdout } = await run(found.path, [...options, "consumer.ts", server.url], { cwd: folder });
    assert.equal(stdout, consumerPrints);
  });

  it("checks and runs it in Deno", async () => {
    const options = ["--no-lock", "--no-remote", "--node-modules-dir=manual"];
    await run(deno, ["check", ...options, "consumer.ts"], { cwd: folder, env });
    const args = ["run", ...options, "--allow-net", "--allow-env", "consumer.ts", server.url];
    // Deno's process.argv is Node's.
    const { stdout } = await run(deno, args, { cwd: folder, env });
    assert.equal(stdout, consumerPrints);
  });

  it("hears what to install for the entry of Node, and has it then", async () => {
    const program = 'console.log(Object.keys(await import("@mlxd/client/node")).includes("createMlxdClient"))';
    const failed = run(process.execPath, ["-e", program], { cwd: folder });
    const missing = await failed.then(() => "nothing was missing", String);
    assert.match(missing, /Cannot find package '@connectrpc\/connect-node'/);
    const complete = await built.install("@connectrpc/connect-node@2.3.0");
    assert.equal((await run(process.execPath, ["-e", program], { cwd: complete })).stdout, "true\n");
  });
});

describe("every export of src/client", () => {
  it("has a doc comment, and a client's every option tells its default", async () => {
    const files = (await readdir(source, { recursive: true })).filter((name) => /^(?!gen\/).*\.ts$/.test(name));
    const missing: string[] = [];
    for (const file of files) {
      const lines = (await readFile(join(source, file), "utf8")).split("\n");
      let isOptions = false;
      lines.forEach((line, index) => {
        const comment = lines[index - 1] ?? "";
        if (
          /^export (?!\*|\{|type \{)/.test(line) &&
          !comment.endsWith("*/") &&
          !comment.startsWith("export function ")
        )
          missing.push(`${file}: ${line}`);
        if (line.startsWith("export interface ")) isOptions = /(Client|Call)Options |RetryPolicy /.test(line);
        if (!isOptions || !/^ {2}readonly \w+\??:/.test(line)) return;
        const doc = lines.slice(lines.lastIndexOf("  /**", index), index);
        if (!/@default/.test(doc.join("\n"))) missing.push(`${file}: @default of ${line}`);
      });
    }
    assert.deepEqual(missing, []);
  });
});
