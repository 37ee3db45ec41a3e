/** Says who calls, and whether it may. */
import { Context, Effect, Layer, Result } from "effect";

import { AccessConfig, type AccessSettings } from "../config/AccessConfig.ts";
import type { Openable } from "../config/access-schema.ts";
import { watchFiles } from "../config/watch-files.ts";
import { anonymous, type Caller, type Role, stranger } from "../domain/Caller.ts";
import { type CredentialsInvalid, RoleMissing } from "../domain/errors.ts";
import { Quotas } from "./Quotas.ts";
import { type Evidence, Tenants } from "./Tenants.ts";

/** What a call takes, where callers are asked who they are. */
export interface Requirement {
  /** One of them is enough. */
  readonly roles: ReadonlyArray<Role>;
  /** By this name the configuration lets everybody call it. */
  readonly opensAs?: Openable;
}

/** `nothing`: whoever calls, also where a wrong key is shown. */
export type Needs = "nothing" | Requirement;

export type Admitted = Result.Result<Caller, CredentialsInvalid | RoleMissing>;

export class Access extends Context.Service<
  Access,
  {
    /** Whether callers are asked who they are. */
    readonly isAsking: () => boolean;
    /** Who calls, if it may. A plain function, as every call asks. */
    readonly admit: (needs: Needs, evidence: Evidence) => Promise<Admitted>;
    /** Counts a call of a caller that was admitted against its tenant's limits. */
    readonly begin: (caller: Caller) => ReturnType<Quotas["begin"]>;
    /** Reads the configuration anew. What is wrong with it is logged, and what held before still holds. */
    readonly reload: Effect.Effect<void>;
  }
>()("mlxd/access/Access") {
  static readonly layer = Layer.effect(
    Access,
    Effect.gen(function* () {
      const config = yield* AccessConfig;
      let tenants = tenantsOf(config);
      const quotas = new Quotas();
      const reload = config.reread.pipe(
        Effect.flatMap((now) => {
          const read = tenantsOf(now);
          // Whoever loses the section by mistake must not open the service to everybody.
          if (read === undefined && tenants !== undefined) {
            return Effect.logWarning("the configuration has no access section any more: the one before still holds");
          }
          if (read === undefined) return Effect.void;
          tenants = read;
          return Effect.logInfo("who may call was read anew");
        }),
        Effect.catch((error) =>
          Effect.logError(`who may call was not read anew, and what held before still holds: ${error.message}`),
        ),
      );
      if (config.file !== undefined) yield* watchFiles([config.file], reload);
      return Access.of({
        isAsking: () => tenants !== undefined,
        admit: (needs, evidence) => Promise.resolve(admit(tenants, needs, evidence)),
        begin: ({ tenant }) => quotas.begin(tenant, tenants?.limitsOf(tenant) ?? {}, performance.now()),
        reload,
      });
    }),
  );
}

const tenantsOf = ({ declared }: AccessSettings): Tenants | undefined =>
  declared === undefined ? undefined : new Tenants(declared);

const admit = (tenants: Tenants | undefined, needs: Needs, evidence: Evidence): Admitted => {
  if (tenants === undefined) return Result.succeed(anonymous(evidence.peer));
  if (needs === "nothing") return Result.succeed(stranger(evidence.peer));
  if (needs.opensAs !== undefined && tenants.isOpen(needs.opensAs)) return Result.succeed(stranger(evidence.peer));
  const identified = tenants.identify(evidence, Date.now());
  if (Result.isFailure(identified)) return identified;
  const { tenant, roles } = identified.success;
  if (roles.some((role) => needs.roles.includes(role))) return identified;
  return Result.fail(new RoleMissing({ tenant, needed: needs.roles, roles }));
};
