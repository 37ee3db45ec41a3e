/** What @mlxd/client is as a package: what each entry reaches, what it exports, and how large it is. */
import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { builtinModules } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { gzipSync } from "node:zlib";
import { afterAll, assert, beforeAll, describe, it } from "vitest";
import { deno } from "../support/tools.ts";

const run = promisify(execFile);
const root = fileURLToPath(new URL("../..", import.meta.url));
const source = join(root, "src/client");
const env = { ...process.env, DENO_DIR: join(root, ".cache/deno"), DENO_NO_UPDATE_CHECK: "1" };

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "mlxd-client-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

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

describe("the entries", () => {
  it.each(["index.ts", "web.ts"])("%s reaches nothing that only Node has", async (entry) => {
    const packages = [...(await packagesOf(join(source, entry)))];
    const allowed = /^@(bufbuild\/(protobuf|protovalidate\/gen)|connectrpc\/(connect|connect-web))(\/|$)/;
    assert.include(packages, "@connectrpc/connect");
    assert.deepEqual(
      packages.filter((name) => !allowed.test(name)),
      [],
    );
  });

  it("only node.ts imports from Node", async () => {
    assert.includeMembers([...(await packagesOf(join(source, "node.ts")))], ["node:http", "@connectrpc/connect-node"]);
  });

  it.each(["index.ts", "web.ts"])("%s is one bundle for browsers; its size is told", async (entry) => {
    const output = join(folder, `${entry}.js`);
    const rolldown = join(root, "node_modules/.bin/rolldown");
    const options = ["--platform", "browser", "--format", "esm", "--minify", "--file", output];
    await run(process.execPath, [rolldown, join(source, entry), ...options], { cwd: root });
    const bundle = await readFile(output, "utf8");
    const imports = [...bundle.matchAll(/\b(?:import|from|require\()\s*["']([^"']+)["']/g)].map(([, name]) => name);
    assert.deepEqual(imports, []);
    assert.notMatch(bundle, /["']node:/);
    const kilobytes = (bytes: number) => `${(bytes / 1000).toFixed(0)} kB`;
    const sizes = `${kilobytes(Buffer.byteLength(bundle))}, ${kilobytes(gzipSync(bundle).byteLength)} with gzip`;
    process.stdout.write(`the client's ${entry} as one minified bundle: ${sizes}\n`);
  });
});

describe("the package", () => {
  const names = [
    "assistantMessage",
    "createMlxdClientFromTransport",
    "decodeError",
    "defaultRetryPolicy",
    "findMlxdError",
    "isMlxdError",
    "toolMessage",
  ];
  const core = [...names, "MlxdError"].toSorted();
  const whole = [...core, "createMlxdClient"].toSorted();

  /** Prints each entry's exports and whether it is the one for Node. */
  const consumer = `
    const found = {};
    for (const entry of ["", "/node", "/web", "/core"]) {
      try { found[entry] = Object.keys(await import("@mlxd/client" + entry)).sort(); }
      catch (error) { found[entry] = error.code ?? error.name; }
    }
    const main = import.meta.resolve("@mlxd/client");
    console.log(JSON.stringify({ ...found, main: main.slice(main.lastIndexOf("/") + 1) }));
  `;

  beforeAll(async () => {
    await mkdir(join(folder, "node_modules/@mlxd"), { recursive: true });
    await symlink(source, join(folder, "node_modules/@mlxd/client"));
    await writeFile(join(folder, "package.json"), '{"type":"module","dependencies":{"@mlxd/client":"*"}}');
    await writeFile(join(folder, "consumer.js"), consumer);
  });

  it("can be imported by Node under each of its names", async () => {
    const { stdout } = await run(process.execPath, ["consumer.js"], { cwd: folder });
    assert.deepEqual(JSON.parse(stdout), { "": whole, "/node": whole, "/web": whole, "/core": core, main: "node.ts" });
  });

  it.each(["browser", "workerd", "edge-light", "deno"])("is the web entry for the condition %s", async (condition) => {
    const { stdout } = await run(process.execPath, ["--conditions", condition, "consumer.js"], { cwd: folder });
    assert.equal((JSON.parse(stdout) as { main: string }).main, "web.ts");
  });

  it("can be imported by Deno", async () => {
    const args = ["run", "--no-lock", "--no-remote", "--allow-read", "--allow-env", "consumer.js"];
    const { stdout } = await run(deno, args, { cwd: folder, env });
    const { main, "": entry, "/core": coreEntry } = JSON.parse(stdout) as Record<string, unknown>;
    assert.deepEqual([main, entry, coreEntry], ["web.ts", whole, core]);
  });

  it("names every package that it imports, in the version of the repository", async () => {
    interface Manifest {
      readonly dependencies: Record<string, string>;
    }
    const read = async (path: string) => JSON.parse(await readFile(join(root, path), "utf8")) as Manifest;
    const [own, repository] = [await read("src/client/package.json"), await read("package.json")];
    const imported = new Set(
      [...(await packagesOf(join(source, "node.ts"))), ...(await packagesOf(join(source, "web.ts")))]
        .filter((name) => !name.startsWith("node:") && !builtinModules.includes(name))
        .map((name) => name.split("/").slice(0, 2).join("/")),
    );
    assert.deepEqual(Object.keys(own.dependencies), [...imported].toSorted());
    for (const [name, version] of Object.entries(own.dependencies))
      assert.equal(version, repository.dependencies[name]);
  });
});

describe("every export of src/client", () => {
  it("has a doc comment, and a client's every option tells its default", async () => {
    const files = (await readdir(source)).filter((name) => name.endsWith(".ts"));
    const missing: string[] = [];
    for (const file of files) {
      const lines = (await readFile(join(source, file), "utf8")).split("\n");
      let isOptions = false;
      lines.forEach((line, index) => {
        const comment = lines[index - 1] ?? "";
        if (/^export (?!\*|\{|type \{)/.test(line) && !comment.endsWith("*/")) missing.push(`${file}: ${line}`);
        if (line.startsWith("export interface ")) isOptions = /(Client|Call)Options |RetryPolicy /.test(line);
        if (!isOptions || !/^ {2}readonly \w+\??:/.test(line)) return;
        const doc = lines.slice(lines.lastIndexOf("  /**", index), index);
        if (!/@default/.test(doc.join("\n"))) missing.push(`${file}: @default of ${line}`);
      });
    }
    assert.deepEqual(missing, []);
  });
});
