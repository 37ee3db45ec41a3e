/** Makes the grammar that a task asks for. A refusal is part of the result. */
import type { OutputConstraint } from "../../domain/generation-task.ts";
import type { Grammar } from "../../domain/grammar.ts";
import { type CallsOptions, callsGrammar } from "./calls.ts";
import { constraintGrammar } from "./constraint-grammar.ts";
import { GrammarRefused } from "./expressions.ts";

export type GrammarRequest =
  | { readonly type: "constraint"; readonly constraint: OutputConstraint }
  | ({ readonly type: "calls" } & CallsOptions);

export type MadeGrammar =
  | { readonly grammar: Grammar }
  /** `where` is a path in the input, beginning with the tool's index for calls; empty for the whole input. */
  | { readonly refused: { readonly reason: string; readonly where: string } };

export const makeGrammar = (request: GrammarRequest): MadeGrammar => {
  try {
    return { grammar: request.type === "calls" ? callsGrammar(request) : constraintGrammar(request.constraint) };
  } catch (cause) {
    if (cause instanceof GrammarRefused) return { refused: { reason: cause.reason, where: cause.where } };
    // Endlessly nested input exhausts the stack, wherever it is processed.
    if (cause instanceof RangeError) return { refused: { reason: "it is nested too deep", where: "" } };
    throw cause;
  }
};
