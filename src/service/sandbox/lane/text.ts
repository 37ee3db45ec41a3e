/** Jobs that use a model's tokenizer and chat template, which a lane reads from the model's folder and caches. */
import { CheckpointInvalid } from "../../checkpoint/checkpoint-files.ts";
import type { ChatInput } from "../../domain/conversation.ts";
import type { OutputFormat } from "../../output/output-format.ts";
import { type ReasoningMarks, reasoningMarks } from "../../output/reasoning-marks.ts";
import { type ChatTemplate, ChatTemplateRefused } from "../../prompt/chat-template.ts";
import { describeVocabulary } from "../../prompt/describe-vocabulary.ts";
import { type Encoded, encodeWithin, encodeWithinOrCut, type TooLong } from "../../prompt/encode-within.ts";
import type { TemplateShape } from "../../prompt/template-shape.ts";
import type { VocabularyTable } from "../../prompt/Vocabulary.ts";
import { beginPhase, readingLimits } from "./phases.ts";
import { readTextFiles, type TextFiles, type TextModel } from "./text-files.ts";

/** What the service itself keeps of a model's tokenizer and chat template. */
export interface TextFacts {
  readonly vocabulary: VocabularyTable;
  readonly outputFormat: OutputFormat;
  readonly reasoningMarks: ReasoningMarks;
  readonly template: TemplateShape;
  /** Why the template cannot render even a plain question; empty if it can. */
  readonly templateFault: string;
  /** Later jobs carry it, so that they fail if the files have changed since. */
  readonly digest: string;
}

/** A model whose files were read before. */
export interface KnownTextModel extends TextModel {
  /** Undefined: use the files as they are now. */
  readonly digest: string | undefined;
}

/** Reads the files again and tries them on a short text and a short conversation. */
export const loadText = async (model: TextModel): Promise<TextFacts | { readonly problem: string }> => {
  try {
    const files = await read(model);
    cacheFiles(model, files);
    const { tokenizer, outputFormat, chatTemplate, digest } = files;
    tokenizer.encode(trialText, plain);
    const trial = attempt(() => files.chatTemplate.render(trialChat));
    beginPhase(readingLimits);
    return {
      vocabulary: describeVocabulary(tokenizer),
      outputFormat,
      reasoningMarks: reasoningMarks(outputFormat, (text) => tokenizer.encode(text, plain)),
      template: chatTemplate.shape,
      templateFault: trial instanceof ChatTemplateRefused && trial.kind !== "refusal" ? trial.reason : "",
      digest,
    };
  } catch (error) {
    if (error instanceof CheckpointInvalid) return { problem: error.message };
    throw error;
  }
};

export interface EncodeInput {
  readonly model: KnownTextModel;
  readonly texts: ReadonlyArray<string>;
  readonly addSpecialTokens: boolean;
  /** How many tokens of one text can be used. */
  readonly limit: number;
  /**
   * Cut a longer text to the limit, keeping its special tokens. Otherwise its tokens are returned in full, or it is
   * reported as too long.
   */
  readonly truncate: boolean;
}

/** Encodes each text in order. */
export const encode = async (input: EncodeInput): Promise<ReadonlyArray<Encoded | TooLong>> => {
  const { tokenizer } = await filesOf(input.model);
  const { limit, truncate, addSpecialTokens } = input;
  const encodeOne = truncate ? encodeWithinOrCut : encodeWithin;
  return input.texts.map((text) => encodeOne(tokenizer, text, { addSpecialTokens }, limit));
};

export interface RenderInput {
  readonly model: KnownTextModel;
  readonly chat: ChatInput;
  readonly limit: number;
}

export type Rendered =
  | { readonly text: string; readonly tokens: Encoded | TooLong }
  /**
   * Why the template does not render this conversation, in one sentence. `template`: the template rejects it.
   * `options`: it fails with the caller's options but not without them. `fault`: it fails for any caller.
   */
  | { readonly refused: string; readonly by: "template" | "options" | "fault" };

/** Renders the conversation as the model reads it. The template writes special tokens such as BOS itself. */
export const render = async ({ model, chat, limit }: RenderInput): Promise<Rendered> => {
  const { tokenizer, chatTemplate } = await filesOf(model);
  const rendered = attempt(() => chatTemplate.render(chat));
  if (rendered instanceof ChatTemplateRefused) {
    return { refused: rendered.reason, by: rendered.kind === "fault" ? faultBy(chat, chatTemplate) : "template" };
  }
  return { text: rendered, tokens: encodeWithin(tokenizer, rendered, plain, limit) };
};

const faultBy = (chat: ChatInput, template: ChatTemplate): "options" | "fault" => {
  if (Object.keys(chat.templateOptions).length === 0) return "fault";
  const without = attempt(() => template.render({ ...chat, templateOptions: {} }));
  return without instanceof ChatTemplateRefused && without.kind === "fault" ? "fault" : "options";
};

const plain = { addSpecialTokens: false };

const attempt = (make: () => string): string | ChatTemplateRefused => {
  try {
    return make();
  } catch (error) {
    if (error instanceof ChatTemplateRefused) return error;
    throw error;
  }
};

/** Contains many kinds of characters: a pattern whose time doubles with every word shows up here. */
const trialText =
  "The quick brown fox jumps over the lazy dog while 12345 other_animals look on and say nothing at all, " +
  "don't they? \t\n\n        안녕하세요 日本語 مرحبا 👩‍👩‍👧 e\u0301 ____________ ............ aaaaaaaaaaaaaaaa 3.14159e-10";

const trialChat: ChatInput = {
  type: "chat",
  messages: [
    {
      role: "user",
      content: [{ type: "text", text: trialText }],
      toolCalls: [],
      toolCallId: "",
      name: "",
      reasoning: "",
    },
  ],
  tools: [],
  toolChoice: { mode: "none" },
  templateOptions: {},
  continueFinalMessage: false,
};

const read = async (model: TextModel): Promise<TextFiles> => {
  beginPhase(readingLimits);
  const files = await readTextFiles(model);
  beginPhase();
  return files;
};

/** Ordered by last use, the most recent last. */
const cachedFiles = new Map<string, TextFiles>();

const keyOf = ({ directory, family, systemRole, standIn, cleanUp }: TextModel): string =>
  JSON.stringify([directory, family, systemRole, standIn, cleanUp]);

const filesOf = async (model: KnownTextModel): Promise<TextFiles> => {
  const known = cachedFiles.get(keyOf(model));
  const { digest = known?.digest } = model;
  const files = known !== undefined && known.digest === digest ? known : await read(model);
  if (files.digest !== (digest ?? files.digest))
    throw new Error("finds other files than were read before; ReloadCatalog reads them anew");
  cacheFiles(model, files);
  return files;
};

const cacheFiles = (model: TextModel, files: TextFiles): void => {
  cachedFiles.delete(keyOf(model));
  cachedFiles.set(keyOf(model), files);
  let bytes = [...cachedFiles.values()].reduce((sum, each) => sum + each.bytes, 0);
  for (const [key, each] of cachedFiles) {
    if (bytes <= maxCachedBytes || cachedFiles.size === 1) return;
    cachedFiles.delete(key);
    bytes -= each.bytes;
  }
};

/** Bytes of the files; a loaded tokenizer takes about ten times as much memory. */
const maxCachedBytes = 40 * 1024 ** 2;
