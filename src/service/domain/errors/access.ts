/** The caller is not authenticated, not authorised, or over its quota. */
import { Schema } from "effect";

/** The call has no credentials, or none that are valid. */
export class CredentialsInvalid extends Schema.TaggedError<CredentialsInvalid>()("CredentialsInvalid", {
  problem: Schema.String,
}) {
  override get message(): string {
    return this.problem;
  }
}

/** The credentials cannot be verified now, because their issuer's keys cannot be obtained. */
export class CredentialsUnverifiable extends Schema.TaggedError<CredentialsUnverifiable>()("CredentialsUnverifiable", {
  retryAfterMs: Schema.Number,
}) {
  override get message(): string {
    return `the token cannot be checked, as its issuer's keys are not to be had now; try again in ${this.retryAfterMs} ms`;
  }
}

/** The caller lacks the role that the call requires. */
export class RoleMissing extends Schema.TaggedError<RoleMissing>()("RoleMissing", {
  tenant: Schema.String,
  /** Any one of them suffices. */
  needed: Schema.Array(Schema.String),
  /** The caller's roles. */
  roles: Schema.Array(Schema.String),
}) {
  override get message(): string {
    const has = this.roles.length === 0 ? "no role" : `the role ${this.roles.join(", ")}`;
    return `this takes the role ${this.needed.join(" or ")}; tenant "${this.tenant}" has ${has} here`;
  }
}

const quotaLimits = [
  "concurrent_calls",
  "requests_per_minute",
  "tokens_per_minute",
  "max_prompt_tokens",
  "max_output_tokens",
] as const;
/** By its key in the configuration. */
export type QuotaLimit = (typeof quotaLimits)[number];

/** The tenant is at one of its limits, or the call alone exceeds one. */
export class QuotaExceeded extends Schema.TaggedError<QuotaExceeded>()("QuotaExceeded", {
  tenant: Schema.String,
  limit: Schema.Literals(quotaLimits),
  value: Schema.Number,
  /** What this call would take, if that is more than one. */
  asked: Schema.optionalKey(Schema.Number),
  /** How well `asked` is known; absent: exactly. */
  precision: Schema.optionalKey(Schema.Literals(["at least", "about"])),
  /** Absent: retrying does not help, because the call alone exceeds the limit. */
  retryAfterMs: Schema.optionalKey(Schema.Number),
}) {
  override get message(): string {
    const { tenant, limit, value, asked, precision, retryAfterMs } = this;
    const takes = asked === undefined ? "" : `; this takes ${precision === undefined ? "" : `${precision} `}${asked}`;
    const then = retryAfterMs === undefined ? `, so ${advice[limit]}` : `; try again in ${retryAfterMs} ms`;
    return `tenant "${tenant}" may ${allowance[limit](value)}${takes}${then}`;
  }
}

const allowance: Readonly<Record<QuotaLimit, (value: number) => string>> = {
  concurrent_calls: (value) => `make ${value} calls at once`,
  requests_per_minute: (value) => `make ${value} requests a minute`,
  tokens_per_minute: (value) => `use ${value} tokens a minute, prompt and output`,
  max_prompt_tokens: (value) => `send prompts of ${value} tokens at most`,
  max_output_tokens: (value) => `ask for ${value} output tokens at most`,
};

/** What to do if waiting does not help. */
const advice: Readonly<Record<QuotaLimit, string>> = {
  concurrent_calls: "make fewer calls at once",
  requests_per_minute: "send smaller batches",
  tokens_per_minute: "shorten the prompt, or set a smaller max_output_tokens or candidate_count",
  max_prompt_tokens: "shorten the prompt",
  max_output_tokens: "set a smaller max_output_tokens",
};

/** The tenant is authenticated but may not use this. */
export class NotAllowed extends Schema.TaggedError<NotAllowed>()("NotAllowed", {
  tenant: Schema.String,
  what: Schema.Literals(["model", "priority"]),
  /** As the caller named it; empty: the default one. */
  asked: Schema.String,
  allowed: Schema.String,
}) {
  override get message(): string {
    const named = this.asked === "" ? `default ${this.what}` : `${this.what} ${this.asked}`;
    return `tenant "${this.tenant}" may not use the ${named}; it may use ${this.allowed}`;
  }
}
