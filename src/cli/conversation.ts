import type { ChatMessage } from "../client/node.ts";

/** The history of a chat, which the service does not keep. */
export class Conversation {
  #system: string;
  #turns: ChatMessage[] = [];

  constructor(system = "") {
    this.#system = system;
  }

  /** What the model is told before all else; empty for nothing. */
  setSystem(system: string): void {
    this.#system = system;
  }

  /** Forgets what was said, apart from the system text. */
  reset(): void {
    this.#turns = [];
  }

  /** The messages to send for what the user says next. */
  with(said: string): readonly ChatMessage[] {
    const system: readonly ChatMessage[] = this.#system === "" ? [] : [{ role: "system", content: this.#system }];
    return [...system, ...this.#turns, { role: "user", content: said }];
  }

  /** Keeps a turn. One without an answer is not kept: no template expects two messages of the user in a row. */
  add(said: string, answered: string): void {
    if (answered === "") return;
    this.#turns.push({ role: "user", content: said }, { role: "assistant", content: answered });
  }
}
