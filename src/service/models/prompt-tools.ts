/** Reading what is needed to make a model's prompts. */
import type { ModelFacts } from "../domain/model.ts";
import { createChatTemplate } from "../prompt/chat-template.ts";
import { createTokenizer } from "../prompt/create-tokenizer.ts";
import { CheckpointInvalid, decodeJson, JsonObject, readOptional, readRequired } from "./checkpoint-files.ts";
import type { FamilyProfile } from "./families.ts";
import type { PromptTools } from "./Models.ts";

/** Throws CheckpointInvalid. */
export const readPromptTools = async (facts: ModelFacts, profile: FamilyProfile): Promise<PromptTools> => {
  const { directory } = facts;
  const tokenizerFile = await readRequired(directory, "tokenizer.json");
  const tokenizerJson = decodeJson("tokenizer.json", tokenizerFile, JsonObject);
  const tokenizerConfigFile = await readOptional(directory, "tokenizer_config.json");
  const tokenizerConfig = decodeJson("tokenizer_config.json", tokenizerConfigFile, JsonObject);
  const template = await readChatTemplateFile(directory);
  return {
    facts,
    profile,
    tokenizer: build("tokenizer.json", () => createTokenizer({ tokenizerJson, tokenizerConfig })),
    chatTemplate: build(template?.file ?? "tokenizer_config.json", () =>
      createChatTemplate({
        tokenizerConfig,
        chatTemplateFile: template?.value,
        systemRole: profile.supportsSystem,
        standIn: profile.chatTemplate,
      }),
    ),
  };
};

export interface ChatTemplateFile {
  readonly file: string;
  readonly raw: Buffer;
  /** A template, or a list of named ones. */
  readonly value: unknown;
}

/** A template beside tokenizer_config.json, which wins over the one in it. */
export const readChatTemplateFile = async (directory: string): Promise<ChatTemplateFile | undefined> => {
  const jinja = await readOptional(directory, "chat_template.jinja");
  if (jinja !== undefined) return { file: "chat_template.jinja", raw: jinja, value: jinja.toString("utf8") };
  const file = "chat_template.json";
  const json = await readOptional(directory, file);
  if (json === undefined) return undefined;
  return { file, raw: json, value: decodeJson(file, json, JsonObject)["chat_template"] };
};

/** The libraries throw plain errors, whose messages name a part of the file that they do not know. */
const build = <A>(file: string, create: () => A): A => {
  try {
    return create();
  } catch (error) {
    throw new CheckpointInvalid(file, `cannot be used: ${error instanceof Error ? error.message : "unknown error"}`);
  }
};
