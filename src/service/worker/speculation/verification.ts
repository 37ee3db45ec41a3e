/**
 * One forward pass that computes a draft's tokens beside the one before them, for each sequence of a batch its own.
 *
 * At every place the token is chosen that would be chosen there without a draft: a choice is a function of logits, seed
 * and place (sampling/sampling.ts), so a draft is right as long as it equals the choices, and the output is that of decoding token
 * by token, greedy or sampled. That is more than rejection sampling gives, whose outputs have the same distribution only.
 */
import { mx, type Tensor } from "../mlx.ts";
import type { Sequence } from "../sequence/sequence.ts";
import { DraftedPlace } from "./drafted-place.ts";

export type Drafts = ReadonlyArray<ReadonlyArray<number>>;

/** What is fed, and where it is chosen. */
export interface Verification {
  /** int32 [rows, width]: each row's last token and its draft, padded on the right. */
  readonly tokens: Tensor;
  readonly width: number;
  /** Which of the rows * width hidden states are chosen from; int32. */
  readonly states: Tensor;
  /** For each of these what it is chosen with: first a sequence itself, then the places of its draft. */
  readonly places: ReadonlyArray<Sequence | DraftedPlace>;
}

/** @param drafts of each row, empty where there is none; no longer than `Sequence.draftRoom` */
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

/** What a sequence has got by a verification. */
export interface Verified {
  readonly row: number;
  readonly sequence: Sequence;
  /** Its next tokens: the draft as far as it is right, and one that was chosen after that. */
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
