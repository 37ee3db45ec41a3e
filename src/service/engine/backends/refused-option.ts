/** Which option of a task a server refuses, where that is what its error says. */
import type { ConversationOption } from "../../domain/conversation-options.ts";
import { asObject, textOf } from "./chunk-values.ts";
import { BackendSays, OptionRefused, type RefusalReach, StatusRefused } from "./problems.ts";

/**
 * Undefined where the error is about something else, such as the value of an option: another value may be taken.
 *
 * @param sent the body of the request, JSON. What is not in it was not refused.
 * @param asked the options that the task sets. Of two that exclude each other, the other one is refused.
 */
export const refusedOption = (
  thrown: unknown,
  sent: string,
  asked: ReadonlySet<ConversationOption>,
): OptionRefused | undefined => {
  if (thrown instanceof OptionRefused) return thrown;
  const said = thrown instanceof StatusRefused || thrown instanceof BackendSays ? thrown.body : undefined;
  if (said === undefined || (thrown instanceof StatusRefused && ![400, 422, 501].includes(thrown.status)))
    return undefined;
  const body = asObject(parsed(said));
  const error = asObject(body?.["error"]) ?? body;
  const message = [error?.["message"], body?.["error"], body?.["detail"], said].find(
    (text) => typeof text === "string",
  );
  const { code, param } = error ?? {};
  const words = String(message).slice(0, mostCharacters);
  const match = [...refusals, exclusion]
    .map((pattern) => pattern.exec(words)?.[0])
    .find((found) => found !== undefined);
  if (code !== "unsupported_parameter" && match === undefined) return undefined;
  const members = asObject(parsed(sent)) ?? {};
  const isSent = ([, { fields }]: (typeof table)[number]) => fields.some((field) => isIn(members, field));
  const named = typeof param === "string" ? table.find(([, { fields }]) => fields.includes(param)) : undefined;
  const candidates = table.filter(isSent).filter(([, { wording }]) => wording.test(words));
  const isExclusion = exclusion.test(words);
  const isAsked = ([option]: (typeof table)[number]) => asked.has(option);
  const found = named ?? candidates.find((each) => !isExclusion || !isAsked(each)) ?? candidates[0];
  if (found === undefined || !isSent(found)) return undefined;
  const reach = (): RefusalReach => {
    // An error within the stream may quote the model's output, and another one the caller's text.
    if (thrown instanceof BackendSays || (match !== undefined && sent.includes(escaped(match)))) return "request";
    if (!isExclusion) return "model";
    return candidates.some(isAsked) ? "request" : "defaults";
  };
  return new OptionRefused(found[0], said, reach());
};

/** As it is written in JSON. */
const escaped = (text: string): string => JSON.stringify(text).slice(1, -1);

/** As OpenAI, Anthropic, Groq, Ollama, vLLM and pydantic word it. */
const refusals: ReadonlyArray<RegExp> = [
  /unsupported (?:parameter|argument|field)/i,
  /only the default .{0,16}value is supported/i,
  /(?:parameter|argument|field|property)\b.{0,64}\b(?:is|are) (?:not |un)supported/i,
  /un(?:recognized|known) (?:request )?(?:parameter|argument|field)/i,
  /extra inputs are not permitted/i,
  /(?:does not|doesn't|do not|not) support (?:the )?(?:use of )?(?:parameter|tools?\b|tool[ _]|function|thinking|reasoning|images?\b|image[ _]|vision|multimodal|logprobs)/i,
];

/** Each of the options is supported without the other one. */
const exclusion = /cannot both be specified/i;

/** Further on, an error may quote the caller's text, which must not decide what the model's other callers can use. */
const mostCharacters = 256;

/** In the order in which they are looked for: of two defaults that exclude each other the first is left out. */
const table: ReadonlyArray<
  readonly [ConversationOption, { readonly fields: ReadonlyArray<string>; readonly wording: RegExp }]
> = [
  ["sampling.top_p", { fields: ["top_p"], wording: /\btop_p\b/ }],
  ["sampling.temperature", { fields: ["temperature"], wording: /\btemperature\b/i }],
  ["sampling.top_k", { fields: ["top_k"], wording: /\btop_k\b/ }],
  ["sampling.min_p", { fields: ["min_p"], wording: /\bmin_p\b/ }],
  ["sampling.repetition_penalty", { fields: ["repetition_penalty"], wording: /\brepetition_penalty\b/ }],
  ["sampling.presence_penalty", { fields: ["presence_penalty"], wording: /\bpresence_penalty\b/ }],
  ["sampling.frequency_penalty", { fields: ["frequency_penalty"], wording: /\bfrequency_penalty\b/ }],
  ["sampling.seed", { fields: ["seed"], wording: /\bseed\b/i }],
  ["stop.stop_sequences", { fields: ["stop", "stop_sequences"], wording: /\bstop(?:_sequences)?\b/i }],
  ["reasoning.effort", { fields: ["reasoning_effort"], wording: /\breasoning|thinking\b/i }],
  ["reasoning.max_tokens", { fields: ["thinking"], wording: /\bthinking\b/i }],
  ["chat.tool_choice", { fields: ["tool_choice"], wording: /\btool_choice\b/ }],
  ["chat.tools", { fields: ["tools"], wording: /\btools?\b|\bfunction/i }],
  ["output.top_logprobs", { fields: ["logprobs", "top_logprobs"], wording: /logprobs/i }],
  ["chat.images", { fields: ["image_url", "image"], wording: /image|vision|multimodal/i }],
];

/** Images are in the messages, and all else at the top. */
const isIn = (members: Readonly<Record<string, unknown>>, field: string): boolean =>
  field.startsWith("image") ? hasImage(members["messages"]) : members[field] !== undefined;

const hasImage = (messages: unknown): boolean =>
  Array.isArray(messages) &&
  messages.some((message) => {
    const content = asObject(message)?.["content"];
    return Array.isArray(content) && content.some((part) => textOf(asObject(part)?.["type"]).startsWith("image"));
  });

const parsed = (text: string): unknown => {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
};
