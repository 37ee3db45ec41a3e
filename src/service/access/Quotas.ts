/** What each tenant has left of its limits. */
import { Result } from "effect";

import type { LimitsDeclaration } from "../config/access-schema.ts";
import { QuotaExceeded } from "../domain/errors.ts";

/** A call that was let in. */
export interface CountedCall {
  /** What its caller is told of its limits. */
  readonly headers: Readonly<Record<string, string>>;
  /** It is over; further calls of this do nothing. */
  readonly end: () => void;
}

interface Refused {
  readonly error: QuotaExceeded;
  readonly headers: Readonly<Record<string, string>>;
}

interface Spent {
  /** Calls that run. */
  running: number;
  /** Requests that may be made at `at`; a fraction of one as time goes by. */
  requests: number;
  /** Milliseconds of a clock that is never set. */
  at: number;
}

/** When a place becomes free is not known: about as long as a short answer takes. */
const placeRetryAfterMs = 1000;

export class Quotas {
  readonly #spent = new Map<string, Spent>();

  /** @param now in milliseconds of performance.now() */
  begin(tenant: string, limits: LimitsDeclaration, now: number): Result.Result<CountedCall, Refused> {
    const { concurrent_calls: places, requests_per_minute: perMinute } = limits;
    const spent = this.#refilled(tenant, perMinute, now);
    const refuse = (limit: QuotaExceeded["limit"], value: number, retryAfterMs: number) =>
      Result.fail({
        error: new QuotaExceeded({ tenant, limit, value, retryAfterMs }),
        headers: headersOf(perMinute, spent.requests),
      });
    if (places !== undefined && spent.running >= places) return refuse("concurrent_calls", places, placeRetryAfterMs);
    if (perMinute !== undefined) {
      if (spent.requests < 1) {
        return refuse("requests_per_minute", perMinute, Math.ceil(((1 - spent.requests) * minuteMs) / perMinute));
      }
      spent.requests -= 1;
    }
    spent.running += 1;
    let isOver = false;
    const end = () => {
      if (!isOver) spent.running -= 1;
      isOver = true;
    };
    return Result.succeed({ headers: headersOf(perMinute, spent.requests), end });
  }

  /** What was spent comes back evenly, up to what a minute has; a limit that was changed holds from then on. */
  #refilled(tenant: string, perMinute: number | undefined, now: number): Spent {
    const known = this.#spent.get(tenant);
    const spent = known ?? { running: 0, requests: perMinute ?? 0, at: now };
    if (known === undefined) this.#spent.set(tenant, spent);
    if (perMinute !== undefined) {
      spent.requests = Math.min(perMinute, spent.requests + ((now - spent.at) * perMinute) / minuteMs);
    }
    spent.at = now;
    return spent;
  }
}

const minuteMs = 60_000;

/** As the services of this kind call them; `reset` is when all of a minute's requests are there again, in seconds. */
const headersOf = (perMinute: number | undefined, left: number): Readonly<Record<string, string>> =>
  perMinute === undefined
    ? {}
    : {
        "x-ratelimit-limit-requests": String(perMinute),
        "x-ratelimit-remaining-requests": String(Math.floor(left)),
        "x-ratelimit-reset-requests": String(Math.ceil(((perMinute - left) * 60) / perMinute)),
      };
