/** What `mlxd doctor` makes of machines, of answers about MLX and of configurations. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, assert, describe, it } from "@effect/vitest";

import { versions } from "../../../src/service/config/versions.ts";
import { type MachineFacts, machineFindings, readMachine } from "../../../src/service/doctor/machine.ts";
import { mlxFindings } from "../../../src/service/doctor/mlx.ts";
import { checkSettings } from "../../../src/service/doctor/settings.ts";
import type { MlxDescription } from "../../../src/service/worker/protocol/mlx-description.ts";

const folder = mkdtempSync(join(tmpdir(), "mlxd-doctor-"));
afterAll(() => rmSync(folder, { recursive: true }));

const mac: MachineFacts = {
  platform: "darwin",
  arch: "arm64",
  memoryBytes: 16 * 1024 ** 3,
  macOs: "15.2",
  isTranslated: false,
  glibc: undefined,
  node: "26.10.0",
};
const linux: MachineFacts = { ...mac, platform: "linux", arch: "x64", macOs: undefined, glibc: "2.36" };

describe("the doctor, of a machine", () => {
  it.each([
    ["a Mac", mac, "ok", "macOS 15.2, arm64, 16 GiB"],
    ["a Linux", linux, "ok", "linux x64, 16 GiB, glibc 2.36"],
    ["an old macOS", { ...mac, macOs: "13.6" }, "problem", "macOS 14 or newer"],
    ["a translated process", { ...mac, arch: "x64", isTranslated: true }, "problem", "Rosetta"],
    ["an Intel Mac", { ...mac, arch: "x64" }, "problem", "Apple silicon"],
    ["another system", { ...linux, platform: "freebsd" }, "problem", "no MLX for it"],
    ["another processor", { ...linux, arch: "ppc64" }, "problem", "no MLX for it"],
  ] as const)("%s", (_, facts, status, detail) => {
    const [found] = machineFindings(facts);
    assert.strictEqual(found?.status, status);
    assert.include(found?.detail, detail);
    assert.strictEqual(found?.next === "", status === "ok");
  });

  it("this one, and Node's age", () => {
    for (const { status } of machineFindings(readMachine())) assert.strictEqual(status, "ok");
    assert.strictEqual(machineFindings({ ...mac, node: "20.19.2" })[1]?.status, "problem");
  });
});

const loaded = (binding: "own" | "node-mlx", version: string, reason: string): MlxDescription => ({
  type: "loaded",
  device: "cpu",
  mlx: { binding, version, reason },
});
const file = (name: string, isPublished = true) => ({ name, sha256: "0123456789abcdef", isPublished });
const whole: MlxDescription = { type: "files", files: [file("linux-x64.node"), file("libmlx.so")] };

describe("the doctor, of MLX", () => {
  it("tells which one runs, and the hashes of its files", () => {
    const own = loaded("own", versions.mlx, "it is the default");
    const [binding, libraries] = mlxFindings({ parts: [whole, own], failure: undefined });
    assert.deepInclude(binding, { status: "ok", next: "" });
    assert.include(binding?.detail, `MLX ${versions.mlx} on cpu`);
    assert.deepInclude(libraries, { status: "ok" });
    assert.include(libraries?.detail, "libmlx.so 0123456789ab");
  });

  it("tells why it is the older one, and what to do", () => {
    const older = loaded("node-mlx", "0.13.1", "mlxd's own does not load: the libraries are not there");
    const parts: ReadonlyArray<MlxDescription> = [{ type: "files", files: [file("linux-x64.node")] }, older];
    const [binding, libraries] = mlxFindings({ parts, failure: undefined });
    assert.strictEqual(binding?.status, "note");
    assert.include(binding?.detail, "the libraries are not there");
    assert.include(binding?.next, "scripts/with-mlx");
    assert.strictEqual(libraries?.status, "note");
  });

  it("tells which file is not as published, and how it comes back", () => {
    const altered = (name: string): MlxDescription => ({ type: "files", files: [file(name, false)] });
    const of = (part: MlxDescription) => mlxFindings({ parts: [part], failure: "signal SIGBUS" });
    const [binding, library] = of(altered("libmlx.so"));
    assert.deepInclude(library, { status: "problem", detail: "libmlx.so: not as published" });
    assert.include(library?.next, ".cache/mlx-*");
    assert.include(of(altered("linux-x64.node"))[1]?.next, "git checkout");
    assert.deepInclude(binding, { status: "problem", detail: "MLX cannot be loaded: signal SIGBUS" });
    assert.include(binding?.next, "MLXD_BINDING=node-mlx");
  });
});

const check = async (...args: ReadonlyArray<string>) => {
  const { findings } = await checkSettings(["--port", "0", ...args], folder, false);
  return Object.fromEntries(findings.map((finding) => [finding.name, finding]));
};

describe("the doctor, of a configuration", () => {
  it("names what is wrong in the file or a setting, and asks nothing more of it", async () => {
    const config = join(folder, "mlxd.yaml");
    writeFileSync(config, "service: { prot: 1 }\n");
    const { configuration, ...others } = await check("--config", config);
    assert.strictEqual(configuration?.status, "problem");
    assert.include(configuration?.detail, "mlxd.yaml:1");
    assert.deepEqual(others, {});
    assert.include((await check("--max-running", "0"))["configuration"]?.detail, "MLXD_MAX_RUNNING");
  });

  it("tells of folders without models and of those with, and of none", async () => {
    const models = join(folder, "models");
    mkdirSync(join(models, "one"), { recursive: true });
    assert.deepInclude((await check("--models", models))["models"], { status: "problem" });
    writeFileSync(join(models, "one/config.json"), "{}");
    assert.deepInclude((await check("--models", models))["models"], { status: "ok", detail: `1 in ${models}` });
    const missing = (await check("--models", join(folder, "nowhere")))["models"];
    assert.strictEqual(missing?.status, "problem");
    assert.include(missing?.next, "MLXD_MODELS");
  });

  it("tells that the caches of one model are more than the budget of all", async () => {
    assert.strictEqual((await check("--memory-budget", "80%"))["memory"]?.status, "ok");
    const memory = (await check("--memory-budget", "1073741824", "--kv-cache-bytes", "2147483648"))["memory"];
    assert.strictEqual(memory?.status, "problem");
    assert.include(memory?.next, "MLXD_KV_CACHE_BYTES");
  });

  it("tells of a port that another program has, and not of mlxd's own", async () => {
    const other = createServer();
    await new Promise<void>((resolve) => other.listen(0, "127.0.0.1", resolve));
    const port = String((other.address() as { readonly port: number }).port);
    const portOf = async (isServing: boolean) =>
      (await checkSettings(["--port", port], folder, isServing)).findings.find(({ name }) => name === "port");
    assert.deepInclude(await portOf(false), { status: "problem" });
    assert.deepInclude(await portOf(true), { status: "ok" });
    other.close();
  });
});
