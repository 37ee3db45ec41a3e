/** Closes a sequence's reasoning at its limit, within a batch. */
import { mx, type Tensor } from "../mlx.ts";
import type { Sequence } from "./sequence.ts";

interface DecodedRows {
  readonly rows: ReadonlyArray<Sequence | undefined>;
  /** int32 [rows]: chosen by the device, not yet fed. */
  readonly next: Tensor;
}

/** Reads the tokens of the last step early if one of them may close the reasoning just in time. */
export const closeReasoningAtLimit = ({ rows, next }: DecodedRows): void => {
  if (!rows.some((sequence) => sequence?.atReasoningLimit === true)) return;
  const ids = next.tolist() as number[];
  for (const [row, sequence] of rows.entries()) {
    if (sequence?.atReasoningLimit === true) sequence.closeReasoningAtLimit(sequence.unread ? ids[row] : undefined);
  }
};

/** Replaces chosen tokens by forced ones. */
export const force = (chosen: Tensor, rows: ReadonlyArray<Sequence | undefined>): Tensor => {
  for (const sequence of rows) if (sequence?.atReasoningLimit === true) sequence.closeReasoningAtLimit(undefined);
  const forced = rows.map((sequence) => sequence?.takeForced());
  if (forced.every((id) => id === undefined)) return chosen;
  const isForced = mx.array(forced.map((id) => id !== undefined));
  return mx.where(
    isForced,
    mx.array(
      forced.map((id) => id ?? 0),
      mx.int32,
    ),
    chosen,
  );
};
