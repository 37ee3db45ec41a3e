import { assert, describe, it } from "@effect/vitest";
import { Effect, Layer, Result } from "effect";

import { Access, type Needs } from "../../../src/service/access/Access.ts";
import { AccessConfig, type AccessSettings } from "../../../src/service/config/AccessConfig.ts";
import type { AccessDeclaration } from "../../../src/service/config/access-schema.ts";
import { ConfigurationInvalid } from "../../../src/service/domain/errors.ts";
import { apiKey, storedKey } from "../../support/api-key.ts";
import { capturedLog, type LogLine } from "../../support/captured-log.ts";

const acme: AccessDeclaration = {
  open: ["greeting"],
  tenants: { acme: { roles: ["inference"], keys: [storedKey("a")] }, idle: { roles: [], keys: [storedKey("i")] } },
};
const generate: Needs = { roles: ["inference"] };

/** The section as it is read first, and then each time that it is read anew. */
const withAccess = <A>(
  declared: AccessDeclaration | undefined,
  later: ReadonlyArray<AccessDeclaration | undefined | "invalid">,
  use: (access: Access["Service"], log: ReadonlyArray<LogLine>) => Effect.Effect<A>,
) => {
  const log: LogLine[] = [];
  const left = [...later];
  const reread = Effect.suspend((): Effect.Effect<AccessSettings, ConfigurationInvalid> => {
    const next = left.shift();
    if (next === "invalid") {
      return Effect.fail(new ConfigurationInvalid({ file: "mlxd.yaml", line: 3, key: "access", problem: "no" }));
    }
    return Effect.succeed({ declared: next, file: undefined });
  });
  const config = Layer.succeed(AccessConfig, { declared, file: undefined, reread });
  return Effect.flatMap(Access, (access) => use(access, log)).pipe(
    Effect.provide(Access.layer.pipe(Layer.provide(config), Layer.provideMerge(capturedLog(log)))),
  );
};

const shown = (key: string | undefined) => ({
  authorization: key === undefined ? undefined : `Bearer ${apiKey(key)}`,
  certificateNames: [],
  peer: "10.0.0.1:5",
});
const admit = (access: Access["Service"], key: string | undefined, needs: Needs = generate) =>
  Effect.map(
    Effect.promise(() => access.admit(needs, shown(key))),
    (admitted) => (Result.isSuccess(admitted) ? admitted.success.name : admitted.failure._tag),
  );

describe("Access", () => {
  it.effect("asks nobody without a configuration", () =>
    withAccess(undefined, [], (access) =>
      Effect.gen(function* () {
        assert.isFalse(access.isAsking());
        assert.equal(yield* admit(access, undefined), "anonymous");
        assert.equal(yield* admit(access, "z", { roles: ["admin"] }), "anonymous");
      }),
    ),
  );

  it.effect("refuses whoever it does not know, and whoever lacks the role", () =>
    withAccess(acme, [], (access) =>
      Effect.gen(function* () {
        assert.equal(yield* admit(access, "a"), "acme");
        assert.equal(yield* admit(access, undefined), "CredentialsInvalid");
        assert.equal(yield* admit(access, "z"), "CredentialsInvalid");
        assert.equal(yield* admit(access, "a", { roles: ["models", "admin"] }), "RoleMissing");
        assert.equal(yield* admit(access, "i"), "RoleMissing");
      }),
    ),
  );

  it.effect("gives a stranger what is open, without any role", () =>
    withAccess(acme, [], (access) =>
      Effect.gen(function* () {
        assert.equal(yield* admit(access, "z", "nothing"), "anonymous");
        assert.equal(yield* admit(access, undefined, { roles: ["admin"], opensAs: "greeting" }), "anonymous");
        assert.equal(yield* admit(access, undefined, { roles: ["admin"], opensAs: "metrics" }), "CredentialsInvalid");
        const admitted = yield* Effect.promise(() => access.admit("nothing", shown(undefined)));
        assert.deepEqual(Result.isSuccess(admitted) && admitted.success.roles, []);
      }),
    ),
  );

  it.effect("takes keys in and gives them up when it is read anew", () => {
    const rotated = { tenants: { acme: { roles: ["inference" as const], keys: [storedKey("b")] } } };
    return withAccess(acme, [rotated], (access) =>
      Effect.gen(function* () {
        yield* access.reload;
        assert.equal(yield* admit(access, "a"), "CredentialsInvalid");
        assert.equal(yield* admit(access, "b"), "acme");
      }),
    );
  });

  it.effect("goes on with what held before where it cannot be read, or is gone", () =>
    withAccess(acme, ["invalid", undefined], (access, log) =>
      Effect.gen(function* () {
        yield* access.reload;
        assert.equal(yield* admit(access, "a"), "acme");
        assert.include(log.at(-1)?.text, "what held before still holds: mlxd.yaml:3: access: no");
        yield* access.reload;
        assert.isTrue(access.isAsking());
        assert.equal(yield* admit(access, undefined), "CredentialsInvalid");
        assert.include(log.at(-1)?.text, "no access section any more");
      }),
    ),
  );

  it.effect("begins to ask when a section appears", () =>
    withAccess(undefined, [acme], (access) =>
      Effect.gen(function* () {
        yield* access.reload;
        assert.equal(yield* admit(access, undefined), "CredentialsInvalid");
      }),
    ),
  );
});
