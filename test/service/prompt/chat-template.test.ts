import { assert, describe, it } from "@effect/vitest";

import type { ChatInput, ChatMessage, ContentPart } from "../../../src/service/domain/conversation.ts";
import {
  type ChatTemplateOptions,
  ChatTemplateRefused,
  createChatTemplate,
} from "../../../src/service/prompt/chat-template.ts";
import { goldenNames, noGoldens, readGolden, tokenizerGolden } from "../../support/goldens.ts";

const message = (role: ChatMessage["role"], text: string, rest: Partial<ChatMessage> = {}): ChatMessage => ({
  role,
  content: [{ type: "text", text }],
  toolCalls: [],
  toolCallId: "",
  name: "",
  reasoning: "",
  ...rest,
});

const chat = (messages: readonly ChatMessage[], rest: Partial<ChatInput> = {}): ChatInput => ({
  type: "chat",
  messages,
  tools: [],
  toolChoice: { mode: "auto" },
  templateOptions: {},
  continueFinalMessage: false,
  ...rest,
});

const render = (template: string | undefined, input: ChatInput, options: Partial<ChatTemplateOptions> = {}) =>
  createChatTemplate({ tokenizerConfig: { chat_template: template, bos_token: "<s>" }, ...options }).render(input);

const refusal = (act: () => string): string => {
  try {
    return `not refused: ${act()}`;
  } catch (error) {
    assert.instanceOf(error, ChatTemplateRefused);
    return error.reason;
  }
};

const hello = [message("user", "Hello")];
const withSystem = [message("system", "Be brief."), message("user", "Hello")];
const turns =
  "{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}{% if add_generation_prompt %}[assistant]{% endif %}";
const tool = { name: "add", description: "", parameters: { type: "object" } };

describe("chat template goldens", () => {
  it("agree with transformers, prompt by prompt and error by error", (context) => {
    if (goldenNames.length === 0) context.skip(noGoldens);
    for (const name of goldenNames) {
      const template = createChatTemplate({ tokenizerConfig: readGolden(name, "tokenizer_config.json") });
      for (const golden of tokenizerGolden(name).conversations) {
        const messages = golden.messages.map(({ role, content, tool_calls: calls = [], tool_call_id: id = "" }) =>
          message(role, content, {
            toolCallId: id,
            toolCalls: calls.map(({ id: callId, function: call }) => ({
              id: callId,
              name: call.name,
              arguments: JSON.stringify(call.arguments),
            })),
          }),
        );
        const tools = (golden.tools ?? []).map(({ function: definition }) => definition);
        const input = chat(messages, { tools, templateOptions: golden.kwargs ?? {} });
        if (golden.prompt === undefined)
          assert.equal(
            refusal(() => template.render(input)),
            golden.error,
          );
        else assert.equal(template.render(input), golden.prompt, name);
      }
    }
  });
});

