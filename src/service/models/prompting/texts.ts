/** A model's tokenizer and chat template, which work in the sandbox. */
import { Effect } from "effect";

import {
  type InvalidField,
  ModelBroken,
  type ModelChanged,
  type QueueFull,
  type SandboxLost,
} from "../../domain/errors.ts";
import type { ChatInput } from "../../domain/generation.ts";
import type { Encoded, TooLong } from "../../prompt/encode-within.ts";
import { fault } from "../../sandbox/fault.ts";
import type { JobFailed } from "../../sandbox/JobFailed.ts";
import type { EncodeInput, KnownTextModel, Rendered } from "../../sandbox/lane/text.ts";
import type { Sandbox } from "../../sandbox/Sandbox.ts";

/** What was asked for takes more than it may: the caller's fault where it is large, else the model's. */
export type TextFailure = InvalidField | ModelBroken | ModelChanged | QueueFull | SandboxLost;

interface EncodeOptions extends Pick<EncodeInput, "addSpecialTokens" | "limit" | "truncate"> {
  /** Where the texts stand in the request message. */
  readonly field: string;
}

export interface Texts {
  /** Tokens of each text in turn. */
  readonly encode: (
    texts: ReadonlyArray<string>,
    options: EncodeOptions,
  ) => Effect.Effect<ReadonlyArray<Encoded | TooLong>, TextFailure>;
  /** A conversation as the model reads it, and its tokens. */
  readonly render: (chat: ChatInput, options: Pick<EncodeOptions, "limit">) => Effect.Effect<Rendered, TextFailure>;
}

/** @param unchanged fails where the files are not the model's any more: what went wrong is then theirs */
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

/** Of all its texts. */
const bytesOf = (chat: unknown): number => {
  if (typeof chat === "string") return Buffer.byteLength(chat);
  if (chat instanceof Uint8Array) return chat.length;
  if (typeof chat !== "object" || chat === null) return 8;
  return Object.values(chat).reduce<number>((sum, part) => sum + bytesOf(part), 0);
};
