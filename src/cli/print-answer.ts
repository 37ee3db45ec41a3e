import type { GenerationResult, GenerationStream } from "../client/node.ts";
import { note, write, writeStyled } from "./print.ts";

/**
 * Prints an answer as it comes, ends its line, and tells on standard error what is not to be seen in it. Reasoning is
 * shown on a terminal's standard error alone: it is no part of the answer.
 */
export const printAnswer = async (stream: GenerationStream): Promise<GenerationResult> => {
  let last = "";
  try {
    for await (const event of stream) {
      if (event.type !== "chunk" || event.candidateIndex !== 0) continue;
      if (event.reasoning !== "" && process.stderr.isTTY) writeStyled("dim", event.reasoning, process.stderr);
      write(event.text);
      last = event.text || last;
    }
  } finally {
    // Also of an answer that broke off: what is told next begins a line.
    if (last !== "" && !last.endsWith("\n")) write("\n");
  }
  const result = await stream.collect();
  for (const remark of remarks(result)) note(remark);
  return result;
};

/** What the reader of an answer would not guess. */
const remarks = ({ text, reasoning, finishReason, usage, warnings }: GenerationResult): readonly string[] => [
  ...(text.trim() === "" ? [`the answer is empty: ${emptiness(reasoning)} (${finishReason})`] : []),
  ...(finishReason === "max_output_tokens"
    ? [`the answer ends after ${usage.outputTokens} tokens; --max-output-tokens sets how many there may be`]
    : []),
  ...(finishReason === "context_length" ? ["the answer ends where the model's context is full"] : []),
  ...warnings.map(({ message }) => message),
];

const emptiness = (reasoning: string): string =>
  reasoning === "" ? "the model ended without a word" : "the model reasoned and said nothing";
