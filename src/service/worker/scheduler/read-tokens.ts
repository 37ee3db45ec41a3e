/** Reads tokens from the device, reports them, and ends the sequences that end with them. */
import type { PrefixCache } from "../cache/prefix-cache.ts";
import type { TokenLogprobs } from "../protocol/sequence-events.ts";
import { readWanted } from "../sampling/logprobs.ts";
import type { Sequence } from "../sequence/sequence.ts";
import type { Batch } from "./batch.ts";
import type { StepEvents } from "./events.ts";
import { freeRow } from "./free-row.ts";

/**
 * Tokens of a batch that were chosen and not read. A row is undefined if it has none, or if its token is read later.
 */
export interface UnreadTokens extends Pick<Batch, "next" | "logprobs"> {
  readonly batch: Batch;
  readonly rows: Array<Sequence | undefined>;
}

interface ReadToken {
  readonly tokenId: number;
  readonly logprobs: TokenLogprobs | undefined;
  /** Whether it was drafted. */
  readonly drafted: boolean;
}

export class TokenReader {
  private readonly prefixes: PrefixCache;
  private readonly events: StepEvents;

  constructor(prefixes: PrefixCache, events: StepEvents) {
    this.prefixes = prefixes;
    this.events = events;
  }

  /** Waits for the device. */
  read({ batch, rows, next, logprobs }: UnreadTokens): void {
    const ids = next.tolist() as number[];
    const logprobsOf = readWanted(logprobs);
    for (const [row, sequence] of rows.entries()) {
      const tokenId = ids[row];
      if (sequence === undefined || tokenId === undefined || sequence.cancelled) continue;
      this.accept(batch, row, sequence, { tokenId, logprobs: logprobsOf.get(sequence), drafted: false });
    }
  }

  /** Adds a token to its sequence's output; true if the output ends with it. */
  accept(batch: Batch, row: number, sequence: Sequence, { tokenId, logprobs, drafted }: ReadToken): boolean {
    const end = sequence.accept(tokenId);
    this.events.add({
      type: "token",
      sequence: sequence.id,
      tokenId,
      ...(logprobs !== undefined && { logprobs }),
      ...(drafted && { drafted }),
    });
    if (end === undefined) return false;
    this.events.add({ type: "finished", sequence: sequence.id, reason: end });
    freeRow(this.prefixes, batch, row);
    return true;
  }
}
