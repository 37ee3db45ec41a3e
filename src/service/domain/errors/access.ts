/** A caller is not known, or may not do what it asks for. */
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
