/** What happened, in order, and a way to wait for it instead of sleeping. */
export class EventLog {
  readonly entries: string[] = [];
  #waiting: Array<{ readonly entry: string; readonly count: number; readonly resolve: () => void }> = [];

  add(entry: string): void {
    this.entries.push(entry);
    const ready = this.#waiting.filter((one) => this.count(one.entry) >= one.count);
    this.#waiting = this.#waiting.filter((one) => !ready.includes(one));
    for (const { resolve } of ready) resolve();
  }

  count(entry: string): number {
    return this.entries.filter((one) => one === entry).length;
  }

  /** Resolves once `entry` was added `count` times. */
  until(entry: string, count = 1): Promise<void> {
    if (this.count(entry) >= count) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.push({ entry, count, resolve }));
  }
}
