/**
 * Resumes a watched generation in a second attempt. With the same seed it usually gives the same output, and its
 * watchers only get what they have not seen. If it gives another output, they are told to start again.
 */
import type { GenerationChunk, GenerationEvent } from "../domain/generation-result.ts";
import type { GenerationRecord } from "./store/settle-items.ts";

type Recorded = Pick<Extract<GenerationRecord, { type: "generation" }>, "event">;

/** What watchers have received of a candidate. */
interface Told {
  text: string;
  reasoning: string;
  toolCalls: number;
  tokenIds: number;
  logprobs: number;
  outputTokens: number;
  finished: boolean;
}

const nothingTold = (): Told => ({
  text: "",
  reasoning: "",
  toolCalls: 0,
  tokenIds: 0,
  logprobs: 0,
  outputTokens: 0,
  finished: false,
});

export class ResumedGeneration {
  private readonly told = new Map<number, Told>();
  private readonly now = new Map<number, Told>();
  private hasStarted = false;
  private readonly said: GenerationEvent[] = [];
  private differs = false;

  /** @param recorded what watchers received from earlier attempts, since the last restart */
  constructor(recorded: ReadonlyArray<Recorded>) {
    for (const { event } of recorded) {
      if (event.type === "started") this.hasStarted = true;
      else this.add(this.told, event);
    }
  }

  /** What watchers get for an event of this attempt; undefined if they have to start again, with `all`. */
  next(event: GenerationEvent): ReadonlyArray<GenerationEvent> | undefined {
    if (this.differs) return [event];
    this.said.push(event);
    if (event.type === "started") {
      const events = this.hasStarted ? [] : [event];
      this.hasStarted = true;
      return events;
    }
    const told = this.told.get(event.candidateIndex) ?? nothingTold();
    this.add(this.now, event);
    const now = this.now.get(event.candidateIndex) ?? nothingTold();
    if (!agree(told.text, now.text) || !agree(told.reasoning, now.reasoning)) return this.restart();
    const isShorter = now.text.length < told.text.length || now.reasoning.length < told.reasoning.length;
    if (event.type === "finished") return isShorter ? this.restart() : told.finished ? [] : [event];
    if (told.finished && now.text.length > told.text.length) return this.restart();
    const rest = restOf(event, told, now);
    return rest === undefined ? [] : [rest];
  }

  /** The output of this attempt so far. */
  get all(): ReadonlyArray<GenerationEvent> {
    return this.said;
  }

  private restart(): undefined {
    this.differs = true;
    return undefined;
  }

  private add(to: Map<number, Told>, event: Exclude<GenerationEvent, { type: "started" }>): void {
    const told = to.get(event.candidateIndex) ?? nothingTold();
    to.set(event.candidateIndex, told);
    if (event.type === "finished") {
      told.finished = true;
      return;
    }
    told.text += event.text;
    told.reasoning += event.reasoning;
    told.toolCalls += event.toolCalls.length;
    told.tokenIds += event.tokenIds.length;
    told.logprobs += event.logprobs.length;
    told.outputTokens = event.outputTokens;
  }
}

/** Whether one is a prefix of the other. */
const agree = (a: string, b: string): boolean => a.startsWith(b) || b.startsWith(a);

/** The part of the chunk that was not sent before; undefined if all of it was. */
const restOf = (chunk: GenerationChunk, told: Told, now: Told): GenerationChunk | undefined => {
  if (now.outputTokens <= told.outputTokens && now.text.length <= told.text.length) return undefined;
  const beyond = <A>(list: ReadonlyArray<A>, nowCount: number, toldCount: number): ReadonlyArray<A> => {
    const fresh = Math.min(list.length, Math.max(0, nowCount - toldCount));
    return list.slice(list.length - fresh);
  };
  const textBeyond = (text: string, nowLength: number, toldLength: number): string =>
    text.slice(text.length - Math.min(text.length, Math.max(0, nowLength - toldLength)));
  return {
    ...chunk,
    text: textBeyond(chunk.text, now.text.length, told.text.length),
    reasoning: textBeyond(chunk.reasoning, now.reasoning.length, told.reasoning.length),
    toolCalls: beyond(chunk.toolCalls, now.toolCalls, told.toolCalls),
    tokenIds: beyond(chunk.tokenIds, now.tokenIds, told.tokenIds),
    logprobs: beyond(chunk.logprobs, now.logprobs, told.logprobs),
  };
};
