/** The result of a model's smoke test. */

export type Quality = "ok" | "degraded" | "failed";

/** How a model answered a simple question. */
export interface SmokeTest {
  readonly quality: Quality;
  /** `ok` if nothing was found. */
  readonly reason: string;
  /** Truncated if long. */
  readonly answer: string;
  /** Epoch milliseconds. */
  readonly testedAt: number;
  readonly durationMs: number;
}
