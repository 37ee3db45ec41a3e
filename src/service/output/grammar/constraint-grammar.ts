/** The grammar of a task's constraint. */
import type { Grammar } from "../../domain/grammar.ts";
import type { OutputConstraint } from "../../domain/generation-task.ts";
import { checkedGrammar } from "./check.ts";
import { ebnfGrammar } from "./ebnf.ts";
import { choice, GrammarRefused, text } from "./expressions.ts";
import { decodeOrderedJson } from "./key-order.ts";
import { SchemaGrammar } from "./json-schema.ts";
import { regexGrammar } from "./regex.ts";

/** Throws GrammarRefused. */
export const constraintGrammar = (constraint: OutputConstraint): Grammar => checkedGrammar(grammarOf(constraint));

const grammarOf = (constraint: OutputConstraint): Grammar => {
  switch (constraint.type) {
    case "json-object":
      return schemaGrammar({ type: "object" });
    case "json-schema":
      assertShort(constraint.schema);
      return schemaGrammar(decodeJson(constraint.schema));
    case "regex":
      assertShort(constraint.pattern);
      return { root: "root", rules: { root: regexGrammar(constraint.pattern, { partial: false }) } };
    case "grammar":
      assertShort(constraint.text);
      return ebnfGrammar(constraint.text);
    case "choice":
      return { root: "root", rules: { root: choice(...constraint.choices.map(text)) } };
  }
};

const schemaGrammar = (schema: unknown): Grammar => {
  const grammar = new SchemaGrammar();
  const root = grammar.add(schema);
  return { root: "root", rules: { ...grammar.rules, root } };
};

const assertShort = (source: string): void => {
  if (source.length > maxSource) {
    throw new GrammarRefused(`it has ${source.length} characters, which is more than ${maxSource}`);
  }
};

const decodeJson = (source: string): unknown => {
  try {
    return decodeOrderedJson(source);
  } catch (cause) {
    if (cause instanceof RangeError) throw new GrammarRefused("it is nested too deep");
    throw new GrammarRefused(`it is no JSON: ${syntaxProblem(cause)}`);
  }
};

const maxSource = 65_536;

/** Where V8 quotes the text that it could not read, without that: what a caller has sent goes into no message. */
const syntaxProblem = (cause: unknown): string =>
  cause instanceof Error ? cause.message.replace(/, (?:\.\.\.)?".*$/s, "") : "it cannot be read";