describe("a model without a template", () => {
  it.each([
    [
      "Gemma's turns, the system text in the first of the user",
      "tokenizer_default_or_gemma",
      "<s><start_of_turn>user\nBe brief.\n\nhi<end_of_turn>\n<start_of_turn>model\nyes<end_of_turn>\n" +
        "<start_of_turn>user\nmore<end_of_turn>\n<start_of_turn>model\n",
    ],
    [
      "harmony's turns",
      "gpt_oss",
      "<|start|>system<|message|>Be brief.<|end|><|start|>user<|message|>hi<|end|>" +
        "<|start|>assistant<|channel|>final<|message|>yes<|end|><|start|>user<|message|>more<|end|><|start|>assistant",
    ],
  ] as const)("gets %s where its family has these", (_, standIn, expected) => {
    const turns = [
      message("system", "Be brief."),
      message("user", "hi"),
      message("assistant", "yes"),
      message("user", "more"),
    ];
    assert.equal(render(undefined, chat(turns), { standIn }), expected);
    const tools = [{ name: "f", description: "", parameters: undefined }];
    assert.include(
      refusal(() => render(undefined, chat(turns, { tools }), { standIn })),
      "takes no tools",
    );
  });

  it("keeps its own template beside a stand-in", () => {
    assert.equal(render("own", chat([message("user", "hi")]), { standIn: "gpt_oss" }), "own");
  });

  it("loses no system text of a conversation without a user", () => {
    const text = render(undefined, chat([message("system", "Be brief.")]), { standIn: "tokenizer_default_or_gemma" });
    assert.equal(text, "<s><start_of_turn>user\nBe brief.<end_of_turn>\n<start_of_turn>model\n");
  });

  it("gets ChatML", () => {
    assert.equal(
      render(undefined, chat([...withSystem, message("assistant", "Hi."), message("user", "Bye.")])),
      "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHello<|im_end|>\n" +
        "<|im_start|>assistant\nHi.<|im_end|>\n<|im_start|>user\nBye.<|im_end|>\n<|im_start|>assistant\n",
    );
  });

  it("refuses tools and tool calls, for which it has no form", () => {
    assert.include(
      refusal(() => render(undefined, chat(hello, { tools: [tool] }))),
      "no tools",
    );
    const call = message("assistant", "", { toolCalls: [{ id: "1", name: "add", arguments: "{}" }] });
    assert.include(
      refusal(() => render(undefined, chat([...hello, call]))),
      "no tool calls",
    );
  });
});

describe("choosing a template", () => {
  const named = [
    { name: "default", template: "plain" },
    { name: "tool_use", template: "with {{ tools | length }} tools" },
    { name: "rag", template: "documents" },
  ];

  it("takes default and tool_use of a list of named ones", () => {
    const template = createChatTemplate({ tokenizerConfig: { chat_template: named } });
    assert.equal(template.render(chat(hello)), "plain");
    assert.equal(template.render(chat(hello, { tools: [tool] })), "with 1 tools");
    assert.equal(template.render(chat(hello, { tools: [tool], toolChoice: { mode: "none" } })), "plain");
  });

  it("prefers a template in a file of its own", () => {
    assert.equal(render("from the configuration", chat(hello), { chatTemplateFile: "from the file" }), "from the file");
    assert.equal(render("from the configuration", chat(hello), { chatTemplateFile: named }), "plain");
  });

  it("fails at once on what is no template", () => {
    assert.throws(() => createChatTemplate({ tokenizerConfig: { chat_template: "{% if %}" } }));
  });
});

