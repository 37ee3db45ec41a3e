import { readFileSync, statSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { Tokenizer } from "@huggingface/tokenizers";
import { assert, describe, it } from "vitest";
import { heldOut, skills } from "../../scripts/train-demo/curriculum.ts";
import { Random } from "../../scripts/train-demo/random.ts";
import type { Message, Tool } from "../../scripts/train-demo/example.ts";
import { renderPrompt } from "../../scripts/train-demo/render.ts";
import { ChatTemplateRefused, createChatTemplate } from "../../src/service/prompt/chat-template.ts";

const folder = join(import.meta.dirname, "../../models/demo");
const readJson = (name: string): object => JSON.parse(readFileSync(join(folder, name), "utf8"));
const config: { vocab_size?: number; hidden_size?: number; num_hidden_layers?: number } = readJson("config.json");
const tokenizerConfig = readJson("tokenizer_config.json");
const tokenizer = new Tokenizer(readJson("tokenizer.json"), tokenizerConfig);
const template = createChatTemplate({ tokenizerConfig });

/** The prompt that the service makes of a conversation. */
const served = (messages: readonly Message[], tools: readonly Tool[] = []) =>
  template.render({
    type: "chat",
    messages: messages.map(({ role, content, tool_calls: calls = [] }) => ({
      role: role as "user",
      content: [{ type: "text", text: content }],
      toolCalls: calls.map(({ function: call }) => ({
        id: "",
        name: call.name,
        arguments: JSON.stringify(call.arguments),
      })),
      toolCallId: "",
      name: "",
      reasoning: "",
    })),
    tools: tools.map(({ function: { name, description = "", parameters } }) => ({ name, description, parameters })),
    toolChoice: { mode: "auto" },
    templateOptions: {},
    continueFinalMessage: false,
  });

describe("models/demo", () => {
  it("takes at most 8 MB", async () => {
    const sizes = (await readdir(folder)).map((name) => statSync(join(folder, name)).size);
    assert.isAtMost(
      sizes.reduce((sum, size) => sum + size, 0),
      8_000_000,
    );
  });

  it("holds float16 tensors of the sizes in config.json, one to four million values", () => {
    const file = readFileSync(join(folder, "model.safetensors"));
    const length = Number(file.readBigUInt64LE(0));
    const { __metadata__, ...tensors } = JSON.parse(file.toString("utf8", 8, 8 + length));
    const entries = Object.entries<{ dtype: string; shape: number[] }>(tensors);
    const parameters = entries.reduce(
      (sum, [, { shape }]) => sum + shape.reduce((product, side) => product * side, 1),
      0,
    );
    assert.deepEqual(__metadata__, { format: "pt" });
    assert.isTrue(entries.every(([, { dtype }]) => dtype === "F16"));
    assert.strictEqual(file.length, 8 + length + 2 * parameters);
    assert.isAtLeast(parameters, 1e6);
    assert.isAtMost(parameters, 4e6);
    assert.deepEqual(tensors["model.embed_tokens.weight"].shape, [config.vocab_size, config.hidden_size]);
    assert.strictEqual(entries.length, 2 + 12 * Number(config.num_hidden_layers));
    assert.strictEqual(config.vocab_size, tokenizer.get_vocab().size);
  });

  it.each([
    "Hello, world!",
    "한국어로 한 문장만 답해. 2+2는?",
    "1234567890 -12.5",
    "emoji 👋🏽 and ünïcödé",
    "tabs\tand\n\nlines  ",
    "中文 日本語 العربية",
  ])("encodes and decodes %j", (text) => {
    assert.strictEqual(tokenizer.decode(tokenizer.encode(text).ids, { skip_special_tokens: true }), text);
  });

  it("writes every digit as a token of its own", () => {
    const { tokens } = tokenizer.encode("1234");
    assert.deepEqual(tokens, ["1", "2", "3", "4"]);
  });

  it("renders a prompt as it was trained on", () => {
    for (const skill of skills) {
      for (const { messages, tools } of heldOut(skill, 20, new Random(4))) {
        assert.strictEqual(served(messages, tools), renderPrompt(messages, tools));
      }
    }
  });

  it("refuses a role it does not know", () => {
    const messages = [{ role: "wizard" as "user", content: "Hi" }];
    assert.throws(() => served(messages), ChatTemplateRefused, /unknown role wizard/);
  });

  it("has a card on which every skill keeps its bound", () => {
    const card = readFileSync(join(folder, "README.md"), "utf8");
    const rows = [...card.matchAll(/^\| (.+?) \| ([\d.]+) % \| (\d+) of (\d+) \| (\d+) % \|$/gm)];
    assert.deepEqual(
      rows.map(([, title]) => title),
      skills.map(({ title }) => title),
    );
    for (const [row, title, percent, right, asked, bound] of rows) {
      assert.isAtLeast(Number(percent), Number(bound), row);
      assert.strictEqual(Number(bound), Math.round(100 * (skills.find((skill) => skill.title === title)?.bound ?? 0)));
      assert.strictEqual(percent, ((100 * Number(right)) / Number(asked)).toFixed(1));
    }
  });
});
