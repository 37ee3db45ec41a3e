import { assert, describe, it } from "@effect/vitest";
import fc from "fast-check";

import type { Tool } from "../../../src/service/domain/conversation.ts";
import type { OutputDelta } from "../../../src/service/output/deltas.ts";
import { markersOf } from "../../../src/service/output/output-format.ts";
import { createParser } from "../../../src/service/output/parser.ts";
import { createToolSet } from "../../../src/service/output/tool-set.ts";
import { type RecordedOutput, recordedOutputs } from "../../fixtures/outputs.ts";

const string = { type: "string" };
const object = (properties: Record<string, unknown>, ...required: ReadonlyArray<string>) => ({
  type: "object",
  properties,
  required,
  additionalProperties: false,
});
const tools: ReadonlyArray<Tool> = [
  { name: "get_weather", description: "", parameters: object({ city: string, unit: string }, "city") },
  { name: "search", description: "", parameters: object({ query: string, filters: { type: "object" } }, "query") },
  { name: "write_file", description: "", parameters: object({ path: string, content: string }, "path", "content") },
  { name: "anything", description: "", parameters: undefined },
];

/** All that a parser makes of an output in pieces, joined by kind. */
const parse = ({ format, startsInReasoning = false }: RecordedOutput, pieces: Iterable<string>, offered = tools) => {
  const deltas: OutputDelta[] = [];
  let ids = 0;
  const reading = { format, tools: createToolSet(offered), startsInReasoning, continues: false };
  const parser = createParser(
    reading,
    (delta) => void deltas.push(delta),
    () => `call_${ids++}`,
  );
  for (const piece of pieces) if (piece !== "") parser.push(piece);
  parser.end();
  const foreign = deltas.findIndex(({ type }) => type === "foreign-turn");
  const own = foreign < 0 ? deltas : deltas.slice(0, foreign);
  const join = (type: "text" | "reasoning") => own.map((delta) => (delta.type === type ? delta.text : "")).join("");
  return {
    text: join("text"),
    reasoning: join("reasoning"),
    calls: own.flatMap((delta) => (delta.type === "tool-call" ? [delta.call] : [])),
    warnings: own.flatMap((delta) => (delta.type === "warning" ? [delta.warning.kind] : [])),
    foreignTurn: deltas.find((delta) => delta.type === "foreign-turn")?.marker,
  };
};

const expected = ({ text = "", reasoning = "", calls = [], warnings = [], foreignTurn }: RecordedOutput) => ({
  text,
  reasoning,
  calls: calls.map(([name, argumentsText], index) => ({ index, id: `call_${index}`, name, arguments: argumentsText })),
  warnings,
  foreignTurn,
});

describe("what models write", () => {
  for (const recorded of recordedOutputs) {
    it(`is read the same wherever it is cut: ${recorded.name}`, () => {
      const points = [...recorded.output];
      assert.deepStrictEqual(parse(recorded, [recorded.output]), expected(recorded), "whole");
      assert.deepStrictEqual(parse(recorded, points), expected(recorded), "by the character");
      for (let at = 1; at < points.length; at++) {
        const pieces = [points.slice(0, at).join(""), points.slice(at).join("")];
        assert.deepStrictEqual(parse(recorded, pieces), expected(recorded), `cut at ${at}`);
      }
    });
  }
});

const formats = [...new Map(recordedOutputs.map(({ format }) => [JSON.stringify(format), format])).values()];
/** Everything that markers are made of, without a whole one. */
const fragments = [...new Set(formats.flatMap((format) => markersOf(format)))].flatMap((marker) => [
  marker.slice(0, -1),
  marker.slice(1),
]);
const pieceOfText = fc.oneof(fc.string({ unit: "grapheme" }), fc.constantFrom(...fragments, "\n", '{"name": "', "x"));

describe("text without markers", () => {
  for (const format of formats) {
    const { notation, reasoningTags } = format;
    it(`passes unchanged and at once: ${notation}${reasoningTags ? " with reasoning" : ""}`, () => {
      const markers = markersOf(format);
      const longest =
        Math.max(...markers.map(({ length }) => length), '{"type":"function","name":"get_weather"'.length) + 34;
      fc.assert(
        fc.property(fc.array(pieceOfText), (pieces) => {
          const whole = pieces.join("");
          // Harmony has no text outside of its messages.
          const start = notation === "harmony" ? "<|channel|>final<|message|>" : "";
          fc.pre(!markers.some((marker) => whole.includes(marker)) && whole.trimStart() === whole);
          let text = "";
          const parser = createParser(
            { format, tools: createToolSet(tools), startsInReasoning: false, continues: false },
            (delta) => void (text += delta.type === "text" ? delta.text : "\0"),
            () => "id",
          );
          if (start !== "") parser.push(start);
          let given = "";
          for (const point of whole) {
            given += point;
            parser.push(point);
            assert.isTrue(given.startsWith(text));
            assert.isAtMost(given.length - text.length, longest);
          }
          parser.end();
          assert.strictEqual(text, whole);
        }),
        { numRuns: 300 },
      );
    });
  }
});
