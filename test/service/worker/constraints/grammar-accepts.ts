/** Whether a text follows a grammar, as the automaton of the engine process sees it. */
import type { Grammar } from "../../../../src/service/domain/grammar.ts";
import { Automaton } from "../../../../src/service/worker/constraints/automaton.ts";
import { WorkLimit } from "../../../../src/service/worker/constraints/work-limit.ts";

export const grammarAccepts = (grammar: Grammar, text: string): boolean => {
  const automaton = new Automaton(grammar, unlimited);
  const beginning = automaton.beginning(unlimited);
  return automaton.after(beginning, new TextEncoder().encode(text), unlimited)?.cost === 0;
};

const unlimited = new WorkLimit(Infinity, "");
