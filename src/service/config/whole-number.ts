import { Config, Schema } from "effect";

/**
 * An integer from the environment. Out of bounds it prevents the service from starting, with an error that names the
 * variable and the bound.
 */
export const wholeNumber = (
  name: string,
  { minimum, maximum, fallback }: { readonly minimum: number; readonly maximum: number; readonly fallback: number },
): Config.Config<number> =>
  Config.schema(Schema.FiniteFromString.check(Schema.isInt(), Schema.isBetween({ minimum, maximum })), name).pipe(
    Config.withDefault(fallback),
  );
