/** The parts of a model's output. */
import type { OutputWarning, ToolCallDelta } from "../domain/generation-result.ts";

export type OutputDelta =
  | { readonly type: "text"; readonly text: string }
  | { readonly type: "reasoning"; readonly text: string }
  /**
   * A complete, valid call. A call that is cut off, cannot be parsed or does not match its tool is text with a warning.
   */
  | { readonly type: "tool-call"; readonly call: ToolCallDelta }
  | { readonly type: "warning"; readonly warning: OutputWarning }
  /** The model continues in another role's turn, which this marker opens. Nothing of that turn is output. */
  | { readonly type: "foreign-turn"; readonly marker: string };

export type Emit = (delta: OutputDelta) => void;

/**
 * Splits an output into its parts. The concatenation of what it emits, by kind, does not depend on how the text was cut
 * into pieces.
 */
export interface OutputParser {
  /** `text` consists of whole code points and is not empty. */
  readonly push: (text: string) => void;
  /** The output is over: held-back text is emitted. Call this once. */
  readonly end: () => void;
  /** Whether the next text is reasoning. */
  readonly inReasoning: () => boolean;
}
