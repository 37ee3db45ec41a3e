/** Enforces the limits of tenants. */
import { Result } from "effect";

import type { LimitsDeclaration } from "../config/access-schema.ts";
import { QuotaExceeded, type QuotaLimit } from "../domain/errors.ts";
import { Bucket } from "./Bucket.ts";
import { Pace } from "./Pace.ts";

/** The headers that report the limits to a caller. */
export type LimitHeaders = Readonly<Record<string, string>>;

/** A call that was admitted. */
export interface CountedCall {
  readonly headers: LimitHeaders;
  /** The call is over; further calls of this have no effect. */
  readonly end: () => void;
}

interface Refused {
  readonly error: QuotaExceeded;
  readonly headers: LimitHeaders;
}

/** The most tokens that a task may use. */
export interface TaskTokens {
  /** The length of its longest prompt. */
  readonly longestPrompt: number;
  /** All its prompts together. */
  readonly prompt: number;
  /** Output tokens per answer. */
  readonly output: number;
  readonly answers: number;
  /** How well its prompts are known; absent: exactly. */
  readonly precision?: QuotaExceeded["precision"];
}

/** Tokens that were reserved for a task. */
export interface TakenTokens {
  /** Returns the unused tokens; further calls of this have no effect. */
  readonly settle: (used: number) => void;
}

/** How often a limit has refused calls of a tenant. */
export interface QuotaRefusals {
  readonly tenant: string;
  readonly limit: QuotaLimit;
  readonly count: number;
}

interface Spent {
  /** Number of running calls. */
  running: number;
  readonly requests: Bucket;
  readonly tokens: Bucket;
  readonly refused: Map<QuotaLimit, number>;
  readonly refusals: Pace;
}

/** About the duration of a short answer: when a place becomes free is unknown, and so is how many tokens an unread task takes. */
const shortAnswerMs = 1000;

/** All times are in milliseconds of performance.now(). */
export class Quotas {
  readonly #spent = new Map<string, Spent>();

  /** @param spendsTokens whether it is a call that cannot be answered without tokens */
  begin(
    tenant: string,
    limits: LimitsDeclaration,
    now: number,
    spendsTokens = false,
  ): Result.Result<CountedCall, Refused> {
    const { concurrent_calls: places, tokens_per_minute: tokensPerMinute } = limits;
    const spent = this.#of(tenant);
    const refused = (error: QuotaExceeded) => Result.fail({ error, headers: this.headers(tenant, limits, now) });
    if (places !== undefined && spent.running >= places) {
      return refused(this.#refuse(tenant, "concurrent_calls", places, { retryAfterMs: shortAnswerMs }));
    }
    if (spendsTokens && tokensPerMinute !== undefined) {
      const waitMs = spent.tokens.waitMs(1, tokensPerMinute, now);
      if (waitMs !== 0) {
        const retryAfterMs = Math.max(shortAnswerMs, waitMs ?? 0);
        return refused(this.#refuse(tenant, "tokens_per_minute", tokensPerMinute, { retryAfterMs }));
      }
    }
    const counted = this.count(tenant, limits, 1, now);
    if (Result.isFailure(counted)) return refused(counted.failure);
    spent.running += 1;
    let isOver = false;
    const end = () => {
      if (!isOver) spent.running -= 1;
      isOver = true;
    };
    return Result.succeed({ headers: this.headers(tenant, limits, now), end });
  }

  /** Counts the requests of one call: either all of them or none. */
  count(
    tenant: string,
    { requests_per_minute: perMinute }: LimitsDeclaration,
    requests: number,
    now: number,
  ): Result.Result<void, QuotaExceeded> {
    if (perMinute === undefined || requests === 0) return Result.void;
    const waitMs = this.#of(tenant).requests.take(requests, perMinute, now);
    if (waitMs === 0) return Result.void;
    return Result.fail(
      this.#refuse(tenant, "requests_per_minute", perMinute, {
        ...(requests > 1 && { asked: requests }),
        ...(waitMs !== undefined && { retryAfterMs: waitMs }),
      }),
    );
  }

