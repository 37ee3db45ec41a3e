/** The grammar that a task's output is constrained by. */
import { Effect } from "effect";

import { InvalidField, type QueueFull, type SandboxLost, UnsupportedParameter } from "../domain/errors.ts";
import type { ChatInput } from "../domain/conversation.ts";
import type { GenerationTask, OutputConstraint } from "../domain/generation-task.ts";
import type { Grammar } from "../domain/grammar.ts";
import { parametersField } from "../output/tool-schema/tool-problems.ts";
import type { PromptTools } from "../models/prompting/PromptTools.ts";

/** Undefined if the output is not constrained. */
export const taskGrammar = Effect.fn("taskGrammar")(function* (
  { input, constraint }: GenerationTask,
  tools: PromptTools,
): Effect.fn.Return<Grammar | undefined, InvalidField | QueueFull | SandboxLost | UnsupportedParameter> {
  if (constraint === undefined) return input.type === "chat" ? yield* callGrammar(input, tools) : undefined;
  if (input.type === "chat" && input.tools.length > 0 && input.toolChoice.mode !== "none") {
    const hint = "where tools are offered the output may be a call; leave them out or set tool_choice to MODE_NONE";
    return yield* new UnsupportedParameter({ field: "task.constraint", model: tools.facts.id, hint });
  }
  const field = `task.constraint.${fields[constraint.type]}`;
  const made = yield* tools.grammars.make({ type: "constraint", constraint }, field);
  if ("grammar" in made) return made.grammar;
  const { reason, where } = made.refused;
  return yield* invalid(field, where === "" ? reason : `${where}: ${reason}`);
});

/** Undefined if no tool call is required. */
const callGrammar = Effect.fnUntraced(function* (
  { tools, toolChoice }: ChatInput,
  { grammars, outputFormat: { notation } }: PromptTools,
): Effect.fn.Return<Grammar | undefined, InvalidField | QueueFull | SandboxLost> {
  if (toolChoice.mode === "auto" || toolChoice.mode === "none") return undefined;
  const name = toolChoice.mode === "function" ? toolChoice.name : undefined;
  const several = name === undefined;
  if (several && tools.length === 0) return yield* invalid("task.chat.tool_choice.mode", "there are no tools to call");
  const chosen = several ? tools : tools.filter((tool) => tool.name === name);
  if (chosen.length === 0) return yield* invalid("task.chat.tool_choice.function", "it names none of the tools");
  const made = yield* grammars.make({ type: "calls", tools: chosen, notation, several }, "task.chat.tools");
  if ("grammar" in made) return made.grammar;
  const { reason, where } = made.refused;
  const tool = chosen[Number.parseInt(where, 10)];
  const at = tool === undefined ? "" : `[${tools.indexOf(tool)}].${parametersField(tool)}`;
  const description = `where it has to be called, its schema must be usable: ${reason}`;
  return yield* invalid(`task.chat.tools${at}`, description);
});

const invalid = (field: string, description: string): InvalidField =>
  new InvalidField({ violations: [{ field, description: description.slice(0, longestReason) }] });

const longestReason = 500;

const fields: Readonly<Record<OutputConstraint["type"], string>> = {
  "json-object": "json_object",
  "json-schema": "json_schema",
  regex: "regex",
  grammar: "grammar",
  choice: "choice",
};
