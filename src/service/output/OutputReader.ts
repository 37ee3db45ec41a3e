/** Turns the text of one answer, as the model writes it, into what the caller sees. */
import type { OutputWarning, ToolCallDelta } from "../domain/generation-result.ts";
import { createCleanUp, isCleanUpStep } from "./clean-up.ts";
import type { OutputDelta } from "./deltas.ts";
import { callMarkersFor, createParser, type OutputReading } from "./parser.ts";
import { createStopMatcher, type StopStep } from "./stop-sequences.ts";
import { actsInText, type StopText } from "./stop-texts.ts";
import { createTokenFilter, type TokenFilter } from "./token-filter.ts";
import { asToken, markOf, tokenUnit, unmarked } from "./token-marks.ts";
import { createTrim, type Trim } from "./trim.ts";

/** The output of one piece of text. */
export interface OutputStep {
  readonly text: string;
  readonly reasoning: string;
  readonly toolCalls: ReadonlyArray<ToolCallDelta>;
  /** The stop sequence, or the marker of another role's turn, that ended the output. */
  readonly stopped: string | undefined;
  /** False if another role's turn ended the output. */
  readonly ownTurn: boolean;
}

export interface OutputReaderOptions {
  readonly reading: OutputReading;
  readonly stops: ReadonlyArray<StopText>;
  readonly includeStop: boolean;
  /** The vocabulary's special tokens. Markers among them act only as tokens, not in ordinary text. */
  readonly specials?: ReadonlySet<string>;
  /** Makes the ids of calls. @default nine random characters, which every chat template accepts */
  readonly createId?: () => string;
}

export class OutputReader {
  /** The number of calls so far. */
  calls = 0;
  private readonly deltas: OutputDelta[] = [];
  private readonly parser: ReturnType<typeof createParser>;
  private readonly cleanUp: ReturnType<typeof createCleanUp>;
  private readonly stops: ReturnType<typeof createStopMatcher>;
  private readonly includeStop: boolean;
  /** The last cleaning step, which trims the text; undefined if the text is not cleaned. */
  private readonly trim: Trim | undefined;
  /** Special tokens that occur in a stop sequence. They have to be pushed to the reader so that it can find them. */
  private readonly watched: ReadonlySet<string>;
  /** Remove special tokens that neither stopped the output nor marked anything. */
  private readonly filters: { readonly text: TokenFilter | undefined; readonly reasoning: TokenFilter };
  private readonly modelStops: ReadonlySet<string>;
  private readonly found: OutputWarning[] = [];
  private stopped: string | undefined;
  private ownTurn = true;

  constructor({ reading, stops, includeStop, specials = new Set(), createId = randomId }: OutputReaderOptions) {
    const asTokens = reading.spelled === true || reading.verbatim === true ? new Set<string>() : specials;
    const mark = markOf(asTokens);
    const stopsAsTokens = stops.filter(({ text }) => specials.has(text)).map(({ text }) => asToken(text));
    const stopsInText = stops
      .filter(({ text, inText }) => inText === "always" || (inText === "unless-token" && !specials.has(text)))
      .map(({ text }) => text);
    this.watched = new Set([...specials].filter((special) => stops.some(({ text }) => text.includes(special))));
    // A call marker that does not begin a call is removed like any other special token.
    const nothing = new Set([...this.watched, ...callMarkersFor(reading)]);
    this.filters = {
      text: reading.verbatim === true ? undefined : createTokenFilter(nothing),
      reasoning: createTokenFilter(this.watched),
    };
    this.modelStops = new Set(stops.filter(({ isModels }) => isModels).map(({ text }) => text));
    const withoutWatched = (text: string): string => unmarked(createTokenFilter(this.watched).all(text));
    this.parser = createParser(reading, (delta) => void this.deltas.push(delta), createId, {
      mark,
      plain: withoutWatched,
    });
    const acts = (marker: string): boolean =>
      !asTokens.has(marker) && (reading.stripsHtml === true || actsInText(marker));
    this.cleanUp = createCleanUp(reading.format?.cleanUp ?? [], stopsInText, reading.continues, acts);
    this.stops = createStopMatcher([...stopsInText, ...stopsAsTokens]);
    this.includeStop = includeStop;
    const { cleanUp = [] } = reading.format ?? {};
    this.trim = cleanUp.some(isCleanUpStep) ? createTrim(reading.continues) : undefined;
  }

