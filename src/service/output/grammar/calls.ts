/** The grammar of tool calls in a model's own notation, for tasks that require a call. */
import type { Tool } from "../../domain/conversation.ts";
import type { Grammar, GrammarExpression } from "../../domain/grammar.ts";
import type { Notation } from "../output-format.ts";
import { deepseekMarkers } from "../notations/deepseek.ts";
import { harmonyMarkers } from "../notations/harmony.ts";
import { mistralMarkers } from "../notations/mistral.ts";
import { phiMarkers, taggedMarkers } from "../notations/tagged.ts";
import { checkedGrammar } from "./check.ts";
import { choice, GrammarRefused, nothing, optional, repeat, sequence, text } from "./expressions.ts";
import { jsonLiteral } from "./json-text.ts";
import { decodeOrderedJson } from "./key-order.ts";
import { SchemaGrammar } from "./json-schema.ts";
import { type PlainArgument, plainArguments, plainText, plainTextRule } from "./plain-arguments.ts";
import { isObject, type JsonObject } from "../json-object.ts";

export interface CallsOptions {
  /** At least one. */
  readonly tools: ReadonlyArray<Tool>;
  readonly notation: Notation;
  /** Whether more calls may follow the first. */
  readonly several: boolean;
}

/** Throws GrammarRefused with a `where` that begins with the tool's index. */
export const callsGrammar = ({ tools, notation, several }: CallsOptions): Grammar => {
  const schemas = new SchemaGrammar();
  const calls = tools.map(({ name, parameters, parametersText }, index) => {
    try {
      const taken = ofObjects(parametersText === undefined ? parameters : inOrder(parametersText));
      const closing = closings[notation];
      if (closing !== undefined) return { name, arguments: nothing, plain: plainArguments(taken, schemas, closing) };
      return { name, arguments: schemas.shared(schemas.add(taken)), plain: [] };
    } catch (cause) {
      throw cause instanceof GrammarRefused ? new GrammarRefused(cause.message, `${index}`) : cause;
    }
  });
  const root = notations[notation](calls, several, (of) => schemas.shared(of));
  const plain = plainText(closings[notation] ?? "</");
  return checkedGrammar({ root: "root", rules: { ...schemas.rules, [plainTextRule]: plain, root } });
};

interface CallableTool {
  readonly name: string;
  readonly arguments: GrammarExpression;
  /** For notations that write each argument separately. */
  readonly plain: ReadonlyArray<PlainArgument>;
}

/** The closing tag of an argument that is written separately. */
const closings: Readonly<Partial<Record<Notation, string>>> = { functions: "</parameter>", args: "</arg_value>" };

/** @param share makes a rule of an expression that is used in several places */
type Write = (
  calls: ReadonlyArray<CallableTool>,
  several: boolean,
  share: (of: GrammarExpression) => GrammarExpression,
) => GrammarExpression;

const inOrder = (parametersText: string): Tool["parameters"] => {
  const decoded = decodeOrderedJson(parametersText);
  return isObject(decoded) ? decoded : {};
};

/** Arguments are an object whatever the schema says; a schema that allows no object is unusable. */
const ofObjects = (parameters: Tool["parameters"] = {}): JsonObject => {
  const { type = "object" } = parameters;
  const types: ReadonlyArray<unknown> = Array.isArray(type) ? type : [type];
  if (!types.includes("object")) throw new GrammarRefused('arguments are an object: it must be "object"', "#/type");
  return { ...parameters, type: "object" };
};

const tagged: Write = (calls, several, share) => {
  const [open, close] = taggedMarkers;
  const call = sequence(text(`${open}\n`), callObject(calls, "arguments"), text(`\n${close}`));
  return oneOrMore(share(call), text("\n"), several);
};

const phi: Write = (calls, several, share) => {
  const [open, close] = phiMarkers;
  const call = share(callObject(calls, "arguments"));
  return sequence(text(`${open}[`), oneOrMore(call, text(", "), several), text(`]${close}`));
};

const functionary: Write = (calls, several, share) => {
  const written = calls.map((call) => sequence(text(`<function=${call.name}>`), call.arguments, text("</function>")));
  return oneOrMore(share(choice(...written)), text("\n"), several);
};

const functions: Write = (calls, several, share) => {
  const [open, close] = taggedMarkers;
  const written = calls.map(({ name, plain }) =>
    sequence(
      text(`${open}\n<function=${name}>\n`),
      ...plain.map(({ name: key, value, isRequired }) => {
        const argument = sequence(text(`<parameter=${key}>\n`), value, text("\n</parameter>\n"));
        return isRequired ? argument : optional(argument);
      }),
      text(`</function>\n${close}`),
    ),
  );
  return oneOrMore(share(choice(...written)), text("\n"), several);
};

const args: Write = (calls, several, share) => {
  const [open, close] = taggedMarkers;
  const written = calls.map(({ name, plain }) =>
    sequence(
      text(`${open}${name}\n`),
      ...plain.map(({ name: key, value, isRequired }) => {
        const argument = sequence(text(`<arg_key>${key}</arg_key>\n<arg_value>`), value, text("</arg_value>\n"));
        return isRequired ? argument : optional(argument);
      }),
      text(close),
    ),
  );
  return oneOrMore(share(choice(...written)), text("\n"), several);
};

/** Bare, as the template shows it. These models write one call only. */
const llama: Write = (calls) => callObject(calls, "parameters");

const mistral: Write = (calls, several, share) => {
  const [open] = mistralMarkers;
  return sequence(text(`${open}[`), oneOrMore(share(callObject(calls, "arguments")), text(", "), several), text("]"));
};

const deepseek: Write = (calls, several, share) => {
  const [allBegin, begin, separator, end, allEnd] = deepseekMarkers;
  const call = sequence(
    text(begin),
    choice(...calls.map((each) => sequence(text(`${each.name}${separator}`), each.arguments))),
    text(end),
  );
  return sequence(text(allBegin), oneOrMore(share(call), text("\n"), several), text(allEnd));
};

/** One message: a second call would need a header of its own. */
const harmony: Write = (calls) => {
  const [, channel, constrain, message] = harmonyMarkers;
  return sequence(
    text(`${channel}commentary to=functions.`),
    choice(...calls.map((each) => sequence(text(`${each.name} ${constrain}json${message}`), each.arguments))),
  );
};

const notations: Readonly<Record<Notation, Write>> = {
  tagged,
  functions,
  args,
  functionary,
  phi,
  llama,
  mistral,
  deepseek,
  harmony,
};

const callObject = (calls: ReadonlyArray<CallableTool>, key: "arguments" | "parameters"): GrammarExpression =>
  choice(
    ...calls.map((call) =>
      sequence(text('{"name": '), jsonLiteral(call.name), text(`, "${key}": `), call.arguments, text("}")),
    ),
  );

const oneOrMore = (of: GrammarExpression, between: GrammarExpression, several: boolean): GrammarExpression =>
  several ? sequence(of, repeat(sequence(between, of), 0)) : of;
