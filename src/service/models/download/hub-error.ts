/** A request to the hub that failed, before it is known what that means for the model. */

export interface HubErrorOptions {
  /** Undefined when there was no answer. */
  readonly status?: number;
  /** The hub's own word for it, e.g. `GatedRepo`; empty where it has none. */
  readonly code?: string;
  /** Milliseconds that the hub asks to wait. */
  readonly retryAfterMs?: number | undefined;
}

export class HubError extends Error {
  readonly _tag = "HubError";
  readonly status: number | undefined;
  readonly code: string;
  readonly retryAfterMs: number | undefined;

  constructor(message: string, { status, code = "", retryAfterMs }: HubErrorOptions = {}) {
    super(message);
    this.status = status;
    this.code = code;
    this.retryAfterMs = retryAfterMs;
  }

  /** Whether the same request may succeed later. */
  get isTransient(): boolean {
    const { status } = this;
    return status === undefined || status === 408 || status === 416 || status === 429 || status >= 500;
  }
}

export const hubErrorFrom = ({ status, headers }: Response, nowMs: number): HubError =>
  new HubError(`the hub answered with status ${status}`, {
    status,
    code: headers.get("x-error-code") ?? "",
    retryAfterMs: retryAfterMs(headers.get("retry-after"), nowMs),
  });

/** Seconds, or the date until when to wait. */
export const retryAfterMs = (value: string | null, nowMs: number): number | undefined => {
  if (value === null) return undefined;
  const waitMs = /^\d+$/.test(value) ? Number(value) * 1000 : Date.parse(value) - nowMs;
  return Number.isNaN(waitMs) ? undefined : Math.max(0, waitMs);
};
