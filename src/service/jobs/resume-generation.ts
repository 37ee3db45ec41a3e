/**
 * A second attempt at a generation whose first one was watched: it has the same seed and so mostly says the same, and its
 * watchers are told only of what they have not seen. Where it says something else they are told to begin anew.
 */
import type { GenerationChunk, GenerationEvent } from "../domain/generation.ts";
import type { GenerationRecord } from "./store/settle-items.ts";

type Recorded = Pick<Extract<GenerationRecord, { type: "generation" }>, "event">;

/** What was told of a candidate. */
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

  /** @param recorded what watchers were told of attempts before, since the last restart */
  constructor(recorded: ReadonlyArray<Recorded>) {
    for (const { event } of recorded) {
      if (event.type === "started") this.hasStarted = true;
      else this.add(this.told, event);
    }
  }

  /** What watchers are told of an event of this attempt; undefined where they begin anew, and are told `all`. */
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

  /** What this attempt has said so far. */
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

/** Whether one is the beginning of the other. */
const agree = (a: string, b: string): boolean => a.startsWith(b) || b.startsWith(a);

/** What of the chunk was not told before; undefined where all of it was. */
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
