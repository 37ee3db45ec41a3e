/** Authenticates callers and decides what they may call. */
import { isDeepStrictEqual } from "node:util";
import { Context, Effect, Layer, Result, ScopedRef } from "effect";

import { AccessConfig, type AccessSettings } from "../config/AccessConfig.ts";
import type { Openable } from "../config/access-schema.ts";
import { watchFiles } from "../config/watch-files.ts";
import { anonymous, type Caller, type Role, stranger } from "../domain/Caller.ts";
import {
  ConfigurationInvalid,
  type CredentialsInvalid,
  type CredentialsUnverifiable,
  RoleMissing,
} from "../domain/errors.ts";
import { Allowance } from "./Allowance.ts";
import { type Issuer, isToken, makeIssuer } from "./jwt/Issuer.ts";
import { type QuotaRefusals, Quotas } from "./Quotas.ts";
import { bearerOf, type Evidence, Tenants } from "./Tenants.ts";

/** What a method requires if authentication is on. */
export interface Requirement {
  /** Any one of them suffices. */
  readonly roles: ReadonlyArray<Role>;
  /** The name under which the configuration can open it to everybody. */
  readonly opensAs?: Openable;
}

/** `nothing`: open to everybody, even with an invalid key. */
export type Needs = "nothing" | Requirement;

export type Admitted = Result.Result<Caller, CredentialsInvalid | CredentialsUnverifiable | RoleMissing>;

export class Access extends Context.Service<
  Access,
  {
    /** Whether authentication is on. */
    readonly isAsking: () => boolean;
    /**
     * Returns the caller if it may call. A plain function, because every call uses it; a token may have to wait for its
     * issuer's keys.
     */
    readonly admit: (needs: Needs, evidence: Evidence) => Promise<Admitted>;
    /** What a caller's tenant may do according to the current configuration. */
    readonly allowanceOf: (caller: Pick<Caller, "tenant">) => Allowance;
    /** How often limits have refused calls since the service started. */
    readonly refusals: () => ReadonlyArray<QuotaRefusals>;
    /** Reads the configuration again. If it is invalid, the error is logged and the current one stays in effect. */
    readonly reload: Effect.Effect<void>;
  }
>()("mlxd/access/Access") {
  static readonly layer = Layer.effect(
    Access,
    Effect.gen(function* () {
      const config = yield* AccessConfig;
      let tenants = tenantsOf(config);
      let jwt = config.declared?.jwt;
      const issuer = yield* ScopedRef.fromAcquire(issuerOf(config));
      const quotas = new Quotas();
      const reload = config.reread.pipe(
        Effect.flatMap(
          Effect.fnUntraced(function* (now: AccessSettings) {
            const read = tenantsOf(now);
            // Losing the section by mistake must not open the service to everybody.
            if (read === undefined && tenants !== undefined) {
              return yield* Effect.logWarning(
                "the configuration has no access section any more: the one before still holds",
              );
            }
            if (read === undefined) return;
            if (!isDeepStrictEqual(now.declared?.jwt, jwt)) yield* ScopedRef.set(issuer, issuerOf(now));
            jwt = now.declared?.jwt;
            tenants = read;
            yield* Effect.logInfo("who may call was read anew");
          }),
        ),
        Effect.catch((error) =>
          Effect.logError(`who may call was not read anew, and what held before still holds: ${error.message}`),
        ),
      );
      if (config.file !== undefined) yield* watchFiles([config.file], reload);
      return Access.of({
        isAsking: () => tenants !== undefined,
        admit: (needs, evidence) => admit({ tenants, issuer: ScopedRef.getUnsafe(issuer) }, needs, evidence),
        allowanceOf: ({ tenant }) => new Allowance(tenant, quotas, tenants?.declared(tenant)),
        refusals: () => quotas.refusals(),
        reload,
      });
    }),
  );
}

const tenantsOf = ({ declared }: AccessSettings): Tenants | undefined =>
  declared === undefined ? undefined : new Tenants(declared);

const issuerOf = ({ declared, file = "mlxd.yaml" }: AccessSettings) =>
  declared?.jwt === undefined
    ? Effect.undefined
    : Effect.mapError(
        makeIssuer(declared.jwt, file),
        ({ message }) => new ConfigurationInvalid({ file, line: 0, key: "access.jwt.jwks", problem: message }),
      );

interface Known {
  /** Undefined: authentication is off. */
  readonly tenants: Tenants | undefined;
  readonly issuer: Issuer | undefined;
}

const admit = async ({ tenants, issuer }: Known, needs: Needs, evidence: Evidence): Promise<Admitted> => {
  if (tenants === undefined) return Result.succeed(anonymous(evidence.peer));
  if (needs === "nothing") return Result.succeed(stranger(evidence.peer));
  if (needs.opensAs !== undefined && tenants.isOpen(needs.opensAs)) return Result.succeed(stranger(evidence.peer));
  const identified = await identify(tenants, issuer, evidence);
  if (Result.isFailure(identified)) return Result.fail(identified.failure);
  const { tenant, roles } = identified.success;
  if (roles.some((role) => needs.roles.includes(role))) return Result.succeed(identified.success);
  return Result.fail(new RoleMissing({ tenant, needed: needs.roles, roles }));
};

const identify = async (
  tenants: Tenants,
  issuer: Issuer | undefined,
  evidence: Evidence,
): Promise<Result.Result<Caller, CredentialsInvalid | CredentialsUnverifiable>> => {
  const credential = bearerOf(evidence.authorization ?? "");
  if (issuer === undefined || credential === undefined || !isToken(credential)) {
    return tenants.identify(evidence, Date.now());
  }
  const identity = await issuer.identify(credential);
  return Result.isFailure(identity)
    ? Result.fail(identity.failure)
    : tenants.identifyBearer(identity.success, evidence.peer);
};
