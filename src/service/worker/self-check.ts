/**
 * Checks a loaded model against itself: the logits of a prompt must not depend on how it is computed, at once or token
 * by token, alone or in a batch. A kernel that reads beyond a view or applies another row's mask raises no error; only
 * a comparison reveals it.
 */
import type { Model } from "./architectures/Model.ts";
import { KVCache } from "./cache/kv-cache.ts";
import { LoadError } from "./files/load-error.ts";
import { mx, type Tensor } from "./mlx.ts";

/** Throws LoadError. It also warms the model up: slow or broken parts show up before the first request. */
export const checkAgainstItself = (model: Model): void => {
  const scope = mx.openScope();
  try {
    compareAnswers(model);
  } finally {
    mx.closeScope(scope);
  }
};

const compareAnswers = (model: Model): void => {
  const [long, short] = [tokensOf(model, 4), tokensOf(model, 2)];
  const expected = alone(model, long, 1);
  const longAlone = alone(model, long);
  const shortAlone = alone(model, short);
  const [longOfThree, shortOfThree, lastOfThree] = together(model, [long, short, long]);
  const [longOfTwo, shortOfTwo] = togetherThenDecoded(model, [long, short]);
  assertFinite(expected);
  for (const [what, got, of] of [
    ["a prompt at once and token by token", longAlone, expected],
    ["three prompts together and alone", longOfThree, longAlone],
    ["three prompts together and alone", shortOfThree, shortAlone],
    ["three prompts together and alone", lastOfThree, longAlone],
    ["two sequences together and alone", longOfTwo, longAlone],
    ["two sequences together and alone", shortOfTwo, shortAlone],
  ] as const) {
    if (got !== undefined) assertAlike(what, got, of);
  }
};

/** The logits after a prompt's last token, and the type that determines their precision. */
interface Answer {
  /** float32 [1, vocabularySize] */
  readonly logits: Tensor;
  readonly isExact: boolean;
}

/** Ids spread over the whole vocabulary. */
const tokensOf = ({ vocabularySize }: Model, count: number): ReadonlyArray<number> =>
  Array.from({ length: count }, (_, place) => (1 + 7919 * (place + count)) % vocabularySize);

/** @param slice how many tokens are computed at a time */
const alone = (model: Model, tokens: ReadonlyArray<number>, slice = tokens.length): Answer => {
  const cache = new KVCache(model.cacheShape, [tokens.length], 0);
  let hidden: Tensor | undefined;
  for (let from = 0; from < tokens.length; from += slice) {
    hidden = model.forward(mx.array([tokens.slice(from, from + slice)], mx.int32), cache);
  }
  const [answer] = hidden === undefined ? [] : answersOf(model, hidden);
  if (answer === undefined) throw new RangeError("a prompt without tokens");
  return answer;
};

const together = (model: Model, prompts: ReadonlyArray<ReadonlyArray<number>>): ReadonlyArray<Answer> => {
  const lengths = prompts.map(({ length }) => length);
  return answersOf(model, model.forward(padded(prompts), new KVCache(model.cacheShape, lengths, 0)));
};

/** Computes all but the last tokens together, then the last ones as one decode step. */
const togetherThenDecoded = (model: Model, prompts: ReadonlyArray<ReadonlyArray<number>>): ReadonlyArray<Answer> => {
  const lengths = prompts.map(({ length }) => length - 1);
  const cache = new KVCache(model.cacheShape, lengths, 1);
  model.forward(padded(prompts.map((tokens) => tokens.slice(0, -1))), cache);
  return answersOf(
    model,
    model.forward(
      mx.array(
        prompts.map((tokens) => tokens.slice(-1)),
        mx.int32,
      ),
      cache,
    ),
  );
};

/** int32 [prompts, longest]; shorter prompts are padded on the right. */
const padded = (prompts: ReadonlyArray<ReadonlyArray<number>>): Tensor => {
  const longest = Math.max(...prompts.map(({ length }) => length));
  return mx.array(
    prompts.map((tokens) => [...Array.from({ length: longest - tokens.length }, () => 0), ...tokens]),
    mx.int32,
  );
};

/** @param hidden [rows, tokens, hiddenSize] */
const answersOf = (model: Model, hidden: Tensor): ReadonlyArray<Answer> => {
  const [rows = 0, tokens = 0, size = 0] = hidden.shape;
  const last = mx.take(hidden, mx.array([tokens - 1], mx.int32), 1).reshape(rows, size);
  const logits = model.logits(last).astype(mx.float32);
  const isExact = hidden.dtype === mx.float32;
  return Array.from({ length: rows }, (_, row) => ({ logits: mx.take(logits, mx.array([row], mx.int32), 0), isExact }));
};

const assertFinite = ({ logits }: Answer): void => {
  if (Number.isFinite(mx.sum(logits).item())) return;
  throw new LoadError("the model's logits are not finite numbers: a value of config.json or a weight is out of range");
};

const assertAlike = (what: string, { logits, isExact }: Answer, of: Answer): void => {
  const difference = relativeDifference(logits, of.logits);
  const most = isExact ? mostExact : mostRounded;
  if (difference <= most) return;
  throw new LoadError(
    `the model does not agree with itself: the logits of ${what} differ by ${difference.toPrecision(2)} of their spread, ` +
      `${most} is the most; MLX computes it wrongly on this machine`,
  );
};

/**
 * The root mean square of the differences, relative to the standard deviation of the reference logits; NaN if any value
 * is NaN.
 */
const relativeDifference = (logits: Tensor, of: Tensor): number => {
  const apart = sumOfSquares(mx.subtract(logits, of));
  if (apart === 0) return 0;
  return Math.sqrt(apart / sumOfSquares(mx.subtract(of, mx.divide(mx.sum(of, 1, true), of.size))));
};

const sumOfSquares = (values: Tensor): number => mx.sum(mx.multiply(values, values)).item();

/** In float32, another order of summation gives 1e-6 to 1e-4. */
const mostExact = 0.01;

/**
 * In 16 bits rounding alone gives 0.01 to 0.1, and more if it changes the choice of an expert; wrong results give over
 * 1.
 */
const mostRounded = 0.35;
