/** A failed request to the hub, not yet interpreted for a particular model. */

export interface HubErrorOptions {
  /** Undefined if there was no response. */
  readonly status?: number;
  /** The hub's own error code, e.g. `GatedRepo`; empty if it gives none. */
  readonly code?: string;
  /** How long the hub asks to wait, in milliseconds. */
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

/** `Retry-After`: a number of seconds, or a date. */
export const retryAfterMs = (value: string | null, nowMs: number): number | undefined => {
  if (value === null) return undefined;
  const waitMs = /^\d+$/.test(value) ? Number(value) * 1000 : Date.parse(value) - nowMs;
  return Number.isNaN(waitMs) ? undefined : Math.max(0, waitMs);
};
