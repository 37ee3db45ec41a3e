/** Reads the stream of one answer. What its events mean each form of API says for itself. */
import type { FinishReason } from "../../domain/generation-result.ts";
import type { EndUsage } from "../Engine.ts";
import { type AnswerEnd, AnswerEvents, type ReadingOptions } from "./AnswerEvents.ts";
import { AnswerUnreadable, shown } from "./problems.ts";

/** The name of the field that says why an answer ends, and what its values mean. */
interface Endings {
  readonly field: string;
  readonly reasons: ReadonlyMap<string, FinishReason>;
}

export abstract class AnswerReading {
  protected readonly events: AnswerEvents;
  /** Why the answer ends, in the server's words. */
  protected reason: string | undefined;
  protected cachedPromptTokens = 0;
  private characters = 0;
  private callCount = 0;
  private argumentCharacters = 0;

  constructor(options: ReadingOptions) {
    this.events = new AnswerEvents(options);
  }

  /** Whether some of the output was told. */
  get hasOutput(): boolean {
    return this.events.hasOutput;
  }

  /** Whether its last event was told. */
  get isFinished(): boolean {
    return this.events.isFinished;
  }

  /** @param data of one event of the stream. Throws AnswerUnreadable, and BackendSays for an error that the stream tells. */
  read(data: string): void {
    if (this.isFinished) return;
    this.characters += data.length;
    if (this.characters > mostCharacters) throw new AnswerUnreadable(`it is longer than ${mostCharacters} characters`);
    this.readEvent(data);
  }

  /** The stream is over. Throws AnswerUnreadable where the answer is not. */
  end(): void {
    if (this.isFinished) return;
    const { reason: told, usage, cachedPromptTokens } = this;
    const { field, reasons } = this.endings;
    if (told === undefined) throw new AnswerUnreadable(`it ends without a ${field}`);
    const reason = reasons.get(told);
    if (reason === undefined) throw new AnswerUnreadable(`its ${field} "${shown(told)}" is unknown`);
    this.events.end({ reason, usage, cachedPromptTokens, ...this.completed(reason) });
  }

  /** Ends the answer with what there is. */
  finish(reason: FinishReason): void {
    const { usage, cachedPromptTokens } = this;
    this.events.finish({ reason, usage, cachedPromptTokens });
  }

  protected abstract readonly endings: Endings;
  /** As the server counts; undefined until it has told all of it. */
  protected abstract readonly usage: EndUsage | undefined;
  protected abstract readEvent(data: string): void;
  /** What the end has beside its reason. */
  protected abstract completed(reason: FinishReason): Pick<AnswerEnd, "calls" | "matched">;

  /** Called as each call of a tool begins. Throws AnswerUnreadable where there are too many. */
  protected countCall(): void {
    this.callCount += 1;
    if (this.callCount > mostCalls) throw new AnswerUnreadable(`it makes more than ${mostCalls} tool calls`);
  }

  /** Called with each piece of a call's arguments, which it returns. Throws AnswerUnreadable where they become too long. */
  protected counted(piece: string): string {
    this.argumentCharacters += piece.length;
    if (this.argumentCharacters <= mostArguments) return piece;
    throw new AnswerUnreadable(`the arguments of its tool calls are longer than ${mostArguments} characters`);
  }
}

/** Of all events of an answer together: far more than a model writes. */
const mostCharacters = 64 * 1024 ** 2;
const mostCalls = 128;
/** Of all calls together, which are checked at once at the end of the answer. */
const mostArguments = 1024 ** 2;