describe("what a template sees", () => {
  it("special tokens, written as texts or as objects", () => {
    const tokenizerConfig = {
      chat_template: "{{ bos_token }}{{ eos_token }}{{ pad_token }}",
      bos_token: { content: "<b>" },
      eos_token: "<e>",
    };
    assert.equal(createChatTemplate({ tokenizerConfig }).render(chat(hello)), "<b><e>");
  });

  it("text parts as one text", () => {
    const content: ContentPart[] = [
      { type: "text", text: "one " },
      { type: "text", text: "two" },
    ];
    assert.equal(render(turns, chat([message("user", "", { content })])), "[user]one two[assistant]");
  });

  it("tool calls with their arguments as objects, and as they are where they are no JSON", () => {
    const template = "{% for c in messages[0].tool_calls %}{{ c.id }} {{ c | tojson }}\n{% endfor %}";
    const toolCalls = [
      { id: "a", name: "add", arguments: '{"x": [1, 2.5], "y": "é"}' },
      { id: "b", name: "add", arguments: "" },
      { id: "c", name: "add", arguments: "{broken" },
    ];
    const calls = render(template, chat([message("assistant", "", { toolCalls })]))
      .trim()
      .split("\n");
    const written = calls.map((call) => JSON.parse(call.slice(2)).function.arguments);
    assert.deepEqual(written, [{ x: [1, 2.5], y: "é" }, {}, "{broken"]);
  });

  it("no keys for what a message does not have", () => {
    const template = "{{ messages[0] | tojson }}";
    assert.equal(render(template, chat(hello)), '{"role": "user", "content": "Hello"}');
    const full = message("tool", "4", { toolCallId: "c1", name: "add", reasoning: "hm" });
    assert.deepEqual(JSON.parse(render(template, chat([full]))), {
      role: "tool",
      content: "4",
      tool_call_id: "c1",
      name: "add",
      reasoning_content: "hm",
      thinking: "hm",
    });
  });

  it("tools, whatever part of them it writes", () => {
    const named = { ...tool, parameters: { type: "object", properties: { a: { type: "string" } }, required: ["a"] } };
    const offered = chat(hello, { tools: [named] });
    const parts = {
      "{% for t in tools or [] %}{{ t.function.name }}{% endfor %}": "add",
      "{% for t in tools or [] %}{{ t.function.parameters.required|string }}{% endfor %}": "['a']",
      "{% for t in tools or [] %}{% for k, v in t.function.parameters.properties|items %}{{ k }}={{ v.default|string }};{% endfor %}{% endfor %}":
        "a=;",
    };
    for (const [template, text] of Object.entries(parts)) {
      const compiled = createChatTemplate({ tokenizerConfig: { chat_template: template } });
      assert.strictEqual(compiled.tools, "variable");
      assert.strictEqual(compiled.render(offered), text);
    }
  });

  it("tools that it writes in some conversations only, and refuses the others", () => {
    const besideSystem = `{% if tools and messages[0].role == 'system' %}{{ tools | tojson }}{% endif %}${turns}`;
    assert.include(render(besideSystem, chat(withSystem, { tools: [tool] })), '"name": "add"');
    assert.include(
      refusal(() => render(besideSystem, chat(hello, { tools: [tool] }))),
      "writes no tools",
    );
    assert.strictEqual(
      render(besideSystem, chat(hello, { tools: [tool], toolChoice: { mode: "none" } })),
      render(besideSystem, chat(hello)),
    );
  });

  it("tools in OpenAI's form, and none as none", () => {
    assert.equal(render("{{ tools is none }}", chat(hello)), "True");
    assert.equal(
      render("{{ tools | tojson }}", chat(hello, { tools: [tool, { ...tool, parameters: undefined }] })),
      '[{"type": "function", "function": {"name": "add", "description": "", "parameters": {"type": "object"}}}, ' +
        '{"type": "function", "function": {"name": "add", "description": ""}}]',
    );
  });

  it("the caller's options", () => {
    const template =
      "{% if enable_thinking is defined and enable_thinking is false %}no thinking{% else %}thinking{% endif %}";
    assert.equal(render(template, chat(hello, { templateOptions: { enable_thinking: false } })), "no thinking");
    assert.equal(render(template, chat(hello)), "thinking");
  });

  it("today's date, in English", () => {
    const now = () => new Date(2026, 6, 3, 9, 5);
    const template = "{{ strftime_now('%d %b %Y') }}|{{ strftime_now('%A, %-d %B %y %H:%M %p 100%%') }}";
    assert.equal(render(template, chat(hello), { now }), "03 Jul 2026|Friday, 3 July 26 09:05 AM 100%");
  });

  it("Jinja's range and constants", () => {
    const template =
      "{% for i in range(3) %}{{ i }}{% endfor %} {% for i in range(5, 0, -2) %}{{ i }}{% endfor %} {{ True and not None }}";
    assert.equal(render(template, chat(hello)), "012 531 True");
  });

  it("developer messages where it knows the role, system messages otherwise", () => {
    const messages = [message("developer", "Be brief."), ...hello];
    assert.equal(render(turns, chat(messages)), "[system]Be brief.[user]Hello[assistant]");
    assert.equal(
      render(`${turns}{# developer #}{{ "developer" if false }}`, chat(messages)),
      "[developer]Be brief.[user]Hello[assistant]",
    );
  });
});

