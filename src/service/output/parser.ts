/** The parser for a task's output. */
import type { Emit, OutputParser } from "./deltas.ts";
import { createArgTags, createFunctionTags } from "./notations/argument-tags.ts";
import { createDeepseek } from "./notations/deepseek.ts";
import { createFunctionary } from "./notations/functionary.ts";
import { createHarmony } from "./notations/harmony.ts";
import { createLlama } from "./notations/llama.ts";
import { createMistral } from "./notations/mistral.ts";
import { createPhi, createTagged } from "./notations/tagged.ts";
import { markersOf, type Notation, type OutputFormat } from "./output-format.ts";
import { createReasoning, type ReasoningTags } from "./reasoning.ts";
import { asText, type Mark, unmarked } from "./token-marks.ts";
import { ToolCalls } from "./tool-calls.ts";
import { createToolSet, type ToolSet } from "./tool-set.ts";

/** What is to be read, and how. */
export interface OutputReading {
  /** Undefined: the output is text and nothing else. */
  readonly format: OutputFormat | undefined;
  /** Undefined where the task offers none: then nothing is read as a call. */
  readonly tools: ToolSet | undefined;
  /** The prompt ends within the reasoning. */
  readonly startsInReasoning: boolean;
  /** The output goes on with a message that has begun: it has no beginning to clean. */
  readonly continues: boolean;
  /** Special tokens are written as they are spelled, as all text is. @default false */
  readonly verbatim?: boolean;
  /** Markers act in ordinary text, though they are special tokens: a constraint may have spelled them. @default false */
  readonly spelled?: boolean;
  /** Tags that may be HTML are taken out of the text as role markers: the operator has asked for it. @default false */
  readonly stripsHtml?: boolean;
}

export const plainReading: OutputReading = {
  format: undefined,
  tools: undefined,
  startsInReasoning: false,
  continues: false,
};

/** Markers that the parser reads: where they are special tokens, it has to see them nevertheless. */
export const markersFor = ({ format, tools }: OutputReading): ReadonlySet<string> =>
  new Set(format === undefined ? [] : markersOf(format, readsCalls(format, tools)));

/** Of these, the markers of calls. */
export const callMarkersFor = ({ format, tools }: OutputReading): ReadonlyArray<string> =>
  format !== undefined && readsCalls(format, tools) ? markersOf({ ...format, reasoningTags: undefined }) : [];

interface Marks {
  /** How markers are looked for. */
  readonly mark: Mark;
  /** A text without its marks. */
  readonly plain: (marked: string) => string;
}

/** @param createId makes the ids of calls */
export const createParser = (
  reading: OutputReading,
  emit: Emit,
  createId: () => string,
  { mark, plain }: Marks = { mark: asText, plain: unmarked },
): OutputParser => {
  const { format, tools, startsInReasoning } = reading;
  if (format === undefined) return createPlain(emit);
  const { notation, reasoningTags } = format;
  const calls = new ToolCalls(tools ?? createToolSet([]), emit, createId, plain);
  const answer = readsCalls(format, tools) ? notations[notation](calls, emit, mark) : createPlain(emit);
  return reasoningTags === undefined
    ? answer
    : createReasoning(marked(reasoningTags, mark), startsInReasoning, answer, emit);
};

/** Harmony has channels whether there are tools or not. */
const readsCalls = ({ notation }: OutputFormat, tools: ToolSet | undefined): boolean =>
  tools !== undefined || notation === "harmony";

const notations: Readonly<Record<Notation, (calls: ToolCalls, emit: Emit, mark: Mark) => OutputParser>> = {
  tagged: createTagged,
  llama: createLlama,
  mistral: createMistral,
  deepseek: createDeepseek,
  harmony: createHarmony,
  functions: createFunctionTags,
  args: createArgTags,
  functionary: createFunctionary,
  phi: createPhi,
};

const marked = ({ open, close }: ReasoningTags, mark: Mark): ReasoningTags => ({
  open: mark(open),
  close: mark(close),
});

const createPlain = (emit: Emit): OutputParser => ({
  push: (text) => emit({ type: "text", text }),
  end: () => {},
  inReasoning: () => false,
});
