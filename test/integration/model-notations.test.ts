/** What models of several kinds get and write, through the real service: templates, calls, special tokens. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest";

import { type RunningService, startService } from "../support/running-service.ts";
import { type ScriptedCheckpoint, writeScriptedCheckpoint } from "../support/scripted-checkpoint.ts";

const chatMl =
  "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}<|im_start|>assistant\n";
const chatMlTokens = ["<|im_start|>", "<|im_end|>"];

const models: Readonly<Record<string, ScriptedCheckpoint>> = {
  "phi-like": {
    script: ["ok"],
    template:
      "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}{% if m.role == 'system' and m.tools is defined %}<|tool|>{{ m.tools }}<|/tool|>{% endif %}<|end|>{% endfor %}<|assistant|>",
    specials: ["<|system|>", "<|user|>", "<|assistant|>", "<|end|>", "<|tool|>", "<|/tool|>"],
    eos: "<|end|>",
  },
  "coder-like": {
    script: [
      { special: "<tool_call>" },
      "\n<function=get_weather>\n<parameter=city>\nParis\n</parameter>\n<parameter=days>\n3\n</parameter>\n</function>\n",
      { special: "</tool_call>" },
    ],
    template: `{% if tools %}{{ tools|tojson }} <tool_call><function=NAME><parameter=KEY>VALUE</parameter></function></tool_call>{% endif %}${chatMl}`,
    specials: chatMlTokens,
  },
  "glm-like": {
    script: [{ special: "<tool_call>" }, "get_time\n", { special: "</tool_call>" }],
    template: `{% if tools %}{{ tools|tojson }} <tool_call>NAME<arg_key>KEY</arg_key><arg_value>VALUE</arg_value></tool_call>{% endif %}${chatMl}`,
    specials: chatMlTokens,
  },
  "cut-qwen": {
    script: ["So: ", { special: "<tool_call>" }, '{"name": "get_'],
    template: `{% if tools %}{{ tools|tojson }} <tool_call></tool_call>{% endif %}${chatMl}`,
    specials: chatMlTokens,
  },
  "html-llama": { script: ["Was <s>20 EUR</s>, now <b>15 EUR</b>."], template: chatMl, specials: chatMlTokens },
  "inst-llama": { script: ["One [INST] two."], template: chatMl, specials: chatMlTokens },
  "special-stop": {
    script: ["one two ", { special: "<|sep|>" }, " three four"],
    template: chatMl,
    specials: chatMlTokens,
  },
  "turn-qwen": { script: ["Hello", { special: "<|im_end|>" }, " and more"], template: chatMl, specials: chatMlTokens },
  "quoting-qwen": {
    script: ["Llama ends with <|eot_id|>, you see."],
    template: chatMl,
    specials: [...chatMlTokens, "<|eot_id|>"],
  },
  "history-qwen": {
    script: ["ok"],
    template: `{% for m in messages %}[{{ m.role }}]{{ m.content }}{% for c in m.tool_calls or [] %}{{ c.function.arguments|tojson }}{% endfor %}{% endfor %}-\r\n{% if true %}\r\nend{% endif %}`,
    specials: [],
  },
  centering: {
    script: ["ok"],
    template:
      "{% for m in messages %}{% if m.role == 'system' %}{{ 'x'|center(1000000000) }}{% endif %}{{ m.content }}{% endfor %}",
  },
  multiplying: {
    script: ["ok"],
    template:
      "{% for m in messages %}{% if m.role == 'system' %}{{ '%999999999d' % 1 }}{% endif %}{{ m.content }}{% endfor %}{{ 'x' * times|default(1) }}",
  },
  "gpt-oss-like": {
    script: [{ special: "<|channel|>" }, "final", { special: "<|message|>" }, "services: all up"],
    template:
      "{% for m in messages %}<|start|>{{ m.role }}<|message|>{{ m.content }}<|end|>{% endfor %}<|start|>assistant{# <|channel|> #}{{ '<|channel|>' if false }}",
    specials: ["<|start|>", "<|end|>", "<|return|>", "<|call|>", "<|constrain|>"],
  },
  "gpt-oss-python": {
    script: [{ special: "<|channel|>" }, "commentary to=python code", { special: "<|message|>" }, "print(1)"],
    template:
      "{% for m in messages %}<|start|>{{ m.role }}<|message|>{{ m.content }}<|end|>{% endfor %}<|start|>assistant{{ '<|channel|>' if false }}",
    specials: ["<|start|>", "<|end|>", "<|return|>", "<|constrain|>"],
    eos: "<|call|>",
  },
  "gpt-oss-reasoning": {
    script: [
      { special: "<|channel|>" },
      "analysis",
      { special: "<|message|>" },
      "hmm",
      { special: "<|end|>" },
      { special: "<|start|>" },
      "assistant to=python code",
    ],
    template:
      "{% for m in messages %}<|start|>{{ m.role }}<|message|>{{ m.content }}<|end|>{% endfor %}<|start|>assistant{{ '<|channel|>' if false }}",
    specials: ["<|start|>", "<|end|>", "<|return|>", "<|constrain|>"],
    eos: "<|call|>",
  },
};

let folder: string;
let service: RunningService;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "mlxd-notations-"));
  for (const [name, model] of Object.entries(models)) writeScriptedCheckpoint(join(folder, name), model);
  service = await startService({ MLXD_MODELS: folder, MLXD_DEFAULT_MODEL: "html-llama" });
}, 120_000);
afterAll(async () => {
  await service?.stop();
  rmSync(folder, { recursive: true, force: true });
});

interface Answer {
  readonly message?: string;
  readonly details?: ReadonlyArray<{ readonly debug?: { readonly reason?: string } }>;
  readonly result?: {
    readonly candidates: ReadonlyArray<{
      readonly text?: string;
      readonly toolCalls?: ReadonlyArray<{ readonly name: string; readonly arguments: string }>;
      readonly finishReason: string;
      readonly stopSequence?: string;
      readonly warnings?: ReadonlyArray<{ readonly kind: string; readonly message: string }>;
    }>;
  };
}

const ask = async (model: string, chat: object = {}, more: object = {}): Promise<Answer> => {
  const messages = [{ role: "ROLE_USER", content: [{ text: "Hi" }] }];
  const response = await fetch(`${service.url}/mlxd.v1.GenerationService/Generate`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ task: { model, chat: { messages, ...chat }, sampling: { temperature: 0 }, ...more } }),
  });
  return (await response.json()) as Answer;
};

/** Its text and how it ended. */
const answerOf = async (...request: Parameters<typeof ask>) => {
  const answer = await ask(...request);
  const [candidate] = answer.result?.candidates ?? [];
  if (candidate === undefined) throw new Error(JSON.stringify(answer));
  const { text = "", toolCalls = [], finishReason, warnings = [] } = candidate;
  return {
    text,
    calls: toolCalls.map(({ name, arguments: json }) => [name, json]),
    ended: finishReason.replace("FINISH_REASON_", ""),
    warnings: warnings.map(({ kind }) => kind.replace("KIND_", "")),
  };
};

