import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, assert, beforeAll, describe, it } from "vitest";

import { contentId, readTasks } from "../../../src/cli/jobs/tasks-file.ts";
import { CommandFailed } from "../../../src/cli/failures.ts";
import { collect } from "../../support/collect.ts";
import { errorOf } from "../../support/error-of.ts";

describe("a file of tasks", () => {
  let directory: string;
  let path: string;
  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), "mlxd-tasks-"));
    path = join(directory, "tasks.jsonl");
  });
  afterAll(() => rmSync(directory, { recursive: true }));

  const read = (text: string) => {
    writeFileSync(path, text);
    return collect(readTasks(path));
  };

  it("has a task on each line: a text, an object with an input, or an input with options beside it", async () => {
    const lines = [
      '"What is 2+2?"',
      '{"input": "b", "seed": 7, "itemId": "q1"}',
      "",
      '{"messages": [{"role": "user", "content": "c"}], "tools": [], "temperature": 0.5}',
      '{"prompt": "d"}\r',
    ];
    assert.deepEqual(await read(lines.join("\n")), [
      { input: "What is 2+2?" },
      { input: "b", seed: 7, itemId: "q1" },
      { input: { messages: [{ role: "user", content: "c" }], tools: [] }, temperature: 0.5 },
      { input: { prompt: "d" } },
    ] as unknown[]);
  });

  it.each([
    ["no JSON", '"a"\n{"input": ', 2],
    ["a number", "\n\n7", 3],
    ["a list", '["a"]', 1],
  ])("with %s is refused by the number of the line", async (_, text, line) => {
    const error = await errorOf(read(text));
    assert.instanceOf(error, CommandFailed);
    assert.include(error.message, `${path}:${line}: `);
  });

  it("that cannot be read says why, in one sentence", async () => {
    for (const error of [await errorOf(collect(readTasks(directory))), await errorOf(contentId(`${path}.none`))]) {
      assert.instanceOf(error, CommandFailed);
      assert.match(error.message, /^cannot read .*: (EISDIR|ENOENT)$/);
    }
  });

  it("is known again by its content and by what else counts", async () => {
    writeFileSync(path, '"a"');
    const id = await contentId(path, "options");
    writeFileSync(`${path}.copy`, '"a"');
    assert.strictEqual(await contentId(`${path}.copy`, "options"), id);
    assert.notStrictEqual(await contentId(path, "others"), id);
    writeFileSync(path, '"b"');
    assert.notStrictEqual(await contentId(path, "options"), id);
  });
});
