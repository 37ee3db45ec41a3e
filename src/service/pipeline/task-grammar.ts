/** What the output of a task has to follow. */
import { Result } from "effect";

import { InvalidField, UnsupportedParameter } from "../domain/errors.ts";
import type { ChatInput, GenerationTask, OutputConstraint } from "../domain/generation.ts";
import type { Grammar } from "../domain/grammar.ts";
import type { PromptTools } from "../models/Models.ts";
import { callsGrammar } from "../output/grammar/calls.ts";
import { constraintGrammar } from "../output/grammar/constraint-grammar.ts";
import { GrammarRefused } from "../output/grammar/expressions.ts";
import type { Notation } from "../output/output-format.ts";

/** Undefined where it follows nothing. */
export const taskGrammar = (
  { input, constraint }: GenerationTask,
  { facts, outputFormat }: PromptTools,
): Result.Result<Grammar | undefined, InvalidField | UnsupportedParameter> => {
  if (constraint === undefined) {
    return input.type === "chat" ? callGrammar(input, outputFormat.notation) : Result.succeed(undefined);
  }
  if (input.type === "chat" && input.tools.length > 0 && input.toolChoice.mode !== "none") {
    const hint = "where tools are offered the output may be a call; leave them out or set tool_choice to MODE_NONE";
    return Result.fail(new UnsupportedParameter({ field: "task.constraint", model: facts.id, hint }));
  }
  return orInvalid(`task.constraint.${fields[constraint.type]}`, () => constraintGrammar(constraint));
};

/** Undefined where no tool has to be called. */
const callGrammar = (
  { tools, toolChoice }: ChatInput,
  notation: Notation,
): Result.Result<Grammar | undefined, InvalidField> => {
  if (toolChoice.mode === "auto" || toolChoice.mode === "none") return Result.succeed(undefined);
  const name = toolChoice.mode === "function" ? toolChoice.name : undefined;
  const several = name === undefined;
  if (several && tools.length === 0) return invalid("task.chat.tool_choice.mode", "there are no tools to call");
  const chosen = several ? tools : tools.filter((tool) => tool.name === name);
  if (chosen.length === 0) return invalid("task.chat.tool_choice.function", "it names none of the tools");
  const make = () => callsGrammar({ tools: chosen, notation, several });
  return orInvalid("task.chat.tools", make, ({ where, reason }) => {
    const tool = chosen[Number.parseInt(where, 10)];
    const at = tool === undefined ? "" : `[${tools.indexOf(tool)}].parameters`;
    return { field: `task.chat.tools${at}`, reason: `where it has to be called, its schema must be usable: ${reason}` };
  });
};

const invalid = (field: string, description: string): Result.Result<never, InvalidField> =>
  Result.fail(new InvalidField({ violations: [{ field, description }] }));

type Place = { readonly field: string; readonly reason: string };

const orInvalid = (
  field: string,
  make: () => Grammar,
  place: (refused: GrammarRefused) => Place = ({ message }) => ({ field, reason: message }),
): Result.Result<Grammar, InvalidField> => {
  try {
    return Result.succeed(make());
  } catch (cause) {
    // Whatever is nested without end exhausts the stack, wherever it is looked at.
    if (!(cause instanceof GrammarRefused || cause instanceof RangeError)) throw cause;
    const at = cause instanceof GrammarRefused ? place(cause) : { field, reason: "it is nested too deep" };
    return invalid(at.field, at.reason.slice(0, longestReason));
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
