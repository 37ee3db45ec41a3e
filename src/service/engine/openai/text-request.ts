/** Converts a raw prompt to a request of OpenAI's text completions API, which continues it unchanged. */
import { type BackendEngine, backendPresets } from "../../domain/backend-presets.ts";
import type { ConversationOption } from "../../domain/conversation-options.ts";
import { present } from "../../domain/present.ts";
import type { ConversationRequest } from "../Engine.ts";
import { samplingOf, streaming } from "./request-options.ts";

/**
 * @param model the model's name at the server
 * @param unsupported options that this model does not support, beside those of its engine
 */
export const textRequest = (
  model: string,
  engine: BackendEngine,
  prompt: string,
  { parameters, topLogprobs }: Pick<ConversationRequest, "parameters" | "topLogprobs">,
  unsupported: ReadonlySet<ConversationOption>,
): string =>
  JSON.stringify({
    model,
    prompt,
    ...streaming,
    ...samplingOf(parameters, backendPresets[engine], unsupported),
    // In this API it is the number of alternatives.
    ...present({ logprobs: topLogprobs }),
  });
