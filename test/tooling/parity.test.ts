import { execFile } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, assert, describe, it } from "@effect/vitest";

const script = fileURLToPath(new URL("../../scripts/parity.ts", import.meta.url));
const golden = fileURLToPath(new URL("../fixtures/goldens/qwen3-every-form", import.meta.url));

const root = mkdtempSync(join(tmpdir(), "mlxd-parity-"));
afterAll(() => rmSync(root, { recursive: true }));

const run = (...directories: readonly string[]) =>
  new Promise<{ readonly lines: readonly string[]; readonly exitCode: number | string | null }>((resolve) => {
    const child = execFile(process.execPath, ["--expose-gc", script, ...directories], (_, stdout, stderr) =>
      resolve({ lines: (stdout + stderr).trim().split("\n"), exitCode: child.exitCode }),
    );
  });

interface Golden {
  runs: [{ logits: number[]; greedy_ids: number[] }, { greedy_ids: number[] }, object];
}

interface PromptGolden {
  texts: [{ ids: number[] }];
  conversations: [{ prompt: string }];
}

/** A copy of the golden, of which one file is changed. */
const changed = <File>(folder: string, name: string, file: string, change: (value: File) => unknown): string => {
  const directory = join(root, folder, name);
  cpSync(golden, directory, { recursive: true });
  const path = join(directory, file);
  const value = JSON.parse(readFileSync(path, "utf8")) as File;
  writeFileSync(path, JSON.stringify(change(value)));
  return directory;
};

describe("npm run parity", () => {
  it("prints a line for a checkpoint that agrees, and ends with 0", async () => {
    const { lines, exitCode } = await run(`${golden}/`);
    assert.strictEqual(lines.length, 1);
    assert.match(lines[0] ?? "", /^qwen3-every-form logits \d\.\de-[4-9] greedy ok tokenizer 6\/6 chat 3\/3$/);
    assert.strictEqual(exitCode, 0);
  });

  it("tells of each in a folder what misses, and ends with 1", async () => {
    changed<Golden>("misses", "a-logit", "golden.json", (value) => {
      value.runs[0].logits[7] = (value.runs[0].logits[7] ?? 0) + 0.01;
      return value;
    });
    changed<Golden>("misses", "b-greedy", "golden.json", (value) => {
      value.runs[1].greedy_ids[5] = ((value.runs[1].greedy_ids[5] ?? 0) + 1) % 288;
      return value;
    });
    changed<PromptGolden>("misses", "c-prompts", "tokenizer_golden.json", (value) => {
      value.texts[0].ids.push(3);
      value.conversations[0].prompt += " ";
      return value;
    });
    changed<object>("misses", "d-config", "config.json", (value) => ({ ...value, num_hidden_layers: 3 }));
    changed<object>("misses", "e-empty", "golden.json", () => ({ runs: [] }));
    changed<Golden>("misses", "f-shapeless", "golden.json", ({ runs }) => ({ runs: [{ ...runs[0], logits: [null] }] }));
    rmSync(
      join(
        changed<object>("misses", "g-golden", "config.json", (value) => value),
        "golden.json",
      ),
    );
    rmSync(
      join(
        changed<object>("misses", "h-weights", "config.json", (value) => value),
        "model.safetensors",
      ),
    );
    changed<object>("misses", "i-right", "config.json", (value) => value);
    const { lines, exitCode } = await run(join(root, "misses"));
    const expected = [
      /^a-logit logits 1\.0e-2 greedy ok tokenizer 6\/6 chat 3\/3$/,
      /^b-greedy logits \d\.\de-\d greedy diverges at 5 tokenizer 6\/6 chat 3\/3$/,
      /^c-prompts logits \d\.\de-\d greedy ok tokenizer 5\/6 chat 2\/3$/,
      /^d-config FAILED: tensor model\.layers\.2\.input_layernorm\.weight is missing$/,
      /^e-empty FAILED: golden\.json has no runs$/,
      /^f-shapeless FAILED: golden\.json: runs\[0\]\.logits is not a list of numbers$/,
      /^g-golden FAILED: there is no golden\.json beside its config\.json$/,
      /^h-weights FAILED: there is no safetensors file$/,
      /^i-right logits \d\.\de-\d greedy ok tokenizer 6\/6 chat 3\/3$/,
    ];
    assert.strictEqual(lines.length, expected.length, lines.join("\n"));
    for (const [index, line] of lines.entries()) assert.match(line, expected[index] ?? /^$/);
    assert.strictEqual(exitCode, 1);
  });

  it("ends with 1 where there is nothing to compare", async () => {
    const missing = await run(join(root, "nonesuch"));
    assert.deepStrictEqual(missing.lines, ["nonesuch FAILED: there is no golden.json in it or in a folder of it"]);
    assert.strictEqual(missing.exitCode, 1);
    assert.strictEqual((await run()).exitCode, 1);
  });
});
