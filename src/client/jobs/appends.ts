import { isMlxdError } from "../errors.ts";

/** Adds pieces to a job one after another, and sends each while the one before it is being stored. */
export class Appends {
  #last: Promise<void> = Promise.resolve();

  /**
   * Completes when the piece before this one is stored; fails as that one did.
   *
   * @param send sends the piece; called again if it came before the one that it follows
   */
  async add(send: () => Promise<void>, onStored: () => void): Promise<void> {
    const before = this.#last;
    this.#last = inOrder(before, send).then(onStored);
    // If nobody waits for it any more, its failure is of no interest.
    this.#last.catch(() => {});
    await before;
  }

  /** Completes when all pieces are stored. */
  async end(): Promise<void> {
    await this.#last;
  }
}

const inOrder = async (before: Promise<void>, send: () => Promise<void>): Promise<void> => {
  const sent = send().then(
    () => undefined,
    (error: unknown) => ({ error }),
  );
  await before;
  const failed = await sent;
  if (failed === undefined) return;
  if (!isMlxdError(failed.error) || failed.error.reason !== "JOB_GAP") throw failed.error;
  await send();
};
