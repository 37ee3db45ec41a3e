/** Reports what is read from a backend's stream as the events of a generation. */
import type { ChatInput } from "../../domain/conversation.ts";
import type {
  FinishReason,
  OutputWarning,
  StopMatch,
  TokenLogprob,
  ToolCallDelta,
} from "../../domain/generation-result.ts";
import { createToolSet } from "../../output/tool-set.ts";
import type { EndUsage, EngineEvent } from "../Engine.ts";

export interface ReadingOptions {
  readonly tools: ChatInput["tools"];
  /** How many alternatives each token's logprob has; undefined for no logprobs. */
  readonly topLogprobs: number | undefined;
  /** The number of prompt tokens if the server does not report it. */
  readonly estimatedPromptTokens: number;
  readonly onEvent: (event: EngineEvent) => void;
}

/** What a piece of an answer can contain besides text. */
interface Beside {
  readonly toolCalls?: ReadonlyArray<ToolCallDelta>;
  /** One for each of its tokens. */
  readonly logprobs?: ReadonlyArray<TokenLogprob>;
  readonly isLast?: boolean;
}

/** A tool call as the model wrote it. */
export interface WrittenCall {
  readonly id: string;
  readonly name: string;
  readonly arguments: string;
}

export interface AnswerEnd {
  readonly reason: FinishReason;
  readonly matched?: StopMatch | undefined;
  readonly usage?: EndUsage | undefined;
  readonly cachedPromptTokens?: number;
  readonly calls?: ReadonlyArray<WrittenCall>;
}

export class AnswerEvents {
  hasOutput = false;
  isFinished = false;
  /** Pieces of reasoning so far, each of about one token. */
  reasoningPieces = 0;
  private readonly options: ReadingOptions;
  private pieces = 0;
  private heldText = "";
  private heldReasoning = "";
  private heldLogprobs: TokenLogprob[] = [];

  constructor(options: ReadingOptions) {
    this.options = options;
  }

  /**
   * A surrogate pair may be cut in two: the first half is held back until the second one comes. Logprobs that come
   * without text are reported together with the next text.
   */
  tell(text: string, reasoning: string, { toolCalls = [], logprobs = [], isLast = false }: Beside = {}): void {
    // Not copied: there may be very many pieces without text.
    for (const each of logprobs) this.heldLogprobs.push(each);
    if (text === "" && reasoning === "" && toolCalls.length === 0 && !isLast) return;
    const [wholeText, heldText] = split(this.heldText + text, isLast);
    const [wholeReasoning, heldReasoning] = split(this.heldReasoning + reasoning, isLast);
    this.heldText = heldText;
    this.heldReasoning = heldReasoning;
    const told = this.heldLogprobs;
    const isRest = isLast && told.length > 0;
    if (wholeText === "" && wholeReasoning === "" && toolCalls.length === 0 && !isRest) return;
    const tokens = Math.max(1, told.length);
    const reasoningTokens = wholeReasoning === "" || wholeText !== "" ? 0 : tokens;
    this.pieces += tokens;
    this.reasoningPieces += reasoningTokens;
    this.hasOutput = true;
    this.heldLogprobs = [];
    const output = { text: wholeText, reasoning: wholeReasoning, toolCalls, tokens, reasoningTokens };
    this.options.onEvent({ type: "output", tokenIds: [], logprobs: told, ...output });
  }

  /** Reports the calls and the end. A call that is invalid is returned as text, with a warning that says why. */
  end({ reason, calls = [], ...rest }: AnswerEnd): void {
    if (this.isFinished) return;
    const { toolCalls, warnings, text } = this.checked(calls);
    this.tell(text, "", { toolCalls, isLast: true });
    const isCall = reason === "tool-calls" || (reason === "end-of-sequence" && calls.length > 0);
    this.finish(
      { ...rest, reason: isCall ? (toolCalls.length > 0 ? "tool-calls" : "end-of-sequence") : reason },
      warnings,
    );
  }

  /** Ends the answer with the output so far. */
  finish(
    { reason, matched, usage = this.estimate, cachedPromptTokens = 0 }: AnswerEnd,
    warnings: ReadonlyArray<OutputWarning> = [],
  ): void {
    if (this.isFinished) return;
    this.isFinished = true;
    this.options.onEvent({ type: "finished", reason, matched, cachedPromptTokens, usage, warnings });
  }

  private get estimate(): EndUsage {
    const { pieces: outputTokens, reasoningPieces: reasoningTokens } = this;
    return { promptTokens: this.options.estimatedPromptTokens, outputTokens, reasoningTokens, estimated: true };
  }

  private checked(calls: ReadonlyArray<WrittenCall>) {
    const tools = createToolSet(this.options.tools);
    const toolCalls: ToolCallDelta[] = [];
    const warnings: OutputWarning[] = [];
    let text = "";
    for (const call of calls) {
      const written = call.arguments.trim() === "" ? "{}" : call.arguments;
      const problem = tools.problem(call.name, written);
      if (problem === undefined) {
        const index = toolCalls.length;
        toolCalls.push({ index, id: call.id === "" ? `call_${index}` : call.id, name: call.name, arguments: written });
      } else {
        warnings.push(problem);
        text += `{"name": ${JSON.stringify(call.name)}, "arguments": ${written}}`;
      }
    }
    return { toolCalls, warnings, text };
  }
}

const split = (text: string, isLast: boolean): readonly [string, string] => {
  const last = text.charCodeAt(text.length - 1);
  const at = !isLast && last >= 0xd800 && last <= 0xdbff ? text.length - 1 : text.length;
  return [text.slice(0, at).toWellFormed(), text.slice(at)];
};
