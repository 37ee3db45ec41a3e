/** What a tenant may do at the moment. */
import { Result } from "effect";

import type { LimitsDeclaration, TenantDeclaration } from "../config/access-schema.ts";
import { NotAllowed, type QuotaExceeded } from "../domain/errors.ts";
import type { LimitHeaders, Quotas, TakenTokens, TaskTokens } from "./Quotas.ts";

/** Without `declared` everything is allowed. */
export class Allowance {
  readonly #tenant: string;
  readonly #quotas: Quotas;
  readonly #limits: LimitsDeclaration;
  readonly #models: ReadonlyArray<string> | undefined;

  constructor(tenant: string, quotas: Quotas, declared: Pick<TenantDeclaration, "limits" | "models"> | undefined) {
    this.#tenant = tenant;
    this.#quotas = quotas;
    this.#limits = declared?.limits ?? {};
    this.#models = declared?.models;
  }

  /** How many RPCs, or items of one batch, may run at once. */
  get callsAtOnce(): number {
    return this.#limits.concurrent_calls ?? Infinity;
  }

  get headers(): LimitHeaders {
    return this.#quotas.headers(this.#tenant, this.#limits, performance.now());
  }

  /** Counts a call from the time its headers arrive. One that spends tokens is refused while there are none. */
  begin({ spendsTokens }: { readonly spendsTokens: boolean }): ReturnType<Quotas["begin"]> {
    return this.#quotas.begin(this.#tenant, this.#limits, performance.now(), spendsTokens);
  }

  /**
   * Holds back the answer of a call that was refused for a limit, until its caller leaves at the latest: a tenant that
   * calls again at once waits for its own refusals, and others do not.
   *
   * @param patienceMs how long its caller still waits
   */
  holdRefusal(signal: AbortSignal, patienceMs?: number): Promise<void> {
    return this.#quotas.holdRefusal(this.#tenant, signal, patienceMs);
  }

  /** Counts further requests of a call that contains several. */
  count(requests: number): Result.Result<void, QuotaExceeded> {
    return this.#quotas.count(this.#tenant, this.#limits, requests, performance.now());
  }

  /** @param modelId the canonical id, never an alias */
  mayUse(modelId: string): boolean {
    return this.#models === undefined || this.#models.some((allowed) => isNamedBy(allowed, modelId));
  }

  /**
   * @param modelId the canonical id, never an alias
   * @param asked the caller's name for it, the only name that the error contains
   */
  model(modelId: string, asked = modelId): Result.Result<void, NotAllowed> {
    if (this.mayUse(modelId)) return Result.void;
    const allowed = this.#models?.join(", ") || "none";
    return Result.fail(new NotAllowed({ tenant: this.#tenant, what: "model", asked, allowed }));
  }

  /** The priority of a task; if the task sets none, the allowed one nearest to 0. */
  priority(asked: number | undefined): Result.Result<number | undefined, NotAllowed> {
    const { priority: range } = this.#limits;
    if (range === undefined) return Result.succeed(asked);
    const nearest = Math.min(range.max, Math.max(range.min, asked ?? 0));
    if (asked === undefined || nearest === asked) return Result.succeed(nearest);
    const allowed = `${range.min} to ${range.max}`;
    return Result.fail(new NotAllowed({ tenant: this.#tenant, what: "priority", asked: String(asked), allowed }));
  }

  /** The most output tokens of each answer, for a task that sets no limit; at least 1. */
  defaultOutput(promptTokens: number, answers: number): number {
    const { max_output_tokens: most = Infinity, tokens_per_minute: perMinute = Infinity } = this.#limits;
    return Math.max(1, Math.min(most, Math.floor((perMinute - promptTokens) / answers)));
  }

  /** The longest prompt that can be within the limits. */
  get longestPrompt(): number {
    const { max_prompt_tokens: most = Infinity, tokens_per_minute: perMinute = Infinity } = this.#limits;
    return Math.min(most, perMinute);
  }

  /** Fails where `take` would. Reserves nothing. */
  check(tokens: TaskTokens): Result.Result<void, QuotaExceeded> {
    return this.#quotas.check(this.#tenant, this.#limits, tokens, performance.now());
  }

  /** Reserves the most tokens that a task may use. */
  take(tokens: TaskTokens): Result.Result<TakenTokens, QuotaExceeded> {
    return this.#quotas.take(this.#tenant, this.#limits, tokens, performance.now());
  }
}

/** A star at the end matches anything. */
const isNamedBy = (allowed: string, modelId: string): boolean =>
  allowed.endsWith("*") ? modelId.startsWith(allowed.slice(0, -1)) : modelId === allowed;
