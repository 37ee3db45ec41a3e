/**
 * A run with spans for its work in the engine's process: its wait there, its prefill, and its decoding in bursts. The
 * times are those that the process reports for its steps. A burst covers one second, so that a long output has at most
 * one span per second.
 */
import type { WriteSpan } from "../../telemetry/traces/spans.ts";
import type { SequenceEvent } from "../../worker/protocol/sequence-events.ts";
import type { SubmitMessage } from "../../worker/protocol/submit-message.ts";
import type { EngineRun, RunContext, RunEnd, StepTimes } from "./EngineRun.ts";

export class TracedRun implements EngineRun {
  private readonly run: EngineRun;
  private readonly write: WriteSpan;
  private readonly givenAt: number;
  private prefill: { readonly from: number; slices: number; readonly cachedPromptTokens: number } | undefined;
  private burst: { readonly from: number; to: number; tokens: number; steps: number; rows: number } | undefined;
  private lastStep: StepTimes | undefined;

  /** @param now epoch milliseconds */
  constructor(run: EngineRun, write: WriteSpan, now: number) {
    this.run = run;
    this.write = write;
    this.givenAt = now;
  }

  get sequence(): number {
    return this.run.sequence;
  }

  set sequence(sequence: number) {
    this.run.sequence = sequence;
  }

  get deaths(): number {
    return this.run.deaths;
  }

  set deaths(deaths: number) {
    this.run.deaths = deaths;
  }

  get id(): string | undefined {
    return this.run.id;
  }

  get streamed(): boolean {
    return this.run.streamed;
  }

  get submission(): SubmitMessage {
    return this.run.submission;
  }

  receive(event: SequenceEvent, context: RunContext): RunEnd | undefined {
    if (context.step !== undefined) this.trace(event, context.step);
    const end = this.run.receive(event, context);
    if (end !== undefined) this.endBurst();
    return end;
  }

  cancel(): void {
    this.endBurst();
    this.run.cancel();
  }

  private trace(event: SequenceEvent, step: StepTimes): void {
    switch (event.type) {
      case "admitted":
        // This may be another process, which starts from the beginning.
        this.endBurst();
        this.write("engine.wait", this.givenAt, step.from, { "process.pid": step.pid });
        this.prefill = { from: step.from, slices: 0, cachedPromptTokens: event.cachedPromptTokens };
        break;
      case "progress":
        if (this.prefill !== undefined) this.prefill.slices += 1;
        break;
      case "token":
        this.endPrefill(step);
        this.token(step);
        break;
      default:
        break;
    }
  }

  private endPrefill(step: StepTimes): void {
    if (this.prefill === undefined) return;
    const { from, slices, cachedPromptTokens } = this.prefill;
    this.prefill = undefined;
    this.write("engine.prefill", from, step.to, {
      "process.pid": step.pid,
      "mlxd.prefill.slices": slices,
      "mlxd.prompt.cached_tokens": cachedPromptTokens,
    });
  }

  private token(step: StepTimes): void {
    if (this.burst !== undefined && step.to - this.burst.from > burstMs) this.endBurst();
    const burst = (this.burst ??= { from: step.from, to: step.to, tokens: 0, steps: 0, rows: 0 });
    burst.tokens += 1;
    burst.to = step.to;
    if (step !== this.lastStep) {
      burst.steps += 1;
      burst.rows = Math.max(burst.rows, step.rows);
    }
    this.lastStep = step;
  }

  private endBurst(): void {
    if (this.burst === undefined) return;
    const { from, to, tokens, steps, rows } = this.burst;
    this.burst = undefined;
    this.write("engine.decode", from, to, {
      "process.pid": this.lastStep?.pid ?? 0,
      "mlxd.output.tokens": tokens,
      "mlxd.decode.steps": steps,
      "mlxd.batch.rows": rows,
    });
  }
}

const burstMs = 1_000;
