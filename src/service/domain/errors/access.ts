/** A caller is not known, may not do what it asks for, or has no more of it left. */
import { Schema } from "effect";

/** The call does not say who makes it, or not in a way that counts. */
export class CredentialsInvalid extends Schema.TaggedError<CredentialsInvalid>()("CredentialsInvalid", {
  problem: Schema.String,
}) {
  override get message(): string {
    return this.problem;
  }
}

/** The caller is known, and does not have the role that the call takes. */
export class RoleMissing extends Schema.TaggedError<RoleMissing>()("RoleMissing", {
  tenant: Schema.String,
  /** One of them would be enough. */
  needed: Schema.Array(Schema.String),
  /** What the caller has. */
  roles: Schema.Array(Schema.String),
}) {
  override get message(): string {
    const has = this.roles.length === 0 ? "no role" : `the role ${this.roles.join(", ")}`;
    return `this takes the role ${this.needed.join(" or ")}; tenant "${this.tenant}" has ${has} here`;
  }
}

/** The tenant has used up what it may. */
export class QuotaExceeded extends Schema.TaggedError<QuotaExceeded>()("QuotaExceeded", {
  tenant: Schema.String,
  limit: Schema.Literals(["concurrent_calls", "requests_per_minute"]),
  value: Schema.Number,
  retryAfterMs: Schema.Number,
}) {
  override get message(): string {
    const may = { concurrent_calls: "calls at once", requests_per_minute: "requests a minute" }[this.limit];
    return `tenant "${this.tenant}" may make ${this.value} ${may}; try again in ${this.retryAfterMs} ms`;
  }
}
