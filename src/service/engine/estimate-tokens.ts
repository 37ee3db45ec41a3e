/** Estimates the length of a prompt that another server tokenises, for use until that server reports it. */
import type { GenerationInput } from "../domain/generation-task.ts";

/** One token for four bytes of UTF-8, as in English text, and four tokens for each message. Images are not counted. */
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
      return all.reduce((sum, text) => sum + tokensOf(text), messages.length * tokensAroundMessage);
    }
  }
};

const tokensOf = (text: string): number => Math.ceil(Buffer.byteLength(text) / bytesPerToken);

const bytesPerToken = 4;
const tokensAroundMessage = 4;
