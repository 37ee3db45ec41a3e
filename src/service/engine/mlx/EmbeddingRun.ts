/** The embedding of one text in an engine process. It can be replayed until its vector has arrived. */
import { Exit } from "effect";

import { InsufficientMemory } from "../../domain/errors.ts";
import type { SequenceEvent } from "../../worker/protocol/sequence-events.ts";
import { neutralSampling, type SubmitMessage } from "../../worker/protocol/submit-message.ts";
import type { EngineEmbedding } from "../Engine.ts";
import type { EngineRun, RunEnd } from "./EngineRun.ts";

export class EmbeddingRun implements EngineRun {
  readonly id = undefined;
  /** Changes when the request is given to another process. */
  sequence: number;
  /** An embedding is delivered only as a whole. */
  readonly streamed = false;
  /** Number of processes that died while they had it. */
  deaths = 0;
  vector: Float32Array | undefined;
  private readonly onAdmitted: () => void;
  private readonly request: EngineEmbedding;

  constructor(request: EngineEmbedding, sequence: number, onAdmitted: () => void = () => {}) {
    this.request = request;
    this.onAdmitted = onAdmitted;
    this.sequence = sequence;
  }

  receive(event: SequenceEvent): RunEnd | undefined {
    switch (event.type) {
      case "admitted":
        this.onAdmitted();
        return undefined;
      case "embedding":
        this.vector = event.vector;
        return { exit: Exit.void, isComputing: false };
      case "refused":
        return {
          exit: Exit.fail(
            new InsufficientMemory({ neededBytes: event.neededBytes, availableBytes: event.availableBytes }),
          ),
          isComputing: false,
        };
      default:
        return undefined;
    }
  }

  /** Does nothing: an embedding has no id to be cancelled by. */
  cancel(): void {}

  get submission(): SubmitMessage {
    const { promptTokenIds, scheduling, ...embedding } = this.request;
    return {
      type: "submit",
      sequence: this.sequence,
      promptTokenIds,
      // Nothing is sampled, so any sampling parameters will do.
      sampling: neutralSampling,
      maxOutputTokens: 0,
      minOutputTokens: 0,
      stopTokenIds: [],
      timeBudgetMs: undefined,
      scheduling,
      reasoningLimit: undefined,
      topLogprobs: undefined,
      promptLogprobs: false,
      cache: { read: false, write: false, partition: "" },
      embedding,
    };
  }
}
