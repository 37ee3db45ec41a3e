/** An engine without the service: a model and its scheduler. */
import type { Model } from "../../../src/service/worker/architectures/Model.ts";
import { collectBetweenSteps } from "../../../src/service/worker/mlx.ts";
import { Scheduler } from "../../../src/service/worker/scheduler/scheduler.ts";
import { greedySubmission } from "../../greedy-submission.ts";

const gibibyte = 1024 ** 3;

export interface Run {
  readonly sequences: number;
  readonly promptTokens: number;
  readonly maxTokens: number;
}

export interface Durations {
  /** To the first token. */
  readonly prefillMs: number;
  /** From there to the last one. */
  readonly decodeMs: number;
}

export class BareEngine {
  private readonly scheduler: Scheduler;
  private readonly vocabularySize: number;
  private sequence = 0;

  constructor(model: Model) {
    const limits = {
      maxBatch: 32,
      prefillSliceTokens: 256,
      kvCacheBytes: 2 * gibibyte,
      prefixCacheBytes: 0,
      maxAdapters: 0,
    };
    this.scheduler = new Scheduler(model, limits, () => performance.now());
    this.vocabularySize = model.vocabularySize;
  }

  /** Generates greedily from prompts that nobody had before. */
  async generate({ sequences, promptTokens, maxTokens }: Run): Promise<Durations> {
    const startedAt = performance.now();
    let firstTokenAt: number | undefined;
    for (let index = 0; index < sequences; index++) this.submit(promptTokens, maxTokens);
    while (!this.scheduler.idle) {
      const work = this.scheduler.step();
      const hasToken = this.scheduler.takeEvents().some(({ type }) => type === "token");
      if (hasToken) firstTokenAt ??= performance.now();
      await collectBetweenSteps(work);
    }
    const endedAt = performance.now();
    return { prefillMs: (firstTokenAt ?? endedAt) - startedAt, decodeMs: endedAt - (firstTokenAt ?? endedAt) };
  }

  private submit(promptTokens: number, maxTokens: number): void {
    this.sequence += 1;
    const { sequence, vocabularySize } = this;
    const prompt = Array.from(
      { length: promptTokens },
      (_, place) => (10 + sequence * 31 + place * 7) % vocabularySize,
    );
    this.scheduler.submit(greedySubmission(sequence, prompt, maxTokens, { minOutputTokens: maxTokens }));
  }
}
