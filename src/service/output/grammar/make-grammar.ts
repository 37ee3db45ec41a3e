/** Makes a grammar of what a task asks for; what is refused is a part of the answer. */
import type { OutputConstraint } from "../../domain/generation.ts";
import type { Grammar } from "../../domain/grammar.ts";
import { type CallsOptions, callsGrammar } from "./calls.ts";
import { constraintGrammar } from "./constraint-grammar.ts";
import { GrammarRefused } from "./expressions.ts";

export type GrammarRequest =
  | { readonly type: "constraint"; readonly constraint: OutputConstraint }
  | ({ readonly type: "calls" } & CallsOptions);

export type MadeGrammar =
  | { readonly grammar: Grammar }
  /** `where` is a path in what was given, of calls the number of their tool; empty where it is all of it. */
  | { readonly refused: { readonly reason: string; readonly where: string } };

export const makeGrammar = (request: GrammarRequest): MadeGrammar => {
  try {
    return { grammar: request.type === "calls" ? callsGrammar(request) : constraintGrammar(request.constraint) };
  } catch (cause) {
    if (cause instanceof GrammarRefused) return { refused: { reason: cause.reason, where: cause.where } };
    // Whatever is nested without end exhausts the stack, wherever it is looked at.
    if (cause instanceof RangeError) return { refused: { reason: "it is nested too deep", where: "" } };
    throw cause;
  }
};
