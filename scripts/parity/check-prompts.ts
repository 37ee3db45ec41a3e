// Whether texts become the reference's tokens and conversations its prompts.
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";

import type { ChatInput } from "../../src/service/domain/conversation.ts";
import { readChatTemplateFile } from "../../src/service/checkpoint/checkpoint-files.ts";
import { ChatTemplateRefused, createChatTemplate } from "../../src/service/prompt/chat-template.ts";
import { createTokenizer } from "../../src/service/prompt/create-tokenizer.ts";
import type { Tokenizer } from "../../src/service/prompt/Tokenizer.ts";

/** tokenizer_golden.json. */
interface PromptGolden {
  readonly texts: ReadonlyArray<GoldenText>;
  readonly conversations: ReadonlyArray<GoldenConversation>;
}

interface GoldenText {
  readonly text: string;
  readonly ids: ReadonlyArray<number>;
  readonly ids_with_special: ReadonlyArray<number>;
  readonly decoded: string;
  readonly decoded_skip_special: string;
}

interface GoldenConversation {
  readonly messages: ReadonlyArray<{
    readonly role: "system" | "user" | "assistant" | "tool" | "developer";
    readonly content: string;
    readonly tool_call_id?: string;
    readonly tool_calls?: ReadonlyArray<{
      readonly id?: string;
      readonly function: { readonly name: string; readonly arguments: object };
    }>;
  }>;
  readonly tools?: ReadonlyArray<{
    readonly function: {
      readonly name: string;
      readonly description?: string;
      readonly parameters?: Readonly<Record<string, unknown>>;
    };
  }>;
  readonly kwargs?: Readonly<Record<string, unknown>>;
  /** One of these two. */
  readonly prompt?: string;
  readonly error?: string;
}

export interface Agreement {
  readonly right: number;
  readonly all: number;
}

export interface PromptParity {
  readonly tokenizer: Agreement;
  readonly chat: Agreement;
}

export const checkPrompts = async (directory: string): Promise<PromptParity> => {
  const read = (file: string): string => readFileSync(join(directory, file), "utf8");
  if (!existsSync(join(directory, "tokenizer_golden.json"))) return { tokenizer: none, chat: none };
  const golden = JSON.parse(read("tokenizer_golden.json")) as PromptGolden;
  const tokenizerConfig = JSON.parse(read("tokenizer_config.json")) as object;
  const tokenizer = createTokenizer({ tokenizerJson: JSON.parse(read("tokenizer.json")) as object, tokenizerConfig });
  const templateFile = await readChatTemplateFile(directory);
  const template = createChatTemplate({ tokenizerConfig, chatTemplateFile: templateFile?.value });
  return {
    tokenizer: count(golden.texts, (text) => isTokenizedAlike(tokenizer, text)),
    chat: count(golden.conversations, (conversation) => {
      const { prompt, error } = conversation;
      const rendered = renderOrRefuse(() => template.render(toChatInput(conversation)));
      return prompt === undefined ? rendered.refusal === error : rendered.prompt === prompt;
    }),
  };
};

const none: Agreement = { right: 0, all: 0 };

const count = <A>(items: ReadonlyArray<A>, isRight: (item: A) => boolean): Agreement => ({
  right: items.filter(isRight).length,
  all: items.length,
});

const isTokenizedAlike = (tokenizer: Tokenizer, golden: GoldenText): boolean => {
  const ids = tokenizer.encode(golden.text, { addSpecialTokens: false });
  const withSpecial = tokenizer.encode(golden.text, { addSpecialTokens: true });
  return (
    isSame(ids, golden.ids) &&
    isSame(withSpecial, golden.ids_with_special) &&
    tokenizer.decode(ids, { skipSpecialTokens: false }) === golden.decoded &&
    tokenizer.decode(ids, { skipSpecialTokens: true }) === golden.decoded_skip_special
  );
};

const isSame = (a: ReadonlyArray<number>, b: ReadonlyArray<number>): boolean =>
  a.length === b.length && a.every((id, index) => id === b[index]);

const toChatInput = ({ messages, tools = [], kwargs = {} }: GoldenConversation): ChatInput => ({
  type: "chat",
  messages: messages.map(({ role, content, tool_call_id: toolCallId = "", tool_calls: calls = [] }) => ({
    role,
    content: [{ type: "text", text: content }],
    toolCallId,
    toolCalls: calls.map(({ id = "", function: call }) => ({
      id,
      name: call.name,
      arguments: JSON.stringify(call.arguments),
    })),
    name: "",
    reasoning: "",
  })),
  tools: tools.map(({ function: { name, description = "", parameters } }) => ({ name, description, parameters })),
  toolChoice: { mode: "auto" },
  templateOptions: kwargs,
  continueFinalMessage: false,
});

const renderOrRefuse = (render: () => string): { readonly prompt?: string; readonly refusal?: string } => {
  try {
    return { prompt: render() };
  } catch (cause) {
    if (cause instanceof ChatTemplateRefused) return { refusal: cause.reason };
    throw cause;
  }
};
