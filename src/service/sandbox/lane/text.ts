/** Jobs with a model's tokenizer and chat template, which a lane reads from the model's folder and keeps. */
import { CheckpointInvalid } from "../../checkpoint/checkpoint-files.ts";
import type { ChatInput } from "../../domain/generation.ts";
import type { OutputFormat } from "../../output/output-format.ts";
import { type ReasoningMarks, reasoningMarks } from "../../output/reasoning-marks.ts";
import { type ChatTemplate, ChatTemplateRefused } from "../../prompt/chat-template.ts";
import { describeVocabulary } from "../../prompt/describe-vocabulary.ts";
import { type Encoded, encodeWithin, encodeWithinOrCut, type TooLong } from "../../prompt/encode-within.ts";
import type { TemplateShape } from "../../prompt/template-shape.ts";
import type { VocabularyTable } from "../../prompt/Vocabulary.ts";
import { beginPhase, readingLimits } from "./phases.ts";
import { readTextFiles, type TextFiles, type TextModel } from "./text-files.ts";

/** What the service keeps of a model's tokenizer and chat template. */
export interface TextFacts {
  readonly vocabulary: VocabularyTable;
  readonly outputFormat: OutputFormat;
  readonly reasoningMarks: ReasoningMarks;
  readonly template: TemplateShape;
  /** Why it cannot even write a plain question; empty where it can. */
  readonly templateFault: string;
  /** Later jobs name it: files that have changed since are not used. */
  readonly digest: string;
}

/** A model whose facts are known. */
export interface KnownTextModel extends TextModel {
  /** Undefined: whatever the files are. */
  readonly digest: string | undefined;
}

/** Reads the files anew and tries them on a short text and conversation. */
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
  /** Tokens of one text that are of use. */
  readonly limit: number;
  /** A longer text is cut to the limit within its special tokens; otherwise it is told in full, or as too long. */
  readonly truncate: boolean;
}

/** Of each text in turn. */
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
   * One sentence: why the template does not write this conversation. `template`: it refuses it. `options`: it fails with
   * the caller's options, and without them it does not. `fault`: it fails, and so would it for anybody.
   */
  | { readonly refused: string; readonly by: "template" | "options" | "fault" };

/** The conversation as the model reads it. A template writes the tokens around it itself. */
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

/** A bit of everything: a pattern that takes time that doubles with every word shows here. */
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

/** The last used comes last. */
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

/** Of files; a tokenizer takes ten times as much in memory. */
const maxCachedBytes = 40 * 1024 ** 2;
