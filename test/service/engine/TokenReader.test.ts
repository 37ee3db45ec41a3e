import { assert, describe, it } from "@effect/vitest";

import type { EngineEvent, EngineRequest, TokensEnd } from "../../../src/service/engine/Engine.ts";
import { TokenReader } from "../../../src/service/engine/TokenReader.ts";
import { plainReading } from "../../../src/service/output/parser.ts";
import { harmonyMarkers } from "../../../src/service/output/notations/harmony.ts";
import { createToolSet } from "../../../src/service/output/tool-set.ts";
import type { Vocabulary } from "../../../src/service/prompt/Vocabulary.ts";
import { byteVocabulary } from "../../support/byte-tokenizer.ts";
import { engineRequest } from "../../support/engine-request.ts";

const start = (
  overrides: Partial<EngineRequest> = {},
  parameters: Partial<EngineRequest["parameters"]> = {},
  vocabulary: Vocabulary = byteVocabulary,
) => {
  const events: EngineEvent[] = [];
  const request: EngineRequest = {
    ...engineRequest("gen_1", { maxOutputTokens: 50, stopTokenIds: [0], ...parameters }),
    promptTokenIds: [1],
    ...overrides,
  };
  const reader = new TokenReader(request, vocabulary, (event) => void events.push(event));
  const run = {
    token: (tokenId: number): boolean => reader.push(tokenId, { logprobs: [] }),
    end: (reason: TokensEnd): void => reader.end(reason),
  };
  /** Feeds the bytes of a text; tells whether a stop sequence ended it. */
  const say = (text: string): boolean => [...new TextEncoder().encode(text)].some((byte) => run.token(byte));
  const text = () => events.map((event) => (event.type === "output" ? event.text : "")).join("");
  return { run, events, say, text };
};

