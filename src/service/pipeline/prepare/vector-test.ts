/** Tests a model that was trained for embeddings by its vectors instead of by an answer. */
import { Clock, Effect } from "effect";

import type { QualitySettings } from "../../config/QualityConfig.ts";
import { elapsedMs } from "../../domain/elapsed.ts";
import type { EmbeddingTask } from "../../domain/embedding.ts";
import { DeadlineExceeded, type ServiceError } from "../../domain/errors.ts";
import type { SmokeTest } from "../../domain/smoke-test.ts";
import type { Embeddings } from "../Embeddings.ts";

/** Includes waiting for a place among other tasks. */
const deadlineMs = 300_000;

/** Texts with different meanings must have different vectors, which must be finite and not all zero. */
export const vectorTest = Effect.fn("vectorTest")(function* (
  model: string,
  { smokeQuestion }: QualitySettings,
  embeddings: Embeddings["Service"],
): Effect.fn.Return<SmokeTest, ServiceError> {
  const testedAt = yield* Clock.currentTimeMillis;
  const beganAt = yield* elapsedMs;
  const task: EmbeddingTask = {
    model,
    inputs: [smokeQuestion, otherText].map((text) => ({ type: "text", text })),
    normalize: true,
    truncate: true,
    scheduling: { priority: 0, fairnessId: "" },
  };
  const { embeddings: made } = yield* embeddings
    .run(task, { isTrial: true })
    .pipe(Effect.timeoutOrElse({ duration: deadlineMs, orElse: () => Effect.fail(new DeadlineExceeded({})) }));
  const durationMs = (yield* elapsedMs) - beganAt;
  const vectors = made.map(({ values }) => values);
  const finding = findingOf(vectors);
  const answer = `${vectors.length} vectors of ${vectors[0]?.length ?? 0} numbers`;
  return { quality: finding === undefined ? "ok" : "failed", reason: finding ?? "ok", answer, testedAt, durationMs };
});

const otherText = "The ferry to the island leaves at noon.";

const findingOf = (vectors: ReadonlyArray<Float32Array>): string | undefined => {
  const [first, second] = vectors;
  if (first === undefined || second === undefined || first.length === 0) return "no vectors";
  if (vectors.some((vector) => vector.some((value) => !Number.isFinite(value)))) return "vectors of no numbers";
  if (vectors.some((vector) => vector.every((value) => value === 0))) return "vectors of zeros";
  const cosine = first.reduce((sum, value, at) => sum + value * (second[at] ?? 0), 0);
  return cosine > alike ? "the same vector for different texts" : undefined;
};

/** Allows for rounding in float32. */
const alike = 1 - 1e-6;
