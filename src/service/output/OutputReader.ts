/** One answer's text as the model writes it, on its way to what the caller sees. */
import type { OutputWarning, ToolCallDelta } from "../domain/generation.ts";
import { createCleanUp, isCleanUpStep } from "./clean-up.ts";
import type { OutputDelta } from "./deltas.ts";
import { callMarkersFor, createParser, type OutputReading } from "./parser.ts";
import { createStopMatcher, type StopStep } from "./stop-sequences.ts";
import { actsInText, type StopText } from "./stop-texts.ts";
import { createTokenFilter, type TokenFilter } from "./token-filter.ts";
import { asToken, markOf, tokenUnit, unmarked } from "./token-marks.ts";
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
  readonly stops: ReadonlyArray<StopText>;
  readonly includeStop: boolean;
  /** Special tokens of the vocabulary, as they are spelled: as such markers act, and not in ordinary text. */
  readonly specials?: ReadonlySet<string>;
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
  /** Special tokens that a stop sequence has in it: they are looked for in the text, and are nothing elsewhere. */
  private readonly watched: ReadonlySet<string>;
  /** What takes special tokens out that stopped nothing and marked nothing. */
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
    // A call's marker that marks no call is a special token like any other.
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

  /** Whether a special token has to be told to the reader, marked as one: a stop sequence has it. */
  watches(special: string): boolean {
    return this.watched.has(special);
  }

  /** Of the special tokens that it was told, those that it left out of the text. */
  get leftOut(): ReadonlySet<string> {
    return this.filters.text?.removed ?? new Set();
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

  /**
   * The output is over, and what was held back goes out: it may still complete a stop sequence. Call it once.
   *
   * @param ending the special token that ended it, which is no text but may be the end of a stop sequence
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

  /** Stop sequences are looked for in what the caller sees. */
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
    // Asked for by name, it is text to the last character, and so is what stands before it.
    return this.includeStop ? own + (this.trim?.held() ?? "") + this.stopped : own;
  }

  private finish(ending: string | undefined): string {
    if (ending === undefined) return this.shown(this.stops.flush(), true);
    const step = this.stops.push(asToken(ending));
    // A stop sequence of this token alone adds nothing to that it ends the output.
    if (step.matched !== undefined && unmarked(step.matched) !== ending) return this.stopAt(step.matched, step);
    const rest = step.text + this.stops.flush();
    return this.shown(rest.endsWith(asToken(ending)) ? rest.slice(0, -asToken(ending).length) : rest, true);
  }

  /** What the caller sees of it. */
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

/** A model that writes nothing but bad calls fills no message with what is said of them. */
const mostWarnings = 16;

const randomId = (): string => crypto.randomUUID().replaceAll("-", "").slice(0, 9);
