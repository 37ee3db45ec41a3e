/** What a model's output is taken apart into. */
import type { OutputWarning, ToolCallDelta } from "../domain/generation.ts";

export type OutputDelta =
  | { readonly type: "text"; readonly text: string }
  | { readonly type: "reasoning"; readonly text: string }
  /** A whole call, checked: what is cut off, unreadable or does not fit its tool is text, with a warning. */
  | { readonly type: "tool-call"; readonly call: ToolCallDelta }
  | { readonly type: "warning"; readonly warning: OutputWarning }
  /** The model goes on in another's turn, which the marker opens: nothing of it is output. */
  | { readonly type: "foreign-turn"; readonly marker: string };

export type Emit = (delta: OutputDelta) => void;

/** Takes an output apart. All that it emits, put together by kind, is the same however the text was cut. */
export interface OutputParser {
  /** `text` is in whole code points and not empty. */
  readonly push: (text: string) => void;
  /** The output is over: what was held back goes out. Call it once. */
  readonly end: () => void;
  /** Whether what comes next is reasoning. */
  readonly inReasoning: () => boolean;
}
