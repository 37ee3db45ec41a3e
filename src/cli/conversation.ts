import type { ChatMessage } from "../client/node.ts";

/** The history of a chat, which the service does not store. */
export class Conversation {
  #system: string;
  #turns: ChatMessage[] = [];

  constructor(system = "") {
    this.#system = system;
  }

  /** The system text; empty for none. */
  setSystem(system: string): void {
    this.#system = system;
  }

  /** Forgets the conversation except for the system text. */
  reset(): void {
    this.#turns = [];
  }

  /** The messages to send for the user's next turn. */
  with(said: string): readonly ChatMessage[] {
    const system: readonly ChatMessage[] = this.#system === "" ? [] : [{ role: "system", content: this.#system }];
    return [...system, ...this.#turns, { role: "user", content: said }];
  }

  /** Adds a turn. A turn without an answer is dropped, because templates do not expect two user messages in a row. */
  add(said: string, answered: string): void {
    if (answered === "") return;
    this.#turns.push({ role: "user", content: said }, { role: "assistant", content: answered });
  }
}
