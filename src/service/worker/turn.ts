/** Whether this process may compute now, where one engine computes at a time. Without `take` it always may. */
export class Turn {
  private readonly onStopped: () => void;
  private isMine = true;
  private isAtRest = false;
  /** Whether the service knows that nothing is computed here. */
  private isTold = false;
  private resume = (): void => {};

  /** @param onStopped finishes what the device has, and says so */
  constructor(onStopped: () => void) {
    this.onStopped = onStopped;
  }

  /** From here on nothing is computed before the first `start`. */
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

  /** To be awaited between two steps. */
  async come(): Promise<void> {
    if (this.isMine) return;
    this.tell();
    await new Promise<void>((resolve) => (this.resume = resolve));
  }

  /** Nothing is computed until the pause is over; who asks for the turn has it at once. */
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