  /** Fails where `take` would. Reserves nothing. */
  check(
    tenant: string,
    limits: LimitsDeclaration,
    { longestPrompt, prompt, output, answers, precision }: TaskTokens,
    now: number,
  ): Result.Result<void, QuotaExceeded> {
    const { max_prompt_tokens: maxPrompt, max_output_tokens: maxOutput, tokens_per_minute: perMinute } = limits;
    const known = precision === undefined ? {} : { precision };
    if (maxPrompt !== undefined && longestPrompt > maxPrompt) {
      return Result.fail(this.#refuse(tenant, "max_prompt_tokens", maxPrompt, { asked: longestPrompt, ...known }));
    }
    if (maxOutput !== undefined && output > maxOutput) {
      return Result.fail(this.#refuse(tenant, "max_output_tokens", maxOutput, { asked: output }));
    }
    if (perMinute === undefined) return Result.void;
    const asked = prompt + output * answers;
    const waitMs = this.#of(tenant).tokens.waitMs(asked, perMinute, now);
    if (waitMs === 0) return Result.void;
    const again = waitMs === undefined ? {} : { retryAfterMs: waitMs };
    return Result.fail(this.#refuse(tenant, "tokens_per_minute", perMinute, { asked, ...known, ...again }));
  }

  /** Reserves the most tokens that a task may use. */
  take(
    tenant: string,
    limits: LimitsDeclaration,
    task: TaskTokens,
    now: number,
  ): Result.Result<TakenTokens, QuotaExceeded> {
    const checked = this.check(tenant, limits, task, now);
    if (Result.isFailure(checked)) return Result.fail(checked.failure);
    if (limits.tokens_per_minute === undefined) return Result.succeed({ settle: () => {} });
    const { tokens } = this.#of(tenant);
    const asked = task.prompt + task.output * task.answers;
    tokens.take(asked, limits.tokens_per_minute, now);
    let isSettled = false;
    const settle = (used: number) => {
      if (!isSettled) tokens.giveBack(asked - used);
      isSettled = true;
    };
    return Result.succeed({ settle });
  }

  /** Header names as in similar services; `reset` is the time until a minute's allowance is full again, in seconds. */
  headers(tenant: string, limits: LimitsDeclaration, now: number): LimitHeaders {
    const { requests, tokens } = this.#of(tenant);
    return {
      ...headersOf("requests", requests, limits.requests_per_minute, now),
      ...headersOf("tokens", tokens, limits.tokens_per_minute, now),
    };
  }

  /**
   * Holds back the answer of a call that was refused, until its caller leaves at the latest.
   *
   * @param patienceMs how long its caller still waits
   */
  holdRefusal(tenant: string, signal: AbortSignal, patienceMs?: number): Promise<void> {
    return this.#of(tenant).refusals.hold(signal, patienceMs);
  }

  refusals(): ReadonlyArray<QuotaRefusals> {
    return [...this.#spent].flatMap(([tenant, { refused }]) =>
      [...refused].map(([limit, count]) => ({ tenant, limit, count })),
    );
  }

  #of(tenant: string): Spent {
    const known = this.#spent.get(tenant);
    if (known !== undefined) return known;
    const [requests, tokens] = [new Bucket(), new Bucket()];
    const spent = { running: 0, requests, tokens, refused: new Map(), refusals: new Pace() };
    this.#spent.set(tenant, spent);
    return spent;
  }

  #refuse(
    tenant: string,
    limit: QuotaLimit,
    value: number,
    more: Pick<QuotaExceeded, "asked" | "precision" | "retryAfterMs">,
  ): QuotaExceeded {
    const { refused } = this.#of(tenant);
    refused.set(limit, (refused.get(limit) ?? 0) + 1);
    return new QuotaExceeded({ tenant, limit, value, ...more });
  }
}

const headersOf = (what: string, bucket: Bucket, perMinute: number | undefined, now: number): LimitHeaders => {
  if (perMinute === undefined) return {};
  const left = bucket.level(perMinute, now);
  return {
    [`x-ratelimit-limit-${what}`]: String(perMinute),
    [`x-ratelimit-remaining-${what}`]: String(Math.max(0, Math.floor(left))),
    [`x-ratelimit-reset-${what}`]: String(Math.ceil(((perMinute - left) * 60) / perMinute)),
  };
};