  get inReasoning(): boolean {
    return this.parser.inReasoning();
  }

  /** Whether a special token has to be pushed to the reader, marked as a token, because a stop sequence contains it. */
  watches(special: string): boolean {
    return this.watched.has(special);
  }

  /** The special tokens that were pushed and that it removed from the text. */
  get leftOut(): ReadonlySet<string> {
    return this.filters.text?.removed ?? new Set();
  }

  /** Complete once the output has ended. */
  get warnings(): ReadonlyArray<OutputWarning> {
    if (!this.cleanUp.removed()) return this.found;
    const message = "role markers of the chat format were taken out of the text";
    return [...this.found, { kind: "markers-removed", message }];
  }

  /** `text` consists of whole code points. */
  push(text: string): OutputStep {
    if (text !== "" && this.stopped === undefined) this.parser.push(text);
    return this.step();
  }

  /**
   * The output is over, and held-back text is emitted; it may still complete a stop sequence. Call this once.
   *
   * @param ending the special token that ended the output. It is not text, but may be the end of a stop sequence.
   */
  end(text: string, ending?: string): OutputStep {
    const step = this.push(text);
    if (this.stopped !== undefined) return step;
    this.parser.end();
    const last = this.step();
    const rest = this.stopped === undefined ? this.release(this.cleanUp.end()) : "";
    return {
      text: step.text + last.text + rest + (this.stopped === undefined ? this.finish(ending) : ""),
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
          reasoning += unmarked(this.filters.reasoning.push(delta.text));
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

  /** Stop sequences are matched in the text that the caller sees. */
  private release({ text, cutAt }: { readonly text: string; readonly cutAt: string | undefined }): string {
    const step = this.stops.push(text);
    if (step.matched !== undefined) return this.stopAt(step.matched, step);
    if (cutAt === undefined) return this.shown(step.text);
    this.stopped = cutAt;
    this.ownTurn = false;
    this.warnOfCut(cutAt);
    return this.shown(step.text + this.stops.flush(), true);
  }

  private stopAt(matched: string, { text, written }: StopStep): string {
    this.stopped = unmarked(matched);
    if (!written.includes(tokenUnit) && this.modelStops.has(this.stopped)) this.warnOfCut(this.stopped);
    const own = this.shown(text, true);
    // A stop sequence that is included is kept to the last character, together with the blank space before it.
    return this.includeStop ? own + (this.trim?.held() ?? "") + this.stopped : own;
  }

  private finish(ending: string | undefined): string {
    if (ending === undefined) return this.shown(this.stops.flush(), true);
    const step = this.stops.push(asToken(ending));
    // A stop sequence that is just this token changes nothing: the token ends the output anyway.
    if (step.matched !== undefined && unmarked(step.matched) !== ending) return this.stopAt(step.matched, step);
    const rest = step.text + this.stops.flush();
    return this.shown(rest.endsWith(asToken(ending)) ? rest.slice(0, -asToken(ending).length) : rest, true);
  }

  /** The part that the caller sees. */
  private shown(marked: string, isLast = false): string {
    const { text: filter } = this.filters;
    const kept = filter === undefined ? marked : filter.push(marked) + (isLast ? filter.flush() : "");
    const text = unmarked(kept);
    return this.trim?.push(text) ?? text;
  }

  private warnOfCut(marker: string): void {
    const text = JSON.stringify(marker.trim());
    const message = `the text was cut at ${text}, which stands for the end of a turn in the model's family; verbatim leaves it`;
    this.found.push({ kind: "cut-at-marker", message });
  }
}

/** Bounds the size of the response if a model writes nothing but invalid calls. */
const mostWarnings = 16;

const randomId = (): string => crypto.randomUUID().replaceAll("-", "").slice(0, 9);
