import type { GenerationChunk } from "./events.ts";

type Kind = "text" | "reasoning";

/** A part of a stream as other libraries have them: a start, deltas and an end for each text, reasoning and tool input. */
export type OutputPart =
  | { readonly type: `${Kind}-start` | `${Kind}-end`; readonly id: string }
  | { readonly type: `${Kind}-delta`; readonly id: string; readonly delta: string }
  | { readonly type: "tool-start"; readonly id: string; readonly name: string }
  | { readonly type: "tool-delta"; readonly id: string; readonly delta: string }
  | { readonly type: "tool-end"; readonly id: string };

/** Converts chunks to parts. At most one text or reasoning is open at a time, and one tool input. */
export class OutputPartWriter {
  #open: { readonly kind: Kind; readonly id: string } | undefined;
  #tool: { readonly index: number; readonly id: string } | undefined;
  #count = 0;

  /** The parts of one chunk. */
  *write({ reasoning, text, toolCalls }: GenerationChunk): Generator<OutputPart, void, undefined> {
    yield* this.#delta("reasoning", reasoning);
    yield* this.#delta("text", text);
    for (const { index, id, name, arguments: delta } of toolCalls) {
      yield* this.#close();
      if (this.#tool?.index !== index) {
        yield* this.#closeTool();
        this.#tool = { index, id };
        yield { type: "tool-start", id, name };
      }
      if (delta !== "") yield { type: "tool-delta", id: this.#tool.id, delta };
    }
  }

  /** Ends the open parts. */
  *end(): Generator<OutputPart, void, undefined> {
    yield* this.#close();
    yield* this.#closeTool();
  }

  *#delta(kind: Kind, delta: string): Generator<OutputPart, void, undefined> {
    if (delta === "") return;
    if (this.#open?.kind !== kind) {
      yield* this.#close();
      this.#open = { kind, id: String(this.#count++) };
      yield { type: `${kind}-start`, id: this.#open.id };
    }
    yield { type: `${kind}-delta`, id: this.#open.id, delta };
  }

  *#close(): Generator<OutputPart, void, undefined> {
    if (this.#open !== undefined) yield { type: `${this.#open.kind}-end`, id: this.#open.id };
    this.#open = undefined;
  }

  *#closeTool(): Generator<OutputPart, void, undefined> {
    if (this.#tool !== undefined) yield { type: "tool-end", id: this.#tool.id };
    this.#tool = undefined;
  }
}
