import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, assert, beforeEach, describe, it } from "vitest";

import { readConfigFile } from "../../../src/service/config/config-file.ts";
import { fillIn } from "../../../src/service/config/managed-backend.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "mlxd-managed-backend-"));
  mkdirSync(join(folder, "servers"));
});
afterEach(() => rmSync(folder, { recursive: true }));

const environment = {
  PATH: "/bin",
  OPENAI_API_KEY: "sk-own",
  ATTIC_KEY: "sk-attic",
  MLXD_HF_TOKEN: "hf_x",
  HF_HOME: "/hf",
};
const read = (backends: string) => {
  const path = join(folder, "mlxd.yaml");
  writeFileSync(path, `backends:\n  ${backends}\n`);
  return readConfigFile(path, environment).backends;
};

describe("a backend whose server mlxd starts", () => {
  it("has its engine's command, the configuration's folder and the service's environment without keys", () => {
    const { managed } =
      read("a: {engine: mlx_lm_server, managed: true}\n  b: {engine: vllm, api_key_variable: ATTIC_KEY}").get("a") ??
      {};
    assert.deepStrictEqual(managed, {
      command: ["mlx_lm.server", "--model", "{model}", "--host", "{host}", "--port", "{port}"],
      environment: { PATH: "/bin", HF_HOME: "/hf" },
      directory: folder,
      startTimeoutMs: 600_000,
    });
  });

  it("may have a command, an environment, a folder and a time of its own", () => {
    const { managed } =
      read(
        'a: {engine: vllm, command: [./serve, "{model}"], environment: {PORT: "{port}", PATH: /opt}, directory: servers, start_timeout_ms: 1000}',
      ).get("a") ?? {};
    assert.deepInclude(managed, {
      command: ["./serve", "{model}"],
      environment: { PATH: "/opt", ATTIC_KEY: "sk-attic", HF_HOME: "/hf", PORT: "{port}" },
      directory: join(folder, "servers"),
      startTimeoutMs: 1000,
    });
  });

  it("is none unless it says so", () => {
    assert.isUndefined(read("a: {engine: vllm}").get("a")?.managed);
    assert.isUndefined(read("a: {engine: vllm, managed: false}").get("a")?.managed);
  });

  it("gets placeholders filled in as they are, and nothing else", () => {
    const placement = { host: "127.0.0.1", port: 1234, model: "a b;{port}$(x)" };
    assert.strictEqual(
      fillIn('--x={model}:{host}:{port}:{"a":1}', placement),
      '--x=a b;{port}$(x):127.0.0.1:1234:{"a":1}',
    );
  });

  it.each([
    [
      "no command",
      "a: {engine: openai, managed: true}",
      "a.managed: how a server of openai is started is not known here",
    ],
    ["a URL", 'a: {engine: vllm, managed: true, base_url: "http://h/v1"}', "a.base_url: mlxd chooses the port"],
    ["no port", "a: {engine: vllm, command: [serve]}", "a.command: has no {port}"],
    ["an unknown placeholder", 'a: {engine: vllm, command: [serve, "{port}", "{modle}"]}', "there is no {modle}"],
    [
      "a folder that is not there",
      "a: {engine: vllm, managed: true, directory: nowhere}",
      "a.directory: there is no such folder",
    ],
    [
      "a command that is not to be run",
      'a: {engine: vllm, managed: false, command: [serve, "{port}"]}',
      "a.managed: there is a command",
    ],
    [
      "a folder without a command",
      "a: {engine: vllm, directory: servers}",
      "a.directory: is for a server that mlxd starts",
    ],
    ["an empty command", "a: {engine: vllm, command: []}", "a.command"],
    ["a variable without a name", 'a: {engine: vllm, managed: true, environment: {"A B": x}}', "a variable's name"],
  ])("is refused with %s", (_, backends, told) => {
    let message = "";
    try {
      read(backends);
    } catch (error) {
      message = error instanceof Error ? error.message : "";
    }
    assert.include(message, told);
  });
});
