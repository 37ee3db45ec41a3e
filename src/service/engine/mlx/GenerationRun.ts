/** One request on its way through an engine process: ids in, text events out. */
import type { StopMatch } from "../../domain/generation.ts";
import { createDetokenizer } from "../../prompt/detokenizer.ts";
import { createStopMatcher } from "../../prompt/stop-sequences.ts";
import type { Tokenizer } from "../../prompt/Tokenizer.ts";
import type { SequenceEnd, SubmitMessage } from "../../worker/protocol.ts";
import type { EngineEvent, EngineRequest } from "../Engine.ts";

export class GenerationRun {
  readonly request: EngineRequest;
  readonly sequence: number;
  /** Whether the caller has seen a token: then it cannot be replayed. */
  streamed = false;
  /** Processes that died while they had it. */
  deaths = 0;
  private admitted = false;
  private cachedPromptTokens = 0;
  private readonly emit: (event: EngineEvent) => void;
  private readonly detokenizer: ReturnType<typeof createDetokenizer>;
  private readonly stops: ReturnType<typeof createStopMatcher>;

  constructor(request: EngineRequest, sequence: number, tokenizer: Tokenizer, emit: (event: EngineEvent) => void) {
    this.request = request;
    this.sequence = sequence;
    this.emit = emit;
    this.detokenizer = createDetokenizer(tokenizer);
    this.stops = createStopMatcher(request.parameters.stopSequences, request.includeStopInOutput);
  }

  get submission(): SubmitMessage {
    const { parameters, promptTokenIds, timeBudgetMs, cache } = this.request;
    return {
      type: "submit",
      sequence: this.sequence,
      promptTokenIds,
      sampling: { ...parameters, topK: parameters.topK ?? 0 },
      maxOutputTokens: parameters.maxOutputTokens,
      minOutputTokens: parameters.minOutputTokens,
      stopTokenIds: parameters.stopTokenIds,
      timeBudgetMs,
      cache: {
        read: cache.mode !== "bypass",
        write: cache.mode === "read-write",
        partition: cache.partition,
      },
    };
  }

  /** A replay is admitted again, which the caller need not know. */
  admit(cachedPromptTokens: number): void {
    this.cachedPromptTokens = cachedPromptTokens;
    if (this.admitted) return;
    this.admitted = true;
    this.emit({ type: "admitted", cachedPromptTokens });
  }

  /** Takes a token in; true when a stop sequence ends the output with it. */
  token(tokenId: number): boolean {
    const ends = this.request.parameters.stopTokenIds.includes(tokenId);
    const { text, matched } = ends ? { text: "", matched: undefined } : this.stops.push(this.detokenizer.push(tokenId));
    this.streamed = true;
    this.lastTokenId = tokenId;
    this.emit({ type: "output", text, tokenIds: [tokenId] });
    if (matched === undefined) return false;
    this.finish("stop-sequence", { type: "stop-sequence", text: matched });
    return true;
  }

  /** The worker says that it is the end: what was held back goes out, and may still complete a stop sequence. */
  end(reason: SequenceEnd | "cancelled"): void {
    const { text, matched } = this.stops.push(this.detokenizer.flush());
    const rest = matched === undefined ? text + this.stops.flush() : text;
    if (rest !== "") this.emit({ type: "output", text: rest, tokenIds: [] });
    if (matched !== undefined) {
      this.finish("stop-sequence", { type: "stop-sequence", text: matched });
      return;
    }
    switch (reason) {
      case "stop-token": {
        const isEos = this.request.eosTokenIds.includes(this.lastTokenId);
        this.finish(isEos ? "end-of-sequence" : "stop-token", { type: "token", tokenId: this.lastTokenId });
        break;
      }
      case "max-output-tokens":
        this.finish(this.request.fillsContext ? "context-length" : "max-output-tokens", undefined);
        break;
      case "time-budget":
      case "cancelled":
        this.finish(reason, undefined);
        break;
    }
  }

  private lastTokenId = -1;

  private finish(reason: Extract<EngineEvent, { type: "finished" }>["reason"], matched: StopMatch | undefined): void {
    this.emit({ type: "finished", reason, matched, cachedPromptTokens: this.cachedPromptTokens });
  }
}
