/** What is known of one generation while it runs: it turns the engine's events into the caller's. */
import type { EffectiveParameters, GenerationEvent, Usage } from "../domain/generation.ts";
import type { ModelFacts } from "../domain/model.ts";
import type { EngineEvent } from "../engine/Engine.ts";

type EngineFinished = Extract<EngineEvent, { type: "finished" }>;

export class GenerationRecord {
  readonly id: string;
  /** Ended by CancelGeneration. */
  cancelled = false;
  private readonly facts: ModelFacts;
  private readonly parameters: EffectiveParameters;
  private readonly promptTokens: number;
  private readonly receivedAt: number;
  private readonly reasons: boolean;
  private readonly emit: (event: GenerationEvent) => void;
  private admittedAt: number | undefined;
  private firstTokenAt: number | undefined;
  private cachedPromptTokens = 0;
  private outputTokens = 0;
  private reasoningTokens = 0;

  constructor(options: {
    readonly id: string;
    readonly facts: ModelFacts;
    readonly parameters: EffectiveParameters;
    readonly promptTokens: number;
    /** Epoch milliseconds, as all times here. */
    readonly receivedAt: number;
    /** Whether reasoning is told apart: then its tokens are counted. */
    readonly reasons: boolean;
    readonly emit: (event: GenerationEvent) => void;
  }) {
    this.id = options.id;
    this.facts = options.facts;
    this.parameters = options.parameters;
    this.promptTokens = options.promptTokens;
    this.receivedAt = options.receivedAt;
    this.reasons = options.reasons;
    this.emit = options.emit;
  }

  get usage(): Usage {
    return {
      promptTokens: this.promptTokens,
      cachedPromptTokens: this.cachedPromptTokens,
      outputTokens: this.outputTokens,
      ...(this.reasons && { reasoningTokens: this.reasoningTokens }),
    };
  }

  onEngineEvent(event: EngineEvent, now: number): void {
    switch (event.type) {
      case "admitted":
        this.start(event.cachedPromptTokens, now);
        break;
      case "output":
        if (event.tokenIds.length > 0) this.firstTokenAt ??= now;
        this.outputTokens += event.tokenIds.length;
        this.reasoningTokens += event.reasoningTokens;
        this.emit({
          type: "chunk",
          text: event.text,
          reasoning: event.reasoning,
          toolCalls: event.toolCalls,
          tokenIds: event.tokenIds,
          outputTokens: this.outputTokens,
        });
        break;
      case "finished":
        // Cancelled before the engine took it in: it still begins before it ends.
        if (this.admittedAt === undefined) this.start(0, now);
        this.cachedPromptTokens = event.cachedPromptTokens;
        this.finish(event, now);
        break;
    }
  }

  private start(cachedPromptTokens: number, now: number): void {
    this.admittedAt = now;
    this.cachedPromptTokens = cachedPromptTokens;
    this.emit({
      type: "started",
      generationId: this.id,
      model: this.facts.id,
      modelRevision: this.facts.revision,
      promptTokens: this.promptTokens,
      cachedPromptTokens,
      parameters: this.parameters,
    });
  }

  private finish({ reason: finishReason, matched, warnings }: EngineFinished, now: number): void {
    this.cancelled = finishReason === "cancelled";
    const admittedAt = this.admittedAt ?? now;
    const firstTokenAt = this.firstTokenAt ?? now;
    this.emit({
      type: "finished",
      finishReason,
      matched,
      usage: this.usage,
      timings: {
        queueMs: admittedAt - this.receivedAt,
        timeToFirstTokenMs: firstTokenAt - admittedAt,
        decodeMs: now - firstTokenAt,
        totalMs: now - this.receivedAt,
      },
      warnings,
    });
  }
}