const weather = {
  name: "get_weather",
  parameters: {
    type: "object",
    properties: { city: { type: "string" }, days: { type: "integer" } },
    required: ["city"],
  },
};

describe("a template", () => {
  it("that takes tools from its system message gets them there", async () => {
    const tools = [{ name: "get_time", description: "The time." }];
    const { text } = await answerOf("phi-like", { tools }, { output: { echoPrompt: true } });
    assert.include(text, '<|tool|>[{"name": "get_time", "description": "The time."}]<|/tool|>');
  });

  it("gets calls as they were written, results that say nothing, and its own line ends as Jinja reads them", async () => {
    const call = '{"post_id": 1234567890123456789, "ratio": 1.0, "n": 1e3, "2": "b", "1": "a"}';
    const messages = [
      { role: "ROLE_USER", content: [{ text: "q" }] },
      { role: "ROLE_ASSISTANT", toolCalls: [{ id: "c1", name: "get_post", arguments: call }] },
      { role: "ROLE_TOOL", toolCallId: "c1", name: "get_post", content: [{ text: "" }] },
      { role: "ROLE_ASSISTANT" },
      { role: "ROLE_TOOL", toolCallId: "c1", name: "get_post" },
    ];
    const { text } = await answerOf("history-qwen", { messages }, { output: { echoPrompt: true } });
    const exact = '{"post_id": 1234567890123456789, "ratio": 1.0, "n": 1000.0, "2": "b", "1": "a"}';
    assert.strictEqual(text, `[user]q[assistant]${exact}[tool][assistant][tool]-\nendok`);
  });

  it("refuses by name what it would leave out", async () => {
    for (const [field, chat] of [
      ["task.chat.tools", { tools: [weather] }],
      ["task.chat.template_options.enable_thinking", { templateOptions: { enable_thinking: true } }],
      ["task.chat.messages[0].name", { messages: [{ role: "ROLE_USER", name: "Ann", content: [{ text: "Hi" }] }] }],
      [
        "task.chat.messages[0].reasoning",
        { messages: [{ role: "ROLE_ASSISTANT", reasoning: "hm", content: [{ text: "Hi" }] }] },
      ],
    ] as const) {
      const { details, message = "" } = await ask("html-llama", chat);
      assert.strictEqual(details?.[0]?.debug?.reason, "UNSUPPORTED_PARAMETER", message);
      assert.include(message, field);
    }
  });
});

