/** The schema of the section `access` of mlxd.yaml. */
import { Schema } from "effect";

import { everyRole } from "../domain/Caller.ts";

const text = (maximum: number) => Schema.String.check(Schema.isMinLength(1), Schema.isMaxLength(maximum));

const nameCharacters = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;
/** The name of a tenant or a key, which appears in logs, metrics and messages. */
const Name = Schema.String.check(
  Schema.isPattern(nameCharacters, {
    message: "a name begins with a letter or digit, goes on with these and . _ - and has 64 characters at most",
  }),
);
export const isTenantName = (name: string): boolean => nameCharacters.test(name);

/** 32 random bytes, as `mlxd key new` makes them, so that the key cannot be recovered from its hash. */
const KeyHash = Schema.String.check(
  Schema.isPattern(/^sha256:[0-9a-f]{64}$/, {
    message: 'the hash of a key is "sha256:" and 64 hexadecimal digits, as "mlxd key new" prints it',
  }),
);

const Instant = Schema.String.check(
  Schema.makeFilter(
    (given) =>
      (/^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d)?(Z|[+-]\d\d:\d\d))?$/.test(given) && !Number.isNaN(Date.parse(given))) ||
      "a time is a date, as 2027-01-31 (its beginning, UTC), or one with an hour and zone, as 2027-01-31T12:00Z",
  ),
);

/** A name in a client certificate: the common name, or an alternative name. */
const CertificateName = Schema.String.check(
  Schema.isPattern(/^(CN|DNS|URI):\S.{0,254}$/, {
    message: "a certificate is named by CN:NAME, DNS:NAME or URI:NAME",
  }),
);

const Key = Schema.Struct({
  id: Name,
  hash: KeyHash,
  expires: Schema.optionalKey(Instant),
});

const Roles = Schema.Array(Schema.Literals(everyRole));

const count = (maximum: number) => Schema.Int.check(Schema.isBetween({ minimum: 1, maximum }));

/** The range of priorities that tasks may set. */
const Priority = Schema.Int.check(Schema.isBetween({ minimum: -1000, maximum: 1000 }));

const Limits = Schema.Struct({
  concurrent_calls: Schema.optionalKey(count(100_000)),
  requests_per_minute: Schema.optionalKey(count(10_000_000)),
  tokens_per_minute: Schema.optionalKey(count(1_000_000_000_000)),
  max_prompt_tokens: Schema.optionalKey(count(2 ** 31)),
  max_output_tokens: Schema.optionalKey(count(2 ** 31)),
  priority: Schema.optionalKey(Schema.Struct({ min: Priority, max: Priority })),
});
export type LimitsDeclaration = typeof Limits.Type;

const ModelPattern = Schema.String.check(
  Schema.isPattern(/^([^\s*]{1,256}\*?|\*)$/, {
    message: 'a model is named by its id, or by the beginning of ids and a star, as in "qwen3-*"',
  }),
);

const Tenant = Schema.Struct({
  roles: Roles,
  keys: Schema.optionalKey(Schema.Array(Key).check(Schema.isMaxLength(100))),
  certificates: Schema.optionalKey(Schema.Array(CertificateName).check(Schema.isMaxLength(100))),
  /** Ids of models; a star at the end matches anything. Absent: all. */
  models: Schema.optionalKey(Schema.Array(ModelPattern).check(Schema.isMaxLength(1000))),
  limits: Schema.optionalKey(Limits),
});
export type TenantDeclaration = typeof Tenant.Type;

/** Only signatures with a private key: with a shared secret, everybody who verifies tokens could also make them. */
const algorithms = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"] as const;

const KeySetLocation = text(4096).check(Schema.makeFilter((given) => keySetProblem(given) ?? true));

/** Keys fetched over an unprotected connection could be replaced by anybody. */
const keySetProblem = (given: string): string | undefined => {
  if (!/^[a-z][a-z0-9+.-]*:\/\//i.test(given)) return undefined; // a path
  const url = URL.canParse(given) ? new URL(given) : undefined;
  if (url?.protocol === "https:") return undefined;
  const isHere = url?.protocol === "http:" && /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(url.hostname);
  return isHere ? undefined : "keys are read from a file, from https://, or from http:// on this machine";
};

/** Tokens of one issuer. */
const Jwt = Schema.Struct({
  issuer: text(1024),
  audience: Schema.Union([text(1024), Schema.Array(text(1024)).check(Schema.isMinLength(1), Schema.isMaxLength(16))]),
  jwks: KeySetLocation,
  algorithms: Schema.optionalKey(Schema.Array(Schema.Literals(algorithms)).check(Schema.isMinLength(1))),
  tenant_claim: Schema.optionalKey(text(256)),
  roles_claim: Schema.optionalKey(text(256)),
});
export type JwtDeclaration = typeof Jwt.Type;

/** What everybody may call without authentication, in addition to health. */
const openable = ["greeting", "reflection", "metrics", "load"] as const;
export type Openable = (typeof openable)[number];

export const AccessSchema = Schema.Struct({
  open: Schema.optionalKey(Schema.Array(Schema.Literals(openable))),
  jwt: Schema.optionalKey(Jwt),
  tenants: Schema.Record(text(64), Tenant),
});
export type AccessDeclaration = typeof AccessSchema.Type;
