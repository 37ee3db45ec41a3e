/**
 * Logprobs of the chosen tokens and of the most likely ones, computed in the graph, so that only the requested numbers
 * are read. If nobody requests them, nothing is computed.
 */
import { mx, type Tensor } from "../mlx.ts";
import type { TokenLogprobs } from "../protocol/sequence-events.ts";
import { topCandidates } from "./sampling.ts";

/** Logprobs on the device, to be read after the tokens. */
export interface PendingLogprobs<Owner> {
  /** The owners of the rows, in order. */
  readonly owners: ReadonlyArray<Owner>;
  readonly tensors: LogprobTensors;
}

interface LogprobTensors {
  /** float32 [rows, 1]. */
  readonly chosen: Tensor;
  /** Best first: [rows, the most alternatives that any row requests]; undefined if that is 0. */
  readonly top: { readonly ids: Tensor; readonly logprobs: Tensor } | undefined;
}

interface LogprobRequest {
  /** Undefined: not even the logprob of the token itself. */
  readonly topLogprobs: number | undefined;
}

/**
 * The logprobs of the rows that request any.
 *
 * @param logits float32 [rows, vocabulary]
 * @param tokens int32 [rows]
 */
export const wantedLogprobs = <Owner extends LogprobRequest>(
  logits: Tensor,
  tokens: Tensor,
  rows: ReadonlyArray<Owner | undefined>,
): ReadonlyArray<PendingLogprobs<Owner>> => {
  const asking = [...rows.entries()].flatMap(([row, owner]) =>
    owner?.topLogprobs === undefined ? [] : [{ row, owner, top: owner.topLogprobs }],
  );
  if (asking.length === 0) return [];
  const picked = mx.array(
    asking.map(({ row }) => row),
    mx.int32,
  );
  const pick = (tensor: Tensor): Tensor => (asking.length === rows.length ? tensor : mx.take(tensor, picked, 0));
  const most = Math.max(...asking.map(({ top }) => top));
  return [{ owners: asking.map(({ owner }) => owner), tensors: logprobTensors(pick(logits), pick(tokens), most) }];
};

/**
 * @param logits float32 [rows, vocabulary]
 * @param tokens int32 [rows]
 * @param top how many alternatives
 */
export const logprobTensors = (logits: Tensor, tokens: Tensor, top: number): LogprobTensors => {
  const [rows = 0, vocabulary = 0] = logits.shape;
  const total = mx.logsumexp(logits, -1, true);
  const chosen = mx.subtract(mx.takeAlongAxis(logits, tokens.reshape(rows, 1), -1), total);
  if (top === 0) return { chosen, top: undefined };
  const ids = topCandidates(logits, Math.min(top, vocabulary));
  return { chosen, top: { ids, logprobs: mx.subtract(mx.takeAlongAxis(logits, ids, -1), total) } };
};

/** The tensors to evaluate. */
export const tensorsOf = ({ chosen, top }: LogprobTensors): ReadonlyArray<Tensor> =>
  top === undefined ? [chosen] : [chosen, top.ids, top.logprobs];

/** By their owners, each with as many alternatives as it requests. Waits for the device. */
export const readWanted = <Owner extends LogprobRequest>(
  pending: ReadonlyArray<PendingLogprobs<Owner>>,
): ReadonlyMap<Owner, TokenLogprobs> => {
  const read = new Map<Owner, TokenLogprobs>();
  for (const { owners, tensors } of pending) {
    for (const [row, { logprob, top }] of readLogprobs(tensors).entries()) {
      const owner = owners[row];
      if (owner !== undefined) read.set(owner, { logprob, top: top.slice(0, owner.topLogprobs) });
    }
  }
  return read;
};

/** Row by row. Waits for the device. */
export const readLogprobs = ({ chosen, top }: LogprobTensors): ReadonlyArray<TokenLogprobs> => {
  const ids = (top?.ids.tolist() ?? []) as number[][];
  const logprobs = (top?.logprobs.tolist() ?? []) as number[][];
  return (chosen.tolist() as number[][]).map(([logprob = Number.NaN], row) => ({
    logprob,
    top: (ids[row] ?? []).map((tokenId, place) => ({ tokenId, logprob: logprobs[row]?.[place] ?? Number.NaN })),
  }));
};