describe("a field that messages of its role have no use for", () => {
  const text = [{ text: "Hi" }];
  const toolCalls = [{ id: "c1", name: "get_weather", arguments: "{}" }];

  it.each<[string, object]>([
    ["tool_call_id", { role: "ROLE_USER", toolCallId: "c1", content: text }],
    ["tool_call_id", { role: "ROLE_ASSISTANT", toolCallId: "c1", content: text }],
    ["tool_calls", { role: "ROLE_USER", toolCalls, content: text }],
    ["tool_calls", { role: "ROLE_TOOL", toolCalls, content: text }],
    ["reasoning", { role: "ROLE_SYSTEM", reasoning: "hm", content: text }],
    ["reasoning", { role: "ROLE_TOOL", reasoning: "hm", content: text }],
  ])("%s is refused by name", async (field, message) => {
    const { details, message: told = "" } = await ask("history-qwen", { messages: [message] });
    assert.strictEqual(details?.[0]?.debug?.reason, "INVALID_FIELD", told);
    assert.include(told, `task.chat.messages[0].${field}: `);
  });
});

describe("a template that fails", () => {
  const reasonOf = async (model: string, chat: object) => {
    const { details, message = "" } = await ask(model, chat);
    return `${details?.[0]?.debug?.reason}: ${message}`;
  };
  const withSystem = [
    { role: "ROLE_SYSTEM", content: [{ text: "Be brief." }] },
    { role: "ROLE_USER", content: [{ text: "Hi" }] },
  ];

  it("is the model's fault, whatever the conversation", async () => {
    assert.match(await reasonOf("centering", { messages: withSystem }), /^MODEL_BROKEN: .*center/);
    assert.match(await reasonOf("multiplying", { messages: withSystem }), /^MODEL_BROKEN: /);
    assert.strictEqual((await answerOf("centering")).text, "ok");
  });

  it("for the caller's options is the caller's, and says which field", async () => {
    const told = await reasonOf("multiplying", { templateOptions: { times: 1_000_000_000 } });
    assert.match(told, /^INVALID_FIELD: .*task\.chat\.template_options: /);
    assert.match(
      await reasonOf("multiplying", { messages: withSystem, templateOptions: { times: 2 } }),
      /^MODEL_BROKEN/,
    );
  });
});

