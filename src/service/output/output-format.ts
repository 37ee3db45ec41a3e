/** How a model marks reasoning and tool calls in its output, derived from its chat template or else from its family. */
import type { ReasoningTags } from "./reasoning.ts";
import { argMarkers, functionMarkers } from "./notations/argument-tags.ts";
import { deepseekMarkers } from "./notations/deepseek.ts";
import { functionaryMarkers } from "./notations/functionary.ts";
import { harmonyMarkers } from "./notations/harmony.ts";
import { llamaMarkers } from "./notations/llama.ts";
import { mistralMarkers } from "./notations/mistral.ts";
import { phiMarkers, taggedMarkers } from "./notations/tagged.ts";

export type Notation =
  | "tagged"
  | "functions"
  | "args"
  | "functionary"
  | "phi"
  | "llama"
  | "mistral"
  | "deepseek"
  | "harmony";

export interface OutputFormat {
  /** The notation of tool calls. */
  readonly notation: Notation;
  /** Undefined if the model does not mark reasoning with tags; harmony has a channel for it. */
  readonly reasoningTags: ReasoningTags | undefined;
  /** The family's clean-up steps. */
  readonly cleanUp: ReadonlyArray<string>;
  /** The name of a notation that the template shows and that this service cannot parse; tools are then refused. */
  readonly strangeCalls?: string;
}

/** @param template the whole Jinja source */
export const detectOutputFormat = (template: string, family: string, cleanUp: ReadonlyArray<string>): OutputFormat => {
  const notation = signs.find(([, sign]) => sign.test(template))?.[0] ?? ofFamilies[family] ?? "tagged";
  const reasoningTags = notation === "harmony" ? undefined : tags.find(({ close }) => template.includes(close));
  const stranger = strangers.find(([, sign]) => sign.test(template))?.[0];
  return { notation, reasoningTags, cleanUp, ...(stranger !== undefined && { strangeCalls: stranger }) };
};

/** Whether the model marks its reasoning at all. */
export const marksReasoning = ({ notation, reasoningTags }: OutputFormat): boolean =>
  notation === "harmony" || reasoningTags !== undefined;

/** @param withCalls include the markers of calls, not only those of reasoning */
export const markersOf = ({ notation, reasoningTags }: OutputFormat, withCalls = true): ReadonlyArray<string> => [
  ...(withCalls ? markers[notation] : []),
  ...(reasoningTags === undefined ? [] : [reasoningTags.open, reasoningTags.close]),
];

/** The first notation whose sign occurs in the template is used. */
const signs: ReadonlyArray<readonly [Notation, RegExp]> = [
  ["harmony", /<\|channel\|>/],
  ["deepseek", /<｜tool▁calls▁begin｜>/],
  ["mistral", /\[TOOL_CALLS\]/],
  ["functions", /<function=[^]*<parameter=/],
  ["args", /<arg_key>/],
  ["functionary", /<function=/],
  ["phi", /<\|tool_call\|>|<\|\/tool\|>/],
  ["tagged", /<tool_call>/],
  ["llama", /<\|python_tag\|>|"name": function name, "parameters"/],
];

/** Notations of architectures that are not served; related checkpoints may use them. */
const strangers: ReadonlyArray<readonly [string, RegExp]> = [
  ["Kimi", /<\|tool_calls?_section_begin\|>|<\|tool_call_argument_begin\|>/],
  ["MiniMax", /<minimax:tool_call>|<tool_calls>\s*<invoke/],
  ["DeepSeek V3.2", /<｜DSML｜/],
  ["Granite", /<\|start_of_role\|>[^]*<\|tool_call\|>/],
  ["calls written as Python", /\[func(?:tion)?_name\d?\(param/],
];

const ofFamilies: Readonly<Record<string, Notation>> = {
  "gpt-oss": "harmony",
  deepseek: "deepseek",
  mistral: "mistral",
  llama: "llama",
};

const tags: ReadonlyArray<ReasoningTags> = [
  { open: "<think>", close: "</think>" },
  { open: "[THINK]", close: "[/THINK]" },
];

/** The call markers of all notations. */
export const callMarkers = (): ReadonlySet<string> => new Set(Object.values(markers).flat());

const markers: Readonly<Record<Notation, ReadonlyArray<string>>> = {
  tagged: taggedMarkers,
  llama: llamaMarkers,
  mistral: mistralMarkers,
  deepseek: deepseekMarkers,
  harmony: harmonyMarkers,
  functions: functionMarkers,
  args: argMarkers,
  functionary: functionaryMarkers,
  phi: phiMarkers,
};
