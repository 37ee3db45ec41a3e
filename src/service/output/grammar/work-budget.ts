/** How much work a schema may make: its text says little about it, as references and alternatives multiply. */
import { GrammarRefused } from "./expressions.ts";

export class WorkBudget {
  private spent = 0;

  /** @param steps keywords, values and members that are looked at, each time that they are */
  spend(steps: number, where: string): void {
    this.spent += steps;
    if (this.spent > mostSteps) {
      throw new GrammarRefused(`it is too much work: it takes more than ${mostSteps} steps`, where);
    }
  }
}

const mostSteps = 250_000;
