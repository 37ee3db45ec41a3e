/** Issuers as the service makes them, for tests, and what they tell of a token. */
import { Effect, Exit, Result, Scope } from "effect";
import { afterEach } from "vitest";

import { type Issuer, makeIssuer } from "../../src/service/access/jwt/Issuer.ts";
import { type FetchTiming, usualTiming } from "../../src/service/access/jwt/key-source.ts";
import type { JwtDeclaration } from "../../src/service/config/access-schema.ts";
import { issuer } from "./jwks-server.ts";

const scopes: Scope.Closeable[] = [];
afterEach(async () => {
  await Promise.all(scopes.splice(0).map((scope) => Effect.runPromise(Scope.close(scope, Exit.void))));
});

/** Closed after the test. */
export const openIssuer = (
  jwks: string,
  more: Partial<JwtDeclaration> = {},
  timing: Partial<FetchTiming> = {},
): Promise<Issuer> => {
  const scope = Scope.makeUnsafe();
  scopes.push(scope);
  const made = makeIssuer({ issuer, audience: "mlxd", jwks, ...more }, undefined, { ...usualTiming, ...timing });
  return Effect.runPromise(Scope.provide(made, scope));
};
/** Whose it is, or why it does not count. */
export const told = async (from: Issuer, token: string) => {
  const identified = await from.identify(token);
  return Result.isSuccess(identified) ? identified.success : identified.failure.message;
};
export const again = "the token cannot be checked, as its issuer's keys are not to be had now; try again in 5000 ms";
