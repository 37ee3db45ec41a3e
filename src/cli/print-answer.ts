import type { GenerationResult, GenerationStream } from "../client/node.ts";
import { styled } from "./print.ts";

/**
 * Prints an answer as it comes and ends its line. Reasoning is shown on a terminal's standard error alone: it is no part
 * of the answer.
 */
export const printAnswer = async (stream: GenerationStream): Promise<GenerationResult> => {
  let last = "";
  try {
    for await (const event of stream) {
      if (event.type !== "chunk" || event.candidateIndex !== 0) continue;
      if (event.reasoning !== "" && process.stderr.isTTY) {
        process.stderr.write(styled("dim", event.reasoning, process.stderr));
      }
      process.stdout.write(event.text);
      last = event.text || last;
    }
  } finally {
    // Also of an answer that broke off: what is told next begins a line.
    if (last !== "" && !last.endsWith("\n")) process.stdout.write("\n");
  }
  return stream.collect();
};
