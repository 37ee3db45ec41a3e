/** Uses a model's tokenizer and chat template in the sandbox. */
import { Effect } from "effect";

import {
  type InvalidField,
  ModelBroken,
  type ModelChanged,
  type QueueFull,
  type SandboxLost,
} from "../../domain/errors.ts";
import type { ChatInput } from "../../domain/conversation.ts";
import type { Encoded, TooLong } from "../../prompt/encode-within.ts";
import { fault } from "../../sandbox/fault.ts";
import type { JobFailed } from "../../sandbox/JobFailed.ts";
import type { EncodeInput, KnownTextModel, Rendered } from "../../sandbox/lane/text.ts";
import type { Sandbox } from "../../sandbox/Sandbox.ts";

/** The work exceeds the sandbox's limits: the caller's fault if the input is large, otherwise the model's. */
export type TextFailure = InvalidField | ModelBroken | ModelChanged | QueueFull | SandboxLost;

interface EncodeOptions extends Pick<EncodeInput, "addSpecialTokens" | "limit" | "truncate"> {
  /** The field of the request that contains the texts. */
  readonly field: string;
}

export interface Texts {
  /** The tokens of each text, in order. */
  readonly encode: (
    texts: ReadonlyArray<string>,
    options: EncodeOptions,
  ) => Effect.Effect<ReadonlyArray<Encoded | TooLong>, TextFailure>;
  /** Renders a conversation and tokenises it. */
  readonly render: (chat: ChatInput, options: Pick<EncodeOptions, "limit">) => Effect.Effect<Rendered, TextFailure>;
}

/**
 * @param unchanged fails if the files are no longer the model's: a failure is then not reported as the model's fault
 */
export const makeTexts = (
  sandbox: Sandbox["Service"],
  id: string,
  model: KnownTextModel,
  templateFault: string,
  unchanged: Effect.Effect<void, ModelChanged>,
): Texts => {
  const blame = (field: string, inputBytes: number, work: string) =>
    Effect.catch((failed: JobFailed): Effect.Effect<never, TextFailure> => {
      const error = fault(failed, { field, bytes: inputBytes, model: id, work });
      const isOfFiles = error._tag === "ModelBroken";
      return isOfFiles ? Effect.andThen(unchanged, Effect.fail(error)) : Effect.fail(error);
    });
  return {
    encode: (texts, { field, ...options }) => {
      const inputBytes = texts.reduce((sum, text) => sum + Buffer.byteLength(text), 0);
      return sandbox
        .run("encode", { model, texts, ...options }, { inputBytes, subject: model.directory })
        .pipe(blame(field, inputBytes, "tokenising it"));
    },
    render: (chat, { limit }) => {
      if (templateFault !== "") {
        const cause = `a plain question shows that its chat template is broken: ${templateFault}`;
        return Effect.andThen(unchanged, Effect.fail(new ModelBroken({ model: id, cause })));
      }
      const inputBytes = bytesOf(chat);
      return sandbox
        .run("render", { model, chat, limit }, { inputBytes, subject: model.directory })
        .pipe(blame("task.chat", inputBytes, "rendering and tokenising it"));
    },
  };
};

/** The bytes of all texts in it. */
const bytesOf = (chat: unknown): number => {
  if (typeof chat === "string") return Buffer.byteLength(chat);
  if (chat instanceof Uint8Array) return chat.length;
  if (typeof chat !== "object" || chat === null) return 8;
  return Object.values(chat).reduce<number>((sum, part) => sum + bytesOf(part), 0);
};
