/** Thrown to end work on a grammar that takes too long. */
export class GrammarTooHard extends Error {
  constructor(reason: string) {
    super(reason);
    this.name = "GrammarTooHard";
  }
}

/** Limits the CPU time of this thread from its creation on; it checks the clock once in a while. */
export class WorkLimit {
  private readonly reason: string;
  private readonly meanwhile: (() => void) | undefined;
  private deadline: number;
  private steps = 0;

  /**
   * @param reason the message when the time is over
   * @param meanwhile called now and then; its time does not count
   */
  constructor(milliseconds: number, reason: string, meanwhile?: () => void) {
    this.deadline = cpuMs() + milliseconds;
    this.reason = reason;
    this.meanwhile = meanwhile;
  }

  /** Call this for each small step of the work. */
  spend(): void {
    this.steps += 1;
    if ((this.steps & 255) === 0) this.check();
  }

  private check(): void {
    const now = cpuMs();
    if (now > this.deadline) throw new GrammarTooHard(this.reason);
    if (this.meanwhile === undefined) return;
    this.meanwhile();
    this.deadline += cpuMs() - now;
  }
}

const cpuMs = (): number => {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
};
