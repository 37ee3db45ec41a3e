import type { LanguageModelV4StreamPart } from "@ai-sdk/provider";
import type { GenerationChunk } from "../events.ts";

type Kind = "text" | "reasoning";

/** Turns chunks into parts that begin and end: at most one text or reasoning is open, and one tool's input. */
export class PartWriter {
  #open: { readonly kind: Kind; readonly id: string } | undefined;
  #tool: { readonly index: number; readonly id: string } | undefined;
  #count = 0;

  /** The parts of one chunk. */
  *write({ reasoning, text, toolCalls }: GenerationChunk): Generator<LanguageModelV4StreamPart, void, undefined> {
    yield* this.#delta("reasoning", reasoning);
    yield* this.#delta("text", text);
    for (const { index, id, name, arguments: delta } of toolCalls) {
      yield* this.#close();
      if (this.#tool?.index !== index) {
        yield* this.#closeTool();
        this.#tool = { index, id };
        yield { type: "tool-input-start", id, toolName: name };
      }
      if (delta !== "") yield { type: "tool-input-delta", id: this.#tool.id, delta };
    }
  }

  /** Ends what is open. */
  *end(): Generator<LanguageModelV4StreamPart, void, undefined> {
    yield* this.#close();
    yield* this.#closeTool();
  }

  *#delta(kind: Kind, delta: string): Generator<LanguageModelV4StreamPart, void, undefined> {
    if (delta === "") return;
    if (this.#open?.kind !== kind) {
      yield* this.#close();
      this.#open = { kind, id: String(this.#count++) };
      yield { type: `${kind}-start`, id: this.#open.id };
    }
    yield { type: `${kind}-delta`, id: this.#open.id, delta };
  }

  *#close(): Generator<LanguageModelV4StreamPart, void, undefined> {
    if (this.#open !== undefined) yield { type: `${this.#open.kind}-end`, id: this.#open.id };
    this.#open = undefined;
  }

  *#closeTool(): Generator<LanguageModelV4StreamPart, void, undefined> {
    if (this.#tool !== undefined) yield { type: "tool-input-end", id: this.#tool.id };
    this.#tool = undefined;
  }
}
