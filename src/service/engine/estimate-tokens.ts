/** Estimates the length of a prompt that another server tokenises, for use until that server reports it. */
import { imagesOf } from "../domain/conversation-options.ts";
import type { GenerationInput } from "../domain/generation-task.ts";

/**
 * One token for four bytes of UTF-8, as in English text, four tokens for each message, and 256 for each image, as
 * Gemma 3 needs.
 */
export const estimateTokens = (input: GenerationInput): number => {
  switch (input.type) {
    case "tokens":
      return input.ids.length;
    case "prompt":
      return tokensOf(input.text);
    case "chat": {
      const { messages, tools } = input;
      const texts = messages.flatMap(({ content, reasoning, toolCalls }) => [
        ...content.flatMap((part) => (part.type === "text" ? [part.text] : [])),
        reasoning,
        ...toolCalls.flatMap((call) => [call.name, call.arguments]),
      ]);
      const all = [...texts, ...tools.map((tool) => JSON.stringify(tool))];
      const beside = messages.length * tokensAroundMessage + imagesOf(input).length * tokensOfImage;
      return all.reduce((sum, text) => sum + tokensOf(text), beside);
    }
  }
};

const tokensOf = (text: string): number => Math.ceil(Buffer.byteLength(text) / bytesPerToken);

const bytesPerToken = 4;
const tokensAroundMessage = 4;
const tokensOfImage = 256;