describe("a tool's schema as JSON text", () => {
  const parametersJson =
    '{"type": "object", "properties": {"2": {"maximum": 9007199254740993}, "1": {"default": 1.0}}}';

  it("reaches the model as it stands", async () => {
    const { text } = await answerOf(
      "coder-like",
      { tools: [{ name: "f", parametersJson }] },
      { output: { echoPrompt: true } },
    );
    assert.include(text, `"parameters": ${parametersJson}`);
  });

  it("is refused by its field", async () => {
    for (const [tool, why] of [
      [{ parametersJson, parameters: {} }, "only one of the two"],
      [{ parametersJson: "{" }, "it is no JSON: "],
      [{ parametersJson: "[1]" }, "it is no JSON object"],
      [{ parametersJson: '{"type": "object", "properties": {"a": {"type": "any"}}}' }, '"any" is no type'],
      [{ parametersJson: `{"not": ${'{"not": '.repeat(100)}{}${"}".repeat(101)}` }, "64"],
      [{ parametersJson: `{"enum": ${"[".repeat(100_000)}${"]".repeat(100_000)}}` }, "more than 65536 JSON values"],
      [{ parametersJson: `{"enum": ${"[".repeat(10_000)}${"]".repeat(10_000)}}` }, "nested more than 256 deep"],
      [{ parametersJson: `{"enum": [${"{},".repeat(100_000)}1]}` }, "more than 65536 JSON values"],
      [{ parametersJson: "{\"secret\": 'words'}" }, "it is no JSON: "],
    ] as const) {
      const { details, message = "" } = await ask("coder-like", { tools: [{ name: "f", ...tool }] });
      assert.strictEqual(details?.[0]?.debug?.reason, "INVALID_FIELD", message);
      assert.include(message, "task.chat.tools[0].parameters_json: ");
      assert.include(message, why);
      assert.notInclude(message, "words");
    }
  });
});

describe("calls in tags of functions", () => {
  it("are read, the values by the schema's types", async () => {
    assert.deepStrictEqual(await answerOf("coder-like", { tools: [weather] }), {
      text: "",
      calls: [["get_weather", '{"city": "Paris", "days": 3}']],
      ended: "TOOL_CALLS",
      warnings: [],
    });
  });

  it("are what the model is held to where it has to call", async () => {
    const toolChoice = { mode: "MODE_REQUIRED" };
    const { calls, ended } = await answerOf("coder-like", { tools: [weather], toolChoice });
    assert.deepStrictEqual([calls, ended], [[["get_weather", '{"city": "Paris", "days": 3}']], "TOOL_CALLS"]);
  });

  it("stay in the text with verbatim, tokens and all", async () => {
    const { text } = await answerOf("coder-like", { tools: [weather] }, { output: { verbatim: true } });
    assert.match(text, /^<tool_call>\n<function=get_weather>[^]*<\/function>\n<\/tool_call>$/);
  });
});

describe("a call", () => {
  it("of a model like GLM may have no arguments", async () => {
    const { calls, ended } = await answerOf("glm-like", { tools: [{ name: "get_time" }] });
    assert.deepStrictEqual([calls, ended], [[["get_time", "{}"]], "TOOL_CALLS"]);
  });

  it("that is broken off is text as it was written", async () => {
    const { text, warnings } = await answerOf("cut-qwen", { tools: [weather] });
    assert.deepStrictEqual([text, warnings], ['So: <tool_call>{"name": "get_', ["MALFORMED_TOOL_CALL"]]);
  });
});