describe("TokenReader", () => {
  it("sends whole characters only, however the tokens cut them", () => {
    const { run, events, say, text } = start();
    say("한국어 👍🏽 é");
    run.end("max-output-tokens");
    assert.strictEqual(text(), "한국어 👍🏽 é");
    for (const event of events) if (event.type === "output") assert.notMatch(event.text, /\uFFFD|[\uD800-\uDBFF]$/);
  });

  it("flushes an incomplete character at the end", () => {
    const { run, text } = start();
    run.token(0xed);
    run.token(0x95);
    run.end("max-output-tokens");
    assert.strictEqual(text(), "\uFFFD");
  });

  it("ends before a stop sequence that comes in pieces", () => {
    const { events, say, text } = start({}, { stopSequences: ["STOP"] });
    assert.isTrue(say("go on S STO STOP and"));
    assert.strictEqual(text(), "go on S STO ");
    assert.deepInclude(events.at(-1), {
      type: "finished",
      reason: "stop-sequence",
      matched: { type: "stop-sequence", text: "STOP" },
    });
  });

  describe("of a vocabulary with special tokens", () => {
    const special = ["<|sep|>", "<|eos|>", "<tool_call>", "</tool_call>"];
    const vocabulary: Vocabulary = {
      ...byteVocabulary,
      isSpecial: (id) => id >= 256,
      piece: (id) => special[id - 256] ?? byteVocabulary.piece(id),
      specials: new Set(special),
    };
    const tokensOf = (output: string) =>
      output.split(/(<\|\w+\|>|<\/?tool_call>)/).flatMap((part) => {
        const id = special.indexOf(part);
        return id < 0 ? [...new TextEncoder().encode(part)] : [256 + id];
      });
    /** Its special tokens as such; `<|eos|>` ends it. */
    const outcomeOf = (output: string, stops: ReadonlyArray<string>, overrides: Partial<EngineRequest> = {}) => {
      const parameters = { stopSequences: stops, stopTokenIds: [257] };
      const { run, events, text } = start({ eosTokenIds: [257], ...overrides }, parameters, vocabulary);
      const tokens = tokensOf(output);
      if (!tokens.some((token) => run.token(token)))
        run.end(tokens.at(-1) === 257 ? "stop-token" : "max-output-tokens");
      const last = events.at(-1);
      if (last?.type !== "finished") throw new Error("it did not finish");
      return [text(), last.reason, ...last.warnings.map(({ kind }) => kind)];
    };
    const verbatim = { reading: { ...plainReading, verbatim: true } };

    it("ends before a stop sequence that is a special token in part", () => {
      for (const [stop, text] of [
        ["two <|sep|>", "one "],
        ["<|sep|> three", "one two "],
        ["o <|sep|> t", "one tw"],
        ["<|sep|><|sep|> three", "one two <|sep|>"],
      ] as const) {
        const output = stop.includes("<|sep|><|sep|>")
          ? "one two <|sep|><|sep|><|sep|> three"
          : "one two <|sep|> three";
        const expected = [text.replace("<|sep|>", ""), "stop-sequence"];
        const [got, reason] = outcomeOf(output, [stop]);
        assert.deepStrictEqual([got, reason], expected, stop);
        assert.deepStrictEqual(outcomeOf(output, [stop], verbatim), [text, "stop-sequence"], `verbatim, ${stop}`);
        const included = outcomeOf(output, [stop], { includeStopInOutput: true });
        assert.strictEqual(included[0], expected[0] + stop);
      }
    });

    it("leaves such a token out where it is no part of the stop sequence, and says so", () => {
      const output = "one <|sep|> two";
      assert.deepStrictEqual(outcomeOf(output, ["two <|sep|>"]), ["one  two", "max-output-tokens", "markers-removed"]);
      assert.deepStrictEqual(outcomeOf(output, ["two <|sep|>"], verbatim), [output, "max-output-tokens"]);
    });

    it("ends before a stop sequence whose last token ends the output by itself", () => {
      assert.deepStrictEqual(outcomeOf("one two<|eos|>", ["two<|eos|>"]), ["one ", "stop-sequence"]);
      for (const stops of [["three<|eos|>"], ["<|eos|>"], ["three<|eos|>", "<|eos|>"]]) {
        assert.deepStrictEqual(outcomeOf("one two<|eos|>", stops), ["one two", "end-of-sequence"]);
        assert.deepStrictEqual(outcomeOf("one two<|eos|>", stops, verbatim), ["one two", "end-of-sequence"]);
      }
    });

    it("gives a broken call back with its tags, and leaves a tag out that marks none", () => {
      const tools = createToolSet([{ name: "f", description: "", parameters: undefined }]);
      const format = { notation: "tagged", reasoningTags: undefined, cleanUp: [] } as const;
      const reading = { ...plainReading, format, tools };
      assert.deepStrictEqual(outcomeOf('a<tool_call>{"name": ', [], { reading }), [
        'a<tool_call>{"name": ',
        "max-output-tokens",
        "malformed-tool-call",
      ]);
      assert.deepStrictEqual(outcomeOf("a</tool_call>b", [], { reading }), [
        "ab",
        "max-output-tokens",
        "markers-removed",
      ]);
    });

    it("reads a call around a special token that only stop sequences know", () => {
      const tools = createToolSet([{ name: "f", description: "", parameters: undefined }]);
      const format = { notation: "tagged", reasoningTags: undefined, cleanUp: [] } as const;
      const { run, events } = start(
        { reading: { ...plainReading, format, tools } },
        { stopSequences: ["<|sep|>"] },
        vocabulary,
      );
      for (const token of tokensOf('<tool_call>{"name": <|sep|>"f"}</tool_call>')) run.token(token);
      run.end("max-output-tokens");
      const calls = events.flatMap((event) => (event.type === "output" ? event.toolCalls : []));
      assert.deepStrictEqual(
        calls.map(({ name }) => name),
        ["f"],
      );
    });
  });

  it("gives out what only looked like a stop sequence", () => {
    const { run, say, text } = start({}, { stopSequences: ["STOP"] });
    assert.isFalse(say("ST"));
    assert.strictEqual(text(), "");
    run.end("max-output-tokens");
    assert.strictEqual(text(), "ST");
  });

  it("tells end-of-sequence from a stop token of the task, and puts neither into the text", () => {
    for (const [tokenId, reason] of [
      [0, "end-of-sequence"],
      [65, "stop-token"],
    ] as const) {
      const { run, events, text } = start({}, { stopTokenIds: [0, 65] });
      run.token(tokenId);
      run.end("stop-token");
      assert.strictEqual(text(), "");
      assert.deepInclude(events.at(-1), { reason, matched: { type: "token", tokenId } });
    }
  });

  it("tells a full context from a limit", () => {
    for (const [fillsContext, reason] of [
      [true, "context-length"],
      [false, "max-output-tokens"],
    ] as const) {
      const { run, events } = start({ fillsContext });
      run.end("max-output-tokens");
      assert.deepInclude(events.at(-1), { reason });
    }
  });

  describe("of a model with a notation of its own", () => {
    const tools = createToolSet([{ name: "f", description: "", parameters: undefined }]);
    const reading = {
      format: { notation: "tagged", reasoningTags: { open: "<think>", close: "</think>" }, cleanUp: [] },
      tools,
      startsInReasoning: false,
      continues: false,
    } as const;
    const outputs = (events: ReadonlyArray<EngineEvent>) => events.filter((event) => event.type === "output");

    it("tells reasoning, text and calls apart, and that calls ended it", () => {
      const { run, events, say, text } = start({ reading });
      say('<think>hm 한</think>\n\nI call.\n<tool_call>\n{"name": "f", "arguments": {}}\n</tool_call>');
      run.token(0);
      run.end("stop-token");
      assert.strictEqual(text(), "I call.");
      const all = outputs(events);
      assert.strictEqual(all.map(({ reasoning }) => reasoning).join(""), "hm 한");
      const calls = all.flatMap(({ toolCalls }) => toolCalls);
      assert.deepStrictEqual(
        calls.map(({ name, arguments: json }) => [name, json]),
        [["f", "{}"]],
      );
      assert.match(calls[0]?.id ?? "", /^[0-9a-z]{9}$/);
      assert.deepInclude(events.at(-1), { reason: "tool-calls", matched: undefined, warnings: [] });
    });

    it("counts the tokens of reasoning, without those around it", () => {
      const { events, say } = start({ reading: { ...reading, startsInReasoning: true } });
      // One token a byte: the closing tag is eight, of which the first seven may still be reasoning.
      say("12345</think>ok");
      const counts = outputs(events).map(({ reasoningTokens }) => reasoningTokens);
      assert.deepStrictEqual(counts, [1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0]);
    });

    it("keeps the tokens in step with the model, whatever becomes of their text", () => {
      const { run, events, say } = start({ reading });
      const output = 'a<tool_call>{"name": "f"}</tool_call>';
      say(output);
      run.end("max-output-tokens");
      const ids = outputs(events).flatMap(({ tokenIds }) => tokenIds);
      assert.deepStrictEqual(ids, [...new TextEncoder().encode(output)]);
      assert.deepInclude(events.at(-1), { reason: "max-output-tokens" });
    });

    it("warns of a call that is cut off, which is text", () => {
      const { run, events, say, text } = start({ reading });
      say('<tool_call>{"name": "f", ');
      run.end("max-output-tokens");
      assert.strictEqual(text(), '<tool_call>{"name": "f", ');
      const last = events.at(-1);
      assert.deepStrictEqual(last?.type === "finished" && last.warnings.map(({ kind }) => kind), [
        "malformed-tool-call",
      ]);
    });

    it("sees its markers where they are special tokens, and no other special token is text", () => {
      const special = [...harmonyMarkers, "<|im_start|>"];
      const vocabulary: Vocabulary = {
        ...byteVocabulary,
        isSpecial: (id) => id >= 256,
        piece: (id) => special[id - 256] ?? byteVocabulary.piece(id),
      };
      const format = { notation: "harmony", reasoningTags: undefined, cleanUp: [] } as const;
      const { run, events, text } = start({ reading: { ...reading, format } }, {}, vocabulary);
      const output =
        "<|channel|>analysis<|message|>h한<|end|><|start|>assistant<|channel|>final<|message|>4<|im_start|>!";
      for (const part of output.split(/(<\|\w+\|>)/)) {
        const id = special.indexOf(part);
        for (const token of id < 0 ? new TextEncoder().encode(part) : [256 + id]) run.token(token);
      }
      run.end("max-output-tokens");
      assert.strictEqual(text(), "4!");
      assert.strictEqual(
        outputs(events)
          .map(({ reasoning }) => reasoning)
          .join(""),
        "h한",
      );
      assert.strictEqual(
        outputs(events).reduce((sum, { reasoningTokens }) => sum + reasoningTokens, 0),
        4,
      );
    });

    it("ends where the model goes on in another's turn", () => {
      const format = { notation: "harmony", reasoningTags: undefined, cleanUp: [] } as const;
      const final = "<|channel|>final<|message|>4<|end|>";
      const { events, say, text } = start({ reading: { ...reading, format } });
      assert.isTrue(say(`${final}<|start|>user<|message|>5`));
      assert.strictEqual(text(), "4");
      assert.deepInclude(events.at(-1), { reason: "stop-sequence" });
      const called = start({ reading: { ...reading, format } });
      called.say(
        "<|channel|>commentary to=functions.f<|message|>{}<|call|><|start|>functions.f to=assistant<|message|>",
      );
      assert.deepInclude(called.events.at(-1), { reason: "tool-calls" });
    });
  });
});
