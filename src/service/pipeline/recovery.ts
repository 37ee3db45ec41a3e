/** Generates a broken answer once more if nothing of it was sent. */
import { Clock, Effect } from "effect";

import { elapsedMsUnsafe } from "../domain/elapsed.ts";
import type { OutputWarning } from "../domain/generation-result.ts";
import type { EffectiveParameters, GenerationTask } from "../domain/generation-task.ts";
import type { Engine, EngineEvent, EngineRequest } from "../engine/Engine.ts";
import type { EngineFailure } from "../engine/engine-failures.ts";
import { brokenness } from "../output/broken-answer.ts";
import type { GenerationRecord } from "./GenerationRecord.ts";

/**
 * Whether a broken answer may be replaced by another one. Not if the caller asked for a reproducible answer (a seed, or
 * greedy sampling), nor if output that looks broken may be intended: raw input, verbatim output, tools, a continued
 * message, and `ignore_eos`.
 */
export const isRecoverable = ({ input, sampling, stop, output }: GenerationTask, parameters: EffectiveParameters) =>
  input.type === "chat" &&
  input.tools.length === 0 &&
  !input.continueFinalMessage &&
  !output.verbatim &&
  !stop.ignoreEos &&
  sampling.seed === undefined &&
  (sampling.candidateCount ?? 1) === 1 &&
  parameters.temperature > 0;

export interface RecoveryOptions {
  readonly task: GenerationTask;
  readonly engine: Engine;
  readonly request: EngineRequest;
  /** The rendered conversation. */
  readonly conversation: string;
  /** The texts of the model's special tokens. */
  readonly specials: ReadonlySet<string>;
  readonly record: GenerationRecord;
  /** Whether events are sent as they come. Then only an answer that ends before its first piece can be replaced. */
  readonly streams: boolean;
  readonly retrySeed: number;
}

/** What was wrong with the two attempts; `second` is undefined if the second one is fine. */
export interface Retried {
  readonly first: string;
  readonly second: string | undefined;
}

/**
 * Returns undefined if one attempt was enough. Of two broken answers the caller gets the better one with a warning, and not
 * an error: what looks broken may be what was asked for, and a stream would have delivered it.
 */
export const generateRecovering = Effect.fnUntraced(function* (
  options: RecoveryOptions,
): Effect.fn.Return<Retried | undefined, EngineFailure> {
  const { engine, request, record, streams, retrySeed } = options;
  const clock = yield* Clock.Clock;
  const now = () => elapsedMsUnsafe(clock);
  const beganAt = now();
  const first = new Attempt(options, now, (event) => !streams || isOnlyTheEnd(event, request));
  yield* engine.generate(request, first.onEvent);
  const { finding } = first;
  const leftMs = request.timeBudgetMs === undefined ? undefined : request.timeBudgetMs - (now() - beganAt);
  if (finding === undefined || (leftMs !== undefined && leftMs <= 0)) {
    first.release();
    return undefined;
  }
  const parameters = { ...request.parameters, seed: retrySeed };
  const second = new Attempt(options, now, () => !streams, { first: finding, seed: retrySeed });
  yield* engine.generate({ ...request, parameters, promptLogprobs: false, timeBudgetMs: leftMs }, second.onEvent);
  const retried = { first: finding, second: second.finding };
  if (!streams && severity(retried.second) > severity(finding)) {
    first.release([noBetter(retried, retrySeed)]);
  } else {
    if (!streams) record.startAnew(retrySeed);
    second.release();
  }
  return retried;
});

type Output = Extract<EngineEvent, { type: "output" }>;
type Finished = Extract<EngineEvent, { type: "finished" }>;

/** One attempt. It holds back output that may still be replaced, and judges the whole answer at its end. */
class Attempt {
  finding: string | undefined;
  private readonly options: RecoveryOptions;
  private readonly now: () => number;
  private readonly holds: (event: Output) => boolean;
  /** The first attempt's finding and the new seed; undefined for the first attempt. */
  private readonly before: { readonly first: string; readonly seed: number } | undefined;
  private readonly held: { readonly event: Output | Finished; readonly at: number }[] = [];
  private hasSent = false;
  private text = "";
  private reasoning = "";

