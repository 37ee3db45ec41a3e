/** Validates JSON Web Tokens of the configured issuer. */
import { dirname, resolve } from "node:path";
import { errors, jwtVerify, type JWTPayload, type JWTVerifyGetKey } from "jose";
import { Effect, Result, type Scope } from "effect";

import type { JwtDeclaration } from "../../config/access-schema.ts";
import { everyRole, type Role } from "../../domain/Caller.ts";
import { CredentialsInvalid, CredentialsUnverifiable } from "../../domain/errors.ts";
import { isUrl, type KeySetUnusable, type KeySource, makeKeySource, usualTiming } from "./key-source.ts";

export interface Identity {
  /** The tenant in the token; whether it exists is checked elsewhere. */
  readonly tenant: string;
  /** Undefined: all roles of the tenant. */
  readonly roles: ReadonlyArray<Role> | undefined;
  /** The claim `sub`, for the audit log. */
  readonly subject: string;
}

export interface Issuer {
  readonly identify: (token: string) => Promise<Result.Result<Identity, CredentialsInvalid | CredentialsUnverifiable>>;
}

/** Three base64url parts, the first of which is the beginning of a JSON object. */
export const isToken = (credential: string): boolean => /^eyJ[\w-]*\.[\w-]+\.[\w-]*$/.test(credential);

/** @param file the configuration file, from whose folder relative paths start */
export const makeIssuer = (
  declared: JwtDeclaration,
  file: string | undefined,
  timing = usualTiming,
): Effect.Effect<Issuer, KeySetUnusable, Scope.Scope> => {
  const { jwks } = declared;
  const location = isUrl(jwks) || file === undefined ? jwks : resolve(dirname(file), jwks);
  return Effect.map(makeKeySource(location, timing), (source) => ({
    identify: (token) => identify(declared, source, token),
  }));
};

/** Allows for differences between the clocks of two machines. */
const clockToleranceS = 30;
const maxTokenBytes = 16_384;
/** If a token has no key id and several keys of the set fit, this many are tried. */
const maxKeysTried = 8;
/** About the time that a key server takes to come back. */
const retryAfterMs = 5000;

const defaultAlgorithms = ["RS256", "PS256", "ES256", "ES384", "EdDSA"] as const;

const identify = async (declared: JwtDeclaration, source: KeySource, token: string): ReturnType<Issuer["identify"]> => {
  if (token.length > maxTokenBytes) return invalid(`the token has more than ${maxTokenBytes} bytes`);
  const keys = source.keys();
  if (keys === undefined) return Result.fail(new CredentialsUnverifiable({ retryAfterMs }));
  try {
    return identityIn(await verify(token, keys, declared), declared);
  } catch (cause) {
    if (cause instanceof errors.JOSEError && !isOfKeys(cause)) return invalid(problemOf(cause));
    return Result.fail(new CredentialsUnverifiable({ retryAfterMs }));
  }
};

const verify = async (token: string, keys: JWTVerifyGetKey, declared: JwtDeclaration): Promise<JWTPayload> => {
  const options = {
    issuer: declared.issuer,
    audience: typeof declared.audience === "string" ? declared.audience : [...declared.audience],
    algorithms: [...(declared.algorithms ?? defaultAlgorithms)],
    requiredClaims: ["exp"],
    clockTolerance: clockToleranceS,
  };
  try {
    return (await jwtVerify(token, keys, options)).payload;
  } catch (cause) {
    if (!(cause instanceof errors.JWKSMultipleMatchingKeys)) throw cause;
    let tried = 0;
    for await (const key of cause) {
      if (++tried > maxKeysTried) break;
      try {
        return (await jwtVerify(token, key, options)).payload;
      } catch (failed) {
        if (!(failed instanceof errors.JWSSignatureVerificationFailed)) throw failed;
      }
    }
    throw new errors.JWSSignatureVerificationFailed();
  }
};

const identityIn = (payload: JWTPayload, declared: JwtDeclaration): Result.Result<Identity, CredentialsInvalid> => {
  const { tenant_claim: tenantClaim = "tenant", roles_claim: rolesClaim } = declared;
  const tenant = claimIn(payload, tenantClaim);
  if (typeof tenant !== "string" || tenant === "")
    return invalid(`the token has no claim ${tenantClaim} with a tenant`);
  const subject = typeof payload.sub === "string" ? payload.sub : "";
  if (rolesClaim === undefined) return Result.succeed({ tenant, roles: undefined, subject });
  const named = claimIn(payload, rolesClaim);
  // A string is a space-separated list, as in `scope`: https://www.rfc-editor.org/rfc/rfc8693#section-4.2
  const list: ReadonlyArray<unknown> = Array.isArray(named) ? named : typeof named === "string" ? named.split(" ") : [];
  return Result.succeed({ tenant, roles: everyRole.filter((role) => list.includes(role)), subject });
};

/** By its name, or by a path of members, as in `realm_access.roles`. */
const claimIn = (payload: JWTPayload, name: string): unknown => {
  if (Object.hasOwn(payload, name)) return payload[name];
  let value: unknown = payload;
  for (const member of name.split(".")) {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, member)) return undefined;
    value = (value as Readonly<Record<string, unknown>>)[member];
  }
  return value;
};

const invalid = (problem: string): Result.Result<never, CredentialsInvalid> =>
  Result.fail(new CredentialsInvalid({ problem }));

/** The keys could not be obtained, which says nothing about the token. */
const isOfKeys = (error: errors.JOSEError): boolean =>
  error instanceof errors.JWKSTimeout || error instanceof errors.JWKSInvalid || error.code === "ERR_JOSE_GENERIC";

/** Contains nothing that the token says. */
const problemOf = (error: errors.JOSEError): string => {
  if (error instanceof errors.JWTExpired) return "the token has expired";
  if (error instanceof errors.JWTClaimValidationFailed) {
    return error.reason === "missing"
      ? `the token lacks the claim ${error.claim}`
      : `the token's claim ${error.claim} does not say what it has to`;
  }
  if (error instanceof errors.JOSEAlgNotAllowed)
    return "the token is signed with an algorithm that does not count here";
  if (error instanceof errors.JWKSNoMatchingKey || error instanceof errors.JOSENotSupported) {
    return "the issuer has no key that the token could be signed with";
  }
  if (error instanceof errors.JWSSignatureVerificationFailed) return "the token's signature is not right";
  return "the token cannot be read";
};
