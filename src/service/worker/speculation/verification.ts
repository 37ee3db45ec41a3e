/**
 * One forward pass that computes the tokens of a draft together with the token before them, for each sequence of a
 * batch.
 *
 * At every place the token is chosen that would be chosen there without a draft. A choice is a function of logits, seed
 * and place (sampling/sampling.ts), so a draft is right as far as it equals the choices, and the output is the same as
 * when decoding token by token, greedy or sampled. Rejection sampling guarantees less: only that the distribution is
 * the same.
 */
import { mx, type Tensor } from "../mlx.ts";
import type { Sequence } from "../sequence/sequence.ts";
import { DraftedPlace } from "./drafted-place.ts";

export type Drafts = ReadonlyArray<ReadonlyArray<number>>;

/** What is fed, and where tokens are chosen. */
export interface Verification {
  /** int32 [rows, width]: each row's last token and its draft, padded on the right. */
  readonly tokens: Tensor;
  readonly width: number;
  /** int32: the indexes, among the rows * width hidden states, of those after which a token is chosen. */
  readonly states: Tensor;
  /** The sampling state for each of these: first the sequence itself, then the places of its draft. */
  readonly places: ReadonlyArray<Sequence | DraftedPlace>;
}

/** @param drafts the draft of each row, empty if there is none; no longer than `Sequence.draftRoom` */
export const layOut = (rows: ReadonlyArray<Sequence | undefined>, drafts: Drafts): Verification => {
  const width = 1 + Math.max(...drafts.map((draft) => draft.length));
  const padded = rows.map((sequence, row) => {
    const fed = [sequence?.outputTokenIds.at(-1) ?? 0, ...(drafts[row] ?? [])];
    return [...fed, ...Array.from({ length: width - fed.length }, () => 0)];
  });
  const places = [...rows.entries()].flatMap(([row, sequence]) => {
    if (sequence === undefined) return [];
    const draft = drafts[row] ?? [];
    const drafted = draft.map((_, index) => new DraftedPlace(sequence, draft.slice(0, index + 1)));
    return [sequence, ...drafted].map((place, index) => ({ place, state: row * width + index }));
  });
  return {
    tokens: mx.array(padded, mx.int32),
    width,
    states: mx.array(
      places.map(({ state }) => state),
      mx.int32,
    ),
    places: places.map(({ place }) => place),
  };
};

/** What a sequence gains from a verification. */
export interface Verified {
  readonly row: number;
  readonly sequence: Sequence;
  /** Its next tokens: the accepted part of the draft, and one more. */
  readonly tokens: ReadonlyArray<{ readonly tokenId: number; readonly place: Sequence | DraftedPlace }>;
}

/** @param chosen ids in the order of the verification's places */
export const readVerified = (
  rows: ReadonlyArray<Sequence | undefined>,
  drafts: Drafts,
  { places }: Verification,
  chosen: ReadonlyArray<number>,
): ReadonlyArray<Verified> => {
  let first = 0;
  return [...rows.entries()].flatMap(([row, sequence]): Verified[] => {
    if (sequence === undefined) return [];
    const draft = drafts[row] ?? [];
    const right = draft.findIndex((tokenId, index) => chosen[first + index] !== tokenId);
    const accepted = right < 0 ? draft.length : right;
    const tokens = Array.from({ length: accepted + 1 }, (_, index) => ({
      tokenId: chosen[first + index] ?? 0,
      place: places[first + index] ?? sequence,
    }));
    first += 1 + draft.length;
    return [{ row, sequence, tokens }];
  });
};
