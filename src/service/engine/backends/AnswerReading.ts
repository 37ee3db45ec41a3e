/** Reads the stream of one answer. Each form of API has a subclass that knows what its events mean. */
import type { FinishReason } from "../../domain/generation-result.ts";
import type { EndUsage } from "../Engine.ts";
import { type AnswerEnd, AnswerEvents, type ReadingOptions } from "./AnswerEvents.ts";
import { AnswerUnreadable, shown } from "./problems.ts";

/** The field of an API that says why an answer has ended, and the meaning of its values. */
interface ReasonField {
  readonly field: string;
  readonly reasons: ReadonlyMap<string, FinishReason>;
}

export abstract class AnswerReading {
  protected readonly events: AnswerEvents;
  protected readonly options: ReadingOptions;
  /** The server's value of that field; undefined until it has arrived. */
  protected reason: string | undefined;
  protected cachedPromptTokens = 0;
  private characters = 0;
  private callCount = 0;
  private argumentCharacters = 0;

  constructor(options: ReadingOptions) {
    this.options = options;
    this.events = new AnswerEvents(options);
  }

  /** Whether any output was reported. */
  get hasOutput(): boolean {
    return this.events.hasOutput;
  }

  /** Whether the last event was reported. */
  get isFinished(): boolean {
    return this.events.isFinished;
  }

  /** @param data of one event of the stream. Throws AnswerUnreadable, and BackendSays for an error in the stream. */
  read(data: string): void {
    if (this.isFinished) return;
    this.characters += data.length;
    if (this.characters > mostCharacters) throw new AnswerUnreadable(`it is longer than ${mostCharacters} characters`);
    this.readEvent(data);
  }

  /** The stream is over. Throws AnswerUnreadable if the answer is incomplete. */
  end(): void {
    if (this.isFinished) return;
    const { reason: told, usage, cachedPromptTokens } = this;
    const { field, reasons } = this.reasonField;
    if (told === undefined) throw new AnswerUnreadable(`it ends without a ${field}`);
    const reason = reasons.get(told);
    if (reason === undefined) throw new AnswerUnreadable(`its ${field} "${shown(told)}" is unknown`);
    this.events.end({ reason, usage, cachedPromptTokens, ...this.completed(reason) });
  }

  /** Ends the answer with the output so far. */
  finish(reason: FinishReason): void {
    const { usage, cachedPromptTokens } = this;
    this.events.finish({ reason, usage, cachedPromptTokens });
  }

  protected abstract readonly reasonField: ReasonField;
  /** As counted by the server; undefined until it has reported all of it. */
  protected abstract readonly usage: EndUsage | undefined;
  protected abstract readEvent(data: string): void;
  /** What the end reports in addition to its reason. */
  protected abstract completed(reason: FinishReason): Pick<AnswerEnd, "calls" | "matched">;

  /** To be called at the beginning of each tool call. Throws AnswerUnreadable if there are too many. */
  protected countCall(): void {
    this.callCount += 1;
    if (this.callCount > mostCalls) throw new AnswerUnreadable(`it makes more than ${mostCalls} tool calls`);
  }

  /** Returns a piece of a call's arguments. Throws AnswerUnreadable if the arguments of all calls become too long. */
  protected counted(piece: string): string {
    this.argumentCharacters += piece.length;
    if (this.argumentCharacters <= mostArguments) return piece;
    throw new AnswerUnreadable(`the arguments of its tool calls are longer than ${mostArguments} characters`);
  }
}

/** The limit for all events of an answer together: far more than a model writes. */
const mostCharacters = 64 * 1024 ** 2;
const mostCalls = 128;
/** The limit for all calls together, which are validated in one go at the end of the answer. */
const mostArguments = 1024 ** 2;
