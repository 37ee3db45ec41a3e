/** Makes the parser for a task's output. */
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

/** What to find in the output, and how. */
export interface OutputReading {
  /** Undefined: the whole output is text. */
  readonly format: OutputFormat | undefined;
  /** Undefined if the task offers no tools: then nothing is read as a call. */
  readonly tools: ToolSet | undefined;
  /** Whether the prompt ends within the reasoning. */
  readonly startsInReasoning: boolean;
  /** Whether the output continues an existing message, so that its beginning is not cleaned. */
  readonly continues: boolean;
  /** Show special tokens as they are spelled, like other text. @default false */
  readonly verbatim?: boolean;
  /**
   * Markers that are special tokens also act when written in ordinary text, because a constraint may have spelled them
   * out. @default false
   */
  readonly spelled?: boolean;
  /** Remove role markers even if they may be HTML tags, because the operator has configured that. @default false */
  readonly stripsHtml?: boolean;
}

export const plainReading: OutputReading = {
  format: undefined,
  tools: undefined,
  startsInReasoning: false,
  continues: false,
};

/** The markers that the parser reads. If they are special tokens, they have to be passed to it all the same. */
export const markersFor = ({ format, tools }: OutputReading): ReadonlySet<string> =>
  new Set(format === undefined ? [] : markersOf(format, readsCalls(format, tools)));

/** The markers of calls among them. */
export const callMarkersFor = ({ format, tools }: OutputReading): ReadonlyArray<string> =>
  format !== undefined && readsCalls(format, tools) ? markersOf({ ...format, reasoningTags: undefined }) : [];

interface Marks {
  /** How markers are searched for. */
  readonly mark: Mark;
  /** Removes the marks of special tokens from a text. */
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

/** Harmony has channels even without tools. */
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
