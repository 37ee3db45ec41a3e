import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, assert, beforeEach, describe, it } from "vitest";
import { Redacted } from "effect";

import { readConfigFile } from "../../../src/service/config/config-file.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "mlxd-backends-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

const environment = { OPENAI_API_KEY: "sk-own", ATTIC_KEY: " sk-attic\n", EMPTY: "" };
const read = (backends: string, variables: Readonly<Record<string, string>> = environment) => {
  const path = join(folder, "mlxd.yaml");
  writeFileSync(path, `backends:\n  ${backends}\n`);
  return readConfigFile(path, variables).backends;
};
const keyOf = (backends: string, name: string) => {
  const key = read(backends).get(name)?.apiKey;
  return key && Redacted.value(key);
};

describe("the backends of mlxd.yaml", () => {
  it("have names without case, and the defaults of their engine", () => {
    const backends = read('Attic: {engine: vLLM, base_url: "http://attic:9/v1/"}');
    assert.deepInclude(backends.get("attic"), { name: "attic", baseUrl: "http://attic:9/v1", permits: 1 });
    assert.deepInclude(backends.get("ollama"), { baseUrl: "http://127.0.0.1:11434/v1", apiKey: undefined });
  });

  it("have Ollama's server where its variable says, with or without the version, and not where the file says otherwise", () => {
    const at = (OLLAMA_BASE_URL: string, backends = "attic: {engine: ollama}") =>
      ["ollama", "attic"].map((name) => read(backends, { OLLAMA_BASE_URL }).get(name)?.baseUrl);
    assert.deepStrictEqual(at("http://mac:11434"), ["http://mac:11434/v1", "http://mac:11434/v1"]);
    assert.deepStrictEqual(at(" http://mac/ollama/v1/ "), ["http://mac/ollama/v1", "http://mac/ollama/v1"]);
    assert.deepStrictEqual(at("http://mac", 'attic: {engine: ollama, base_url: "http://attic:9/v1"}'), [
      "http://mac/v1",
      "http://attic:9/v1",
    ]);
    assert.throws(() => at("mac:11434"), "OLLAMA_BASE_URL: is to be a URL");
  });

  it("have a key of a variable or a file; an engine's own key goes to its own server alone", () => {
    writeFileSync(join(folder, "key"), "sk-file\n");
    assert.strictEqual(keyOf("attic: {engine: vllm, api_key_variable: ATTIC_KEY}", "attic"), "sk-attic");
    assert.strictEqual(keyOf("attic: {engine: vllm, api_key_file: key}", "attic"), "sk-file");
    assert.strictEqual(keyOf("attic: {engine: openai}", "attic"), "sk-own");
    assert.isUndefined(keyOf('attic: {engine: openai, base_url: "http://attic/v1"}', "attic"));
    assert.notInclude(JSON.stringify([...read("attic: {engine: openai}").values()]), "sk-own");
  });

  it.each([
    ["an engine that is none", "a: {engine: vlm}", 'a.engine: "vlm" is no engine of backends; there are mlx_lm_server'],
    ["the engine of this machine", "a: {engine: local_mlx}", "is no engine of backends"],
    ["a name twice", "a: {engine: vllm}\n  A: {engine: vllm}", "is there twice"],
    ["a name that is none", '"a b": {engine: vllm}', "a backend's name begins"],
    ["no URL", "a: {engine: vllm, base_url: attic}", "a.base_url: is to be a URL"],
    ["another kind of URL", 'a: {engine: vllm, base_url: "file:///x"}', "a.base_url: is to be a URL"],
    ["credentials in its URL", 'a: {engine: vllm, base_url: "http://u:secret@h/v1"}', "holds credentials"],
    ["a variable that is empty", "a: {engine: vllm, api_key_variable: EMPTY}", "a.api_key_variable: this variable"],
    ["a file that is not there", "a: {engine: vllm, api_key_file: none}", "cannot be read (ENOENT)"],
    ["two keys", "a: {engine: vllm, api_key_file: x, api_key_variable: ATTIC_KEY}", "one of them names the key"],
    ["no permits", "a: {engine: vllm, permits: 0}", "a.permits"],
    ["a key of its own choice", "a: {engine: vllm, api_key: sk-x}", "a.api_key: there is no such key"],
  ])("are refused with %s", (_, backends, told) => {
    let message = "";
    try {
      read(backends);
    } catch (error) {
      message = error instanceof Error ? error.message : "";
    }
    assert.include(message, told);
    for (const secret of ["secret", "sk-"]) assert.notInclude(message, secret);
  });
});
