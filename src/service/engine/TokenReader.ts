/**
 * Reads the tokens of one generation: decodes them, separates text, reasoning and tool calls, and finds stop sequences.
 */
import type { OutputWarning, StopMatch } from "../domain/generation-result.ts";
import { OutputReader, type OutputStep } from "../output/OutputReader.ts";
import { markersFor } from "../output/parser.ts";
import { asToken } from "../output/token-marks.ts";
import { createDetokenizer } from "../prompt/detokenizer.ts";
import type { Vocabulary } from "../prompt/Vocabulary.ts";
import type { EngineEvent, EngineRequest, TokensEnd } from "./Engine.ts";

type Output = Extract<EngineEvent, { type: "output" }>;
type Finished = Extract<EngineEvent, { type: "finished" }>;

export class TokenReader {
  /** Reported with the `finished` event. */
  cachedPromptTokens = 0;
  private lastTokenId = -1;
  private readonly request: EngineRequest;
  private readonly vocabulary: Vocabulary;
  private readonly emit: (event: EngineEvent) => void;
  private readonly detokenizer: ReturnType<typeof createDetokenizer>;
  private readonly reader: OutputReader;
  /** Special tokens that were removed from the text. */
  private readonly leftOut = new Set<string>();

  constructor(request: EngineRequest, vocabulary: Vocabulary, emit: (event: EngineEvent) => void) {
    this.request = request;
    this.vocabulary = vocabulary;
    this.emit = emit;
    const { reading, parameters, includeStopInOutput: includeStop } = request;
    const { specials } = vocabulary;
    const stops =
      request.stops ?? parameters.stopSequences.map((text) => ({ text, inText: "always" as const, isModels: false }));
    const markers = markersFor(reading);
    this.reader = new OutputReader({ reading, stops, includeStop, specials });
    this.detokenizer = createDetokenizer(vocabulary, (piece, tokenId) => {
      if (this.reader.watches(piece)) return asToken(piece);
      if (reading.verbatim === true) return piece;
      if (markers.has(piece)) return reading.spelled === true ? piece : asToken(piece);
      // No warning for an end that the task ignores (`ignore_eos`), nor for special tokens within reasoning.
      const isAskedFor = request.eosTokenIds.includes(tokenId) || this.reader.inReasoning;
      if (!isAskedFor) this.leftOut.add(piece);
      return "";
    });
  }

  /** Reads a token. True if the output ends with it, by a stop sequence or because the model began another role's turn. */
  push(tokenId: number, told: Pick<Output, "logprobs" | "drafts">): boolean {
    const ends = this.request.parameters.stopTokenIds.includes(tokenId);
    const wasReasoning = this.reader.inReasoning;
    const step = this.reader.push(ends ? "" : this.detokenizer.push(tokenId));
    this.lastTokenId = tokenId;
    this.emitOutput(step, {
      ...told,
      tokens: 1,
      tokenIds: [tokenId],
      reasoningTokens: !ends && wasReasoning && this.reader.inReasoning ? 1 : 0,
    });
    return this.stop(step);
  }

  /** Ends the output: text that was held back is emitted, and may still complete a stop sequence. */
  end(reason: TokensEnd): void {
    const step = this.reader.end(this.detokenizer.flush(), reason === "stop-token" ? this.endingToken : undefined);
    if (step.text !== "" || step.reasoning !== "" || step.toolCalls.length > 0) this.emitOutput(step, noTokens);
    if (this.stop(step)) return;
    switch (reason) {
      case "stop-token": {
        const isEos = this.request.eosTokenIds.includes(this.lastTokenId);
        if (isEos && this.reader.calls > 0) this.finish("tool-calls", undefined);
        else this.finish(isEos ? "end-of-sequence" : "stop-token", { type: "token", tokenId: this.lastTokenId });
        break;
      }
      case "constraint-complete":
        this.finish(this.reader.calls > 0 ? "tool-calls" : reason, undefined);
        break;
      case "max-output-tokens":
        this.finish(this.request.fillsContext ? "context-length" : "max-output-tokens", undefined);
        break;
      case "time-budget":
      case "cancelled":
        this.finish(reason, undefined);
        break;
    }
  }

  /** The text of the last token, if a stop sequence contains it. */
  private get endingToken(): string | undefined {
    const piece = this.vocabulary.piece(this.lastTokenId) ?? "";
    return this.vocabulary.isSpecial(this.lastTokenId) && this.reader.watches(piece) ? piece : undefined;
  }

  private emitOutput({ text, reasoning, toolCalls }: OutputStep, tokens: TokensOfStep): void {
    this.emit({ type: "output", text, reasoning, toolCalls, ...tokens });
  }

  private stop({ stopped, ownTurn }: OutputStep): boolean {
    if (stopped === undefined) return false;
    // After its calls a model may go on and invent their results.
    if (!ownTurn && this.reader.calls > 0) this.finish("tool-calls", undefined);
    else this.finish("stop-sequence", { type: "stop-sequence", text: stopped });
    return true;
  }

  private finish(reason: Finished["reason"], matched: StopMatch | undefined): void {
    const { cachedPromptTokens } = this;
    const warnings = [...this.reader.warnings, ...this.leftOutWarnings()];
    this.emit({ type: "finished", reason, matched, cachedPromptTokens, warnings });
  }

  private leftOutWarnings(): ReadonlyArray<OutputWarning> {
    const leftOut = new Set([...this.leftOut, ...this.reader.leftOut]);
    if (leftOut.size === 0) return [];
    const tokens = [...leftOut].slice(0, 8).join(" ");
    return [{ kind: "markers-removed", message: `special tokens were left out of the text: ${tokens.slice(0, 200)}` }];
  }
}

type TokensOfStep = Pick<Output, "tokens" | "tokenIds" | "reasoningTokens" | "drafts" | "logprobs">;

const noTokens: TokensOfStep = { tokens: 0, tokenIds: [], reasoningTokens: 0, logprobs: [] };
