/** Limits the work that a schema causes. The size of its text says little, as references and alternatives multiply. */
import { GrammarRefused } from "./expressions.ts";

export class WorkBudget {
  private spent = 0;

  /** @param steps keywords, values and members examined, counted each time */
  spend(steps: number, where: string): void {
    this.spent += steps;
    if (this.spent > mostSteps) {
      throw new GrammarRefused(`it is too much work: it takes more than ${mostSteps} steps`, where);
    }
  }
}

const mostSteps = 250_000;