  constructor(
    options: RecoveryOptions,
    now: () => number,
    holds: (event: Output) => boolean,
    before?: { readonly first: string; readonly seed: number },
  ) {
    this.options = options;
    this.now = now;
    this.holds = holds;
    this.before = before;
  }

  readonly onEvent = (event: EngineEvent): void => {
    const { record } = this.options;
    switch (event.type) {
      case "admitted":
      case "prompt":
        if (this.before === undefined) record.onEngineEvent(0, event, this.now());
        break;
      case "output":
        if (this.isJudged) {
          this.text += event.text;
          this.reasoning += event.reasoning;
        }
        if (!this.hasSent && this.holds(event)) {
          record.withhold(0, event);
          this.held.push({ event, at: this.now() });
        } else this.send(event);
        break;
      case "finished":
        this.finding = this.judge(event);
        if (this.hasSent) this.send(event);
        else this.held.push({ event, at: this.now() });
        break;
    }
  };

  /** Sends what was held back: it is the answer. */
  release(warnings?: ReadonlyArray<OutputWarning>): void {
    for (const { event, at } of this.held.splice(0)) {
      if (event.type === "output") this.options.record.unhold(0, event);
      // The end counts from when the caller gets it: another attempt may have run in between.
      this.forward(event, event.type === "finished" ? this.now() : at, warnings);
    }
  }

  /** A first attempt is not judged once some of it was sent: it stays the answer. */
  private get isJudged(): boolean {
    return !this.hasSent || this.before !== undefined;
  }

  private send(event: Output | Finished): void {
    if (!this.hasSent) this.release();
    this.hasSent = true;
    this.forward(event, this.now());
  }

  /** Every token of a stream passes here. */
  private forward(event: Output | Finished, at: number, warnings?: ReadonlyArray<OutputWarning>): void {
    const told =
      event.type === "output" ? event : { ...event, warnings: [...event.warnings, ...(warnings ?? this.warnings)] };
    this.options.record.onEngineEvent(0, told, at);
  }

  private get warnings(): ReadonlyArray<OutputWarning> {
    if (this.before === undefined) return [];
    const { first, seed } = this.before;
    const message =
      this.finding === undefined
        ? `the first answer was broken (${first}) and nothing of it was sent; this is another one, with the seed ${seed}`
        : `this answer, with the seed ${seed}, is broken (${this.finding}), as was the first one (${first})`;
    return [{ kind: this.finding === undefined ? "regenerated" : "broken-answer", message }];
  }

  private judge({ reason, matched }: Finished): string | undefined {
    const { task, conversation, specials } = this.options;
    if (reason === "cancelled" || reason === "time-budget" || !this.isJudged) return undefined;
    const stop = matched?.type === "stop-sequence" ? matched.text : "";
    if (this.text.trim() === "" && (reason === "end-of-sequence" || reason === "stop-sequence")) {
      return task.stop.stopSequences.includes(stop) ? undefined : emptyResponse;
    }
    const text = this.text === "" ? this.reasoning : this.text;
    // The stop sequence is in the text because the task asked for that.
    const own = task.stop.includeStopInOutput && stop !== "" ? text.slice(0, -stop.length) : text;
    return brokenness(own, conversation, specials);
  }
}

const emptyResponse = "empty response";

/** Whether the event carries nothing visible and only end-of-sequence tokens. */
const isOnlyTheEnd = ({ text, reasoning, toolCalls, tokenIds }: Output, { eosTokenIds }: EngineRequest): boolean =>
  text === "" && reasoning === "" && toolCalls.length === 0 && tokenIds.every((id) => eosTokenIds.includes(id));

/** An empty answer is worse than a repetitive one, which is worse than one with stray tokens. */
const severity = (finding: string | undefined): number => {
  if (finding === undefined) return 0;
  if (finding === emptyResponse) return 3;
  return finding.endsWith("repetition") ? 2 : 1;
};

const noBetter = ({ first, second = "" }: Retried, seed: number): OutputWarning => ({
  kind: "broken-answer",
  message: `this answer is broken (${first}); another one, with the seed ${seed}, was worse (${second})`,
});
