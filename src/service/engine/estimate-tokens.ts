/** A guess at the length of a prompt that another server tokenises, for before that server tells it. */
import type { GenerationInput } from "../domain/generation-task.ts";

/** Four bytes of UTF-8 are a token, as in English text, and each message has four tokens around it. Images count nothing. */
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
