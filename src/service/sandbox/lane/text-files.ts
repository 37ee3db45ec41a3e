/** Reads a model's tokenizer and chat template. */
import { createHash } from "node:crypto";

import {
  CheckpointInvalid,
  parseObject,
  readChatTemplateFile,
  readOptional,
  readRequired,
} from "../../checkpoint/checkpoint-files.ts";
import type { StandInTemplate } from "../../domain/family.ts";
import { detectOutputFormat, type OutputFormat } from "../../output/output-format.ts";
import { type ChatTemplate, createChatTemplate } from "../../prompt/chat-template.ts";
import { readChatTemplates } from "../../prompt/chat-template-source.ts";
import { createTokenizer } from "../../prompt/create-tokenizer.ts";
import type { Tokenizer } from "../../prompt/Tokenizer.ts";

/**
 * The part of a model that matters for text: where its files are, and what its architecture and the configuration say
 * about it.
 */
export interface TextModel {
  readonly directory: string;
  readonly family: string;
  readonly systemRole: boolean;
  readonly standIn: StandInTemplate;
  readonly cleanUp: ReadonlyArray<string>;
  /** The model's own size; the tokenizer's ids may exceed it by `maxExtraIds`. */
  readonly vocabularySize: number;
}

export interface TextFiles {
  readonly tokenizer: Tokenizer;
  readonly chatTemplate: ChatTemplate;
  readonly outputFormat: OutputFormat;
  /** Digest of the files' bytes. */
  readonly digest: string;
  readonly bytes: number;
}

/** Throws CheckpointInvalid. */
export const readTextFiles = async (model: TextModel): Promise<TextFiles> => {
  const { directory } = model;
  const tokenizerFile = await readRequired(directory, "tokenizer.json");
  const tokenizerJson = parseObject("tokenizer.json", tokenizerFile);
  checkTokenIds(tokenizerJson, model.vocabularySize);
  const tokenizerConfigFile = await readOptional(directory, "tokenizer_config.json");
  const tokenizerConfig = parseObject("tokenizer_config.json", tokenizerConfigFile);
  const template = await readChatTemplateFile(directory);
  const { chat, tools } = readChatTemplates(tokenizerConfig, template?.value);
  const files = [tokenizerFile, tokenizerConfigFile, template?.raw].map((file) => file ?? Buffer.of());
  return {
    tokenizer: build("tokenizer.json", () => createTokenizer({ tokenizerJson, tokenizerConfig })),
    chatTemplate: build(template?.file ?? "tokenizer_config.json", () =>
      createChatTemplate({
        tokenizerConfig,
        chatTemplateFile: template?.value,
        systemRole: model.systemRole,
        standIn: model.standIn,
      }),
    ),
    outputFormat: detectOutputFormat(`${chat}\n${tools}`, model.family, model.cleanUp),
    digest: files
      .reduce((hash, file) => hash.update(`${file.length}:`).update(file), createHash("sha256"))
      .digest("hex"),
    bytes: files.reduce((sum, file) => sum + file.length, 0),
  };
};

/** The tokenizer library allocates a list as long as the highest id, so a huge id must be refused first. */
const checkTokenIds = (tokenizerJson: Readonly<Record<string, unknown>>, vocabularySize: number): void => {
  const { added_tokens: added, model } = tokenizerJson;
  const vocabulary = (model as { readonly vocab?: unknown } | null | undefined)?.vocab;
  const pieces = typeof vocabulary === "object" && vocabulary !== null ? Object.values(vocabulary) : [];
  // Without a size from the model, the tokenizer's own number of entries is the limit.
  const limit = (vocabularySize || pieces.length) + maxExtraIds;
  const check = (id: unknown): void => {
    if (typeof id === "number" && id >= 0 && id < limit && Number.isInteger(id)) return;
    throw new CheckpointInvalid("tokenizer.json", `has the token id ${String(id)}; it must be below ${limit}`);
  };
  if (Array.isArray(added)) for (const token of added) check((token as { readonly id?: unknown } | null)?.id);
  // Unigram models have a list of pieces, whose indexes are the ids.
  if (Array.isArray(vocabulary)) check(Math.max(0, vocabulary.length - 1));
  else for (const id of pieces) check(id);
};

const maxExtraIds = 65_536;

/** The libraries throw plain errors whose messages name the part of the file that they cannot read. */
const build = <A>(file: string, create: () => A): A => {
  try {
    return create();
  } catch (error) {
    throw new CheckpointInvalid(file, `cannot be used: ${error instanceof Error ? error.message : "unknown error"}`);
  }
};