describe("refusals", () => {
  it("carry the template's own words", () => {
    assert.equal(
      refusal(() => render("{{ raise_exception('Only users here') }}", chat(hello))),
      "Only users here",
    );
  });

  it("name a template that fails", () => {
    assert.match(
      refusal(() => render("{{ messages | nonsense }}", chat(hello))),
      /^the chat template fails on this conversation: /,
    );
    assert.match(
      refusal(() => render("{{ messages[0].missing + 'x' }}", chat(hello))),
      /has no attribute 'missing'/,
    );
  });

  it("stay short", () => {
    assert.isAtMost(
      refusal(() => render("{{ raise_exception(messages[0].content) }}", chat([message("user", "x".repeat(5000))])))
        .length,
      300,
    );
  });

  it("keep callers from setting what is not theirs", () => {
    for (const name of ["messages", "tools", "add_generation_prompt", "raise_exception", "true", "namespace"]) {
      assert.include(
        refusal(() => render(turns, chat(hello, { templateOptions: { [name]: 1 } }))),
        `"${name}"`,
      );
    }
  });
});

describe("a family without a system role", () => {
  const folded = "[user]Be brief.\n\nHello[assistant]";
  const strict = `{% if messages[0].role == 'system' %}{{ raise_exception('no system role') }}{% endif %}${turns}`;
  const forgetful = turns.replace(
    "[{{ m.role }}]{{ m.content }}",
    "{% if m.role != 'system' %}[{{ m.role }}]{{ m.content }}{% endif %}",
  );
  const systemRole = false;

  it("has its system text in front of the first user message where its template refuses it", () => {
    assert.equal(render(strict, chat(withSystem), { systemRole }), folded);
    assert.equal(
      refusal(() => render(strict, chat(withSystem))),
      "no system role",
    );
  });

  it("the same where its template leaves it out, or there is none", () => {
    assert.equal(render(forgetful, chat(withSystem), { systemRole }), folded);
    assert.equal(
      render(undefined, chat(withSystem), { systemRole }),
      "<|im_start|>user\nBe brief.\n\nHello<|im_end|>\n<|im_start|>assistant\n",
    );
  });

  it("keeps a template's own way to write it", () => {
    assert.equal(render(turns, chat(withSystem), { systemRole }), "[system]Be brief.[user]Hello[assistant]");
  });

  it("gathers several system messages, and makes a user message where there is none", () => {
    const several = [message("system", "One."), message("assistant", "Yes?"), message("system", "Two."), ...hello];
    assert.equal(
      render(forgetful, chat(several), { systemRole }),
      "[assistant]Yes?[user]One.\n\nTwo.\n\nHello[assistant]",
    );
    assert.equal(render(forgetful, chat([message("system", "One.")]), { systemRole }), "[user]One.[assistant]");
  });

  it("still refuses what folding does not mend", () => {
    const never = "{{ raise_exception('never') }}";
    assert.equal(
      refusal(() => render(never, chat(withSystem), { systemRole })),
      "never",
    );
  });
});

describe("continuing the final message", () => {
  const answer = [...hello, message("assistant", "One, two, ")];
  const continueFinalMessage = true;

  it("leaves its turn open", () => {
    assert.equal(
      render(undefined, chat(answer, { continueFinalMessage })),
      "<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\nOne, two, ",
    );
  });

  it("trims the content's end where the template trims contents", () => {
    const trimming = turns.replace("m.content", "m.content | trim");
    assert.equal(render(trimming, chat(answer, { continueFinalMessage })), "[user]Hello[assistant]One, two,");
  });

  it("is refused where there is nothing to continue", () => {
    assert.include(
      refusal(() => render(turns, chat([message("assistant", "")], { continueFinalMessage }))),
      "no content",
    );
    assert.include(
      refusal(() => render("nothing", chat(answer, { continueFinalMessage }))),
      "leaves out",
    );
  });
});
