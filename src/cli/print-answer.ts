import type { GenerationResult, GenerationStream } from "../client/node.ts";
import { note, write, writeStyled } from "./print.ts";

/**
 * Prints an answer as it arrives, ends its line, and notes on standard error what the text does not show. Reasoning is
 * only shown if standard error is a terminal: it is not part of the answer.
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
    // Even if the answer broke off, so that the next note begins on a new line.
    if (last !== "" && !last.endsWith("\n")) write("\n");
  }
  const result = await stream.collect();
  for (const remark of remarks(result)) note(remark);
  return result;
};

/** Notes about an answer that its reader could not guess. */
const remarks = ({ text, reasoning, finishReason, usage, warnings }: GenerationResult): readonly string[] => [
  ...(text.trim() === "" ? [`the answer is empty: ${emptiness(reasoning)} (${finishReason})`] : []),
  ...(finishReason === "max_output_tokens"
    ? [`the answer ends after ${usage.outputTokens} tokens; --max-output-tokens allows more`]
    : []),
  ...(finishReason === "context_length" ? ["the answer ends where the model's context is full"] : []),
  ...warnings.map(({ message }) => message),
];

const emptiness = (reasoning: string): string =>
  reasoning === "" ? "the model ended its answer immediately" : "the model reasoned but wrote no answer";
