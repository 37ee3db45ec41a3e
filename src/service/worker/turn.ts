/** Whether this process may compute now, if engines compute one at a time. Until `take` is called it always may. */
export class Turn {
  private readonly onStopped: () => void;
  private isMine = true;
  private isAtRest = false;
  /** Whether the service knows that nothing is computed here. */
  private isTold = false;
  private resume = (): void => {};

  /** @param onStopped waits for the device and reports `stopped` */
  constructor(onStopped: () => void) {
    this.onStopped = onStopped;
  }

  /** From now on nothing is computed before the first `start`. */
  take(): void {
    this.isMine = false;
    this.isTold = true;
  }

  start(): void {
    this.isMine = true;
    this.isTold = false;
    this.resume();
  }

  stop(): void {
    this.isMine = false;
    if (this.isAtRest) this.tell();
  }

  /** Awaited between two steps. */
  async come(): Promise<void> {
    if (this.isMine) return;
    this.tell();
    await new Promise<void>((resolve) => (this.resume = resolve));
  }

  /** Computes nothing until the pause is over, so that another process that wants the turn gets it immediately. */
  async rest(pause: Promise<void>): Promise<void> {
    this.isAtRest = true;
    if (!this.isMine) this.tell();
    await pause;
    this.isAtRest = false;
    await this.come();
  }

  private tell(): void {
    if (this.isTold) return;
    this.isTold = true;
    this.onStopped();
  }
}
