/** What the output of a task has to follow. */
import { Result } from "effect";

import { InvalidField, UnsupportedParameter } from "../domain/errors.ts";
import type { GenerationTask, OutputConstraint } from "../domain/generation.ts";
import type { Grammar } from "../domain/grammar.ts";
import type { PromptTools } from "../models/Models.ts";
import { constraintGrammar } from "../output/grammar/constraint-grammar.ts";
import { GrammarRefused } from "../output/grammar/expressions.ts";

/** Undefined where it follows nothing. */
export const taskGrammar = (
  { input, constraint }: GenerationTask,
  { facts }: PromptTools,
): Result.Result<Grammar | undefined, InvalidField | UnsupportedParameter> => {
  if (constraint === undefined) return Result.succeed(undefined);
  if (input.type === "chat" && input.tools.length > 0 && input.toolChoice.mode !== "none") {
    const hint = "where tools are offered the output may be a call; leave them out or set tool_choice to MODE_NONE";
    return Result.fail(new UnsupportedParameter({ field: "task.constraint", model: facts.id, hint }));
  }
  return orInvalid(`task.constraint.${fields[constraint.type]}`, () => constraintGrammar(constraint));
};

const orInvalid = (field: string, make: () => Grammar): Result.Result<Grammar, InvalidField> => {
  try {
    return Result.succeed(make());
  } catch (cause) {
    // Whatever is nested without end exhausts the stack, wherever it is looked at.
    if (!(cause instanceof GrammarRefused || cause instanceof RangeError)) throw cause;
    const reason = cause instanceof GrammarRefused ? cause.message : "it is nested too deep";
    return Result.fail(new InvalidField({ violations: [{ field, description: reason.slice(0, longestReason) }] }));
  }
};

const longestReason = 500;

const fields: Readonly<Record<OutputConstraint["type"], string>> = {
  "json-object": "json_object",
  "json-schema": "json_schema",
  regex: "regex",
  grammar: "grammar",
  choice: "choice",
};
