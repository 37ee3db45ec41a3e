/** The parts that requests of chat completions and of text completions share. */
import type { BackendPreset } from "../../domain/backend-presets.ts";
import { type ConversationOption, heededParameters } from "../../domain/conversation-options.ts";
import type { EffectiveParameters } from "../../domain/generation-task.ts";
import { present } from "../../domain/present.ts";

/** Streamed, with the counts of tokens at the end. */
export const streaming = { stream: true, stream_options: { include_usage: true } } as const;

/** Options with the server's default value are left out, because some models refuse options that others have. */
export const samplingOf = (
  parameters: EffectiveParameters,
  { options, outputLimit }: BackendPreset,
  unsupported: ReadonlySet<ConversationOption>,
) => {
  const heeded = new Set(options).difference(unsupported);
  const sent = heededParameters(parameters, heeded);
  const { temperature, topP, topK, minP, repetitionPenalty, presencePenalty, frequencyPenalty, stopSequences } = sent;
  return present({
    temperature: heeded.has("sampling.temperature") ? temperature : undefined,
    top_p: topP === 1 ? undefined : topP,
    top_k: topK,
    min_p: minP > 0 ? minP : undefined,
    repetition_penalty: repetitionPenalty === 1 ? undefined : repetitionPenalty,
    presence_penalty: presencePenalty === 0 ? undefined : presencePenalty,
    frequency_penalty: frequencyPenalty === 0 ? undefined : frequencyPenalty,
    // 31 bits, because some servers read it as a signed number.
    seed: heeded.has("sampling.seed") ? sent.seed & 0x7fff_ffff : undefined,
    stop: stopSequences.length > 0 ? stopSequences : undefined,
    [outputLimit]: sent.maxOutputTokens,
  });
};
