/** One answer's text as the model writes it, on its way to what the caller sees. */
import type { OutputWarning, ToolCallDelta } from "../domain/generation.ts";
import { createCleanUp, isCleanUpStep } from "./clean-up.ts";
import type { OutputDelta } from "./deltas.ts";
import { createParser, type OutputReading } from "./parser.ts";
import { createStopMatcher } from "./stop-sequences.ts";
import { createTrim, type Trim } from "./trim.ts";

/** What came of a piece of output; nothing of it is held back elsewhere. */
export interface OutputStep {
  readonly text: string;
  readonly reasoning: string;
  readonly toolCalls: ReadonlyArray<ToolCallDelta>;
  /** The stop sequence, or the marker of another's turn, that ended the output. */
  readonly stopped: string | undefined;
  /** False where it was another's turn. */
  readonly ownTurn: boolean;
}

export interface OutputReaderOptions {
  readonly reading: OutputReading;
  readonly stopSequences: ReadonlyArray<string>;
  readonly includeStop: boolean;
  /** Makes the ids of calls. @default nine random characters, which every chat template takes */
  readonly createId?: () => string;
}

export class OutputReader {
  /** Calls so far. */
  calls = 0;
  private readonly deltas: OutputDelta[] = [];
  private readonly parser: ReturnType<typeof createParser>;
  private readonly cleanUp: ReturnType<typeof createCleanUp>;
  private readonly stops: ReturnType<typeof createStopMatcher>;
  private readonly includeStop: boolean;
  /** The last of what cleans the text up; undefined where nothing does. */
  private readonly trim: Trim | undefined;
  private readonly found: OutputWarning[] = [];
  private stopped: string | undefined;
  private ownTurn = true;

  constructor({ reading, stopSequences, includeStop, createId = randomId }: OutputReaderOptions) {
    this.parser = createParser(reading, (delta) => void this.deltas.push(delta), createId);
    this.cleanUp = createCleanUp(reading.format?.cleanUp ?? [], stopSequences, reading.continues);
    this.stops = createStopMatcher(stopSequences, includeStop);
    this.includeStop = includeStop;
    const { cleanUp = [] } = reading.format ?? {};
    this.trim = cleanUp.some(isCleanUpStep) ? createTrim(reading.continues) : undefined;
  }

  get inReasoning(): boolean {
    return this.parser.inReasoning();
  }

  /** Complete once the output has ended. */
  get warnings(): ReadonlyArray<OutputWarning> {
    if (!this.cleanUp.removed()) return this.found;
    const message = "role markers of the chat format were taken out of the text";
    return [...this.found, { kind: "markers-removed", message }];
  }

  /** `text` is in whole code points. */
  push(text: string): OutputStep {
    if (text !== "" && this.stopped === undefined) this.parser.push(text);
    return this.step();
  }

  /** The output is over, and what was held back goes out: it may still complete a stop sequence. Call it once. */
  end(text: string): OutputStep {
    const step = this.push(text);
    if (this.stopped !== undefined) return step;
    this.parser.end();
    const last = this.step();
    const rest = this.stopped === undefined ? this.release(this.cleanUp.end()) : "";
    return {
      text: step.text + last.text + rest + (this.stopped === undefined ? this.trimmed(this.stops.flush()) : ""),
      reasoning: step.reasoning + last.reasoning,
      toolCalls: [...step.toolCalls, ...last.toolCalls],
      stopped: this.stopped,
      ownTurn: this.ownTurn,
    };
  }

  private step(): OutputStep {
    let text = "";
    let reasoning = "";
    const toolCalls: ToolCallDelta[] = [];
    for (const delta of this.deltas.splice(0)) {
      if (this.stopped !== undefined) break;
      switch (delta.type) {
        case "text":
          text += this.release(this.cleanUp.push(delta.text));
          break;
        case "reasoning":
          reasoning += delta.text;
          break;
        case "tool-call":
          this.calls += 1;
          toolCalls.push(delta.call);
          break;
        case "warning":
          if (this.found.length < mostWarnings) this.found.push(delta.warning);
          break;
        case "foreign-turn":
          this.stopped = delta.marker;
          this.ownTurn = false;
          break;
      }
    }
    return { text, reasoning, toolCalls, stopped: this.stopped, ownTurn: this.ownTurn };
  }

  /** Stop sequences are looked for in what the caller sees. */
  private release({ text, cutAt }: { readonly text: string; readonly cutAt: string | undefined }): string {
    const step = this.stops.push(text);
    this.stopped = step.matched;
    if (step.matched !== undefined) {
      if (!this.includeStop) return this.trimmed(step.text);
      // Asked for by name, it is text to the last character, and so is what stands before it.
      const own = this.trimmed(step.text.slice(0, -step.matched.length));
      return own + (this.trim?.held() ?? "") + step.matched;
    }
    if (cutAt === undefined) return this.trimmed(step.text);
    this.stopped = cutAt;
    this.ownTurn = false;
    return this.trimmed(step.text + this.stops.flush());
  }

  private trimmed(text: string): string {
    return this.trim?.push(text) ?? text;
  }
}

/** A model that writes nothing but bad calls fills no message with what is said of them. */
const mostWarnings = 16;

const randomId = (): string => crypto.randomUUID().replaceAll("-", "").slice(0, 9);
