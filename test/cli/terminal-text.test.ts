/**
 * A model decides on its text, and so does whatever it was given to read: what a terminal would act on never reaches
 * one. The title, the clipboard and hidden text were set by answers; wide names shifted the columns of tables.
 */
import { assert, describe, it } from "vitest";
import { ConnectError, Code } from "@connectrpc/connect";

import { FinishReason, OutputWarning_Kind } from "../../src/client/gen/mlxd/v1/types_pb.ts";
import { columnsOf, cutToColumns, padColumns, showControls, showOnOneLine } from "../../src/cli/terminal-text.ts";
import { onTerminal, runCommand } from "../support/mlxd-command.ts";
import { chunkEvent, finishedEvent, numbered, startedEvent } from "../support/scripted-events.ts";
import { type Script, startScriptedServer } from "../support/scripted-server.ts";

const every = Array.from({ length: 0x2070 }, (_, code) => String.fromCharCode(code));
const isControl = (character: string) =>
  (/[\p{Cc}\u202a-\u202e\u2066-\u2069]/u.test(character) && character !== "\n" && character !== "\t") ||
  character === "\r";

describe("text for a terminal", () => {
  it("has no control character but tab and line end, and nothing that turns it around", () => {
    for (const character of every) {
      const shown = showControls(character);
      if (!isControl(character)) assert.equal(shown, character);
      else assert.equal(shown, `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`);
    }
    assert.equal(showControls("a\r\nb\rc"), "a\r\nb\\u000dc");
    assert.equal(showOnOneLine("a\tb\r\nc"), "a\\u0009b\\u000d\\u000ac");
  });

  it("leaves letters, emoji and their joiners as they are", () => {
    for (const text of ["한국어", "größer", "👩‍👩‍👧", "e\u0301", "שלום", "مرحبا"]) assert.equal(showControls(text), text);
  });

  it("stays the same JSON", () => {
    const value = { text: every.join("") };
    assert.deepEqual(JSON.parse(showControls(JSON.stringify(value, undefined, 2))), value);
  });

  it("is measured in columns, of which wide characters take two", () => {
    assert.equal(columnsOf("한국어-7B"), 9);
    assert.equal(padColumns("한국", 6), "한국  ");
    assert.equal(cutToColumns("한국어", 5), "한국");
    assert.equal(cutToColumns("ab👩‍👩‍👧c", 4), "ab👩‍👩‍👧");
    assert.equal(cutToColumns("abc", 80), "abc");
  });
});

const hostile = "\u001b]0;title\u0007\u001b]52;c;aGk=\u0007\u001b[8mred\u009b31m\u202Eabc\u2069 done";
const sentinels = ["\u001b]", "\u0007", "\u001b[8m", "\u009b", "\u202e", "\u2069"];

/** Says hostile things in every place where a service, a model or its files can say anything. */
const script: Script = {
  async *stream({ task }) {
    if (task?.model === "gone") throw new ConnectError(`no model ${hostile}`, Code.NotFound);
    yield* numbered([
      startedEvent(),
      chunkEvent(`${hostile}\r\n\ttext`, 1, { reasoning: `think ${hostile}` }),
      finishedEvent(1, {
        finishReason: FinishReason.END_OF_SEQUENCE,
        warnings: [{ kind: OutputWarning_Kind.UNKNOWN_TOOL, message: `warns ${hostile}` }],
      }),
    ]);
  },
  models: {
    getModel: () => ({ model: { id: `id ${hostile}`, stateReason: hostile } }),
    listModels: () => ({ models: [{ id: `two\nlines ${hostile}` }, { id: "한국어" }, { id: "ascii" }] }),
    pinModel: () => ({ model: { id: hostile } }),
    loadModel: () => ({ model: { id: hostile } }),
    unloadAllModels: () => ({ unloaded: [hostile], kept: [{ model: hostile, reason: hostile }] }),
    reloadCatalog: () => ({ added: [hostile] }),
  },
  tokenizer: { tokenize: () => ({ texts: [{ ids: [1], pieces: [hostile] }] }) },
  server: { getStats: () => ({ models: [{ model: hostile }] }) },
};

const commands: readonly (readonly [args: string, typed?: readonly string[]])[] = [
  ["generate hi"],
  ["generate hi --json"],
  ["generate hi --model gone || true"],
  ["chat", ["hello", "/exit"]],
  ["models"],
  ["models demo"],
  ["models demo --json"],
  ["load demo"],
  ["pin demo"],
  ["unload --all"],
  ["reload"],
  ["tokens hi"],
  ["stats"],
  [`$(printf 'b\\033]0;x\\007us') || true`],
];

describe("on a terminal", () => {
  it.for(commands)("mlxd %s shows control sequences and sends none", async ([args, typed], context) => {
    if (process.platform !== "linux") context.skip("another program than util-linux's script is needed");
    await using server = await startScriptedServer(script);
    const told = await onTerminal(args, { MLXD_SERVER: server.url }, typed);
    for (const sequence of sentinels) assert.notInclude(told, sequence, JSON.stringify(told));
    assert.include(told, "\\u001b]0;");
  });

  it("a table keeps its columns with wide names, and each model its line", async (context) => {
    if (process.platform !== "linux") context.skip("another program than util-linux's script is needed");
    await using server = await startScriptedServer(script);
    const lines = (await onTerminal("models", { MLXD_SERVER: server.url, NO_COLOR: "1" })).split("\r\n").slice(0, 4);
    const column = (line: string) => columnsOf(line.slice(0, line.search(/ (STATE|unknown)/)));
    assert.deepEqual(new Set(lines.map(column)).size, 1, lines.join("\n"));
  });
});

describe("into a pipe", () => {
  it("an answer, names and warnings go as they are", async () => {
    await using server = await startScriptedServer(script);
    const environment = { MLXD_SERVER: server.url };
    const answer = await runCommand(["generate", "hi"], environment);
    assert.deepEqual(answer, { exitCode: 0, stdout: `${hostile}\r\n\ttext\n`, stderr: `mlxd: warns ${hostile}\n` });
    assert.include((await runCommand(["pin", "demo"], environment)).stdout, hostile);
    assert.include((await runCommand(["chat"], environment, "hi\n")).stdout, hostile);
  });
});