describe("what looks like a marker", () => {
  const html = "Was <s>20 EUR</s>, now <b>15 EUR</b>.";

  it("is text where it is written in ordinary tokens", async () => {
    for (const output of [{}, { verbatim: true }]) {
      const expected = { text: html, calls: [], ended: "END_OF_SEQUENCE", warnings: [] };
      assert.deepStrictEqual(await answerOf("html-llama", {}, { output }), expected);
    }
    for (const temperature of [0, 0.01]) {
      const quoted = await answerOf("quoting-qwen", {}, { sampling: { temperature } });
      assert.deepStrictEqual([quoted.text, quoted.warnings], ["Llama ends with <|eot_id|>, you see.", []]);
    }
  });

  it("stops where the request asks for it", async () => {
    const { text, ended } = await answerOf("html-llama", {}, { stop: { stopSequences: ["</s>"] } });
    assert.deepStrictEqual([text, ended], ["Was <s>20 EUR", "STOP_SEQUENCE"]);
  });

  it("of a family that cuts the text brings a warning, and the request can do without", async () => {
    const cut = await answerOf("inst-llama");
    assert.deepStrictEqual([cut.text, cut.warnings], ["One", ["CUT_AT_MARKER"]]);
    const replaced = await answerOf(
      "inst-llama",
      {},
      { stop: { stopSequences: ["nothing"], replaceModelStops: true } },
    );
    assert.deepStrictEqual([replaced.text, replaced.warnings], ["One  two.", ["MARKERS_REMOVED"]]);
    const verbatim = await answerOf("inst-llama", {}, { output: { verbatim: true } });
    assert.deepStrictEqual([verbatim.text, verbatim.warnings], ["One [INST] two.", []]);
  });
});

describe("a special token", () => {
  it("stops where it is a stop sequence, the task's or the family's", async () => {
    const asked = await answerOf("special-stop", {}, { stop: { stopSequences: ["<|sep|>"] } });
    assert.deepStrictEqual([asked.text.trim(), asked.ended], ["one two", "STOP_SEQUENCE"]);
    const mixed = await answerOf("special-stop", {}, { stop: { stopSequences: ["two <|sep|> th"] } });
    assert.deepStrictEqual([mixed.text.trim(), mixed.ended], ["one", "STOP_SEQUENCE"]);
    const own = await answerOf("turn-qwen");
    assert.deepStrictEqual(own, { text: "Hello", calls: [], ended: "STOP_SEQUENCE", warnings: [] });
  });

  it("that is left out is told of, and stays with verbatim", async () => {
    const plain = await answerOf("special-stop");
    assert.deepStrictEqual([plain.text, plain.warnings], ["one two  three four", ["MARKERS_REMOVED"]]);
    const verbatim = await answerOf("special-stop", {}, { output: { verbatim: true } });
    assert.deepStrictEqual([verbatim.text, verbatim.warnings], ["one two <|sep|> three four", []]);
    const harmony = await answerOf("gpt-oss-like", {}, { output: { verbatim: true } });
    assert.strictEqual(harmony.text, "<|channel|>final<|message|>services: all up");
    assert.strictEqual((await answerOf("gpt-oss-like")).text, "services: all up");
  });
});

describe("options of a stream", () => {
  it("are refused where the answer comes in one piece", async () => {
    const { details, message = "" } = await ask("html-llama", {}, { output: { flushTokens: 4 } });
    assert.strictEqual(details?.[0]?.debug?.reason, "UNSUPPORTED_PARAMETER");
    assert.include(message, 'task.output.flush_tokens is not supported by model "html-llama"');
  });
});

describe("gpt-oss's own tools", () => {
  it("are told as tools that nobody offered", async () => {
    const { text, warnings } = await answerOf("gpt-oss-python");
    assert.deepStrictEqual([text, warnings], ["python print(1)", ["UNKNOWN_TOOL"]]);
  });

  it("are told of where the output ends in front of what they are given", async () => {
    const { text, warnings } = await answerOf("gpt-oss-reasoning");
    assert.deepStrictEqual([text, warnings], ["to=python code", ["MALFORMED_TOOL_CALL"]]);
  });
});

describe("gpt-oss's end of a message", () => {
  it("ends no verbatim answer: the reasoning has one too", async () => {
    const { text } = await answerOf("gpt-oss-reasoning", {}, { output: { verbatim: true } });
    assert.strictEqual(text, "<|channel|>analysis<|message|>hmm<|end|><|start|>assistant to=python code");
  });
});
