/** How a model did when it was tried. */

export type Quality = "ok" | "degraded" | "failed";

/** How a model did when it was asked a simple question. */
export interface SmokeTest {
  readonly quality: Quality;
  /** `ok` where nothing was found. */
  readonly reason: string;
  /** A long one is cut. */
  readonly answer: string;
  /** Epoch milliseconds. */
  readonly testedAt: number;
  readonly durationMs: number;
}
