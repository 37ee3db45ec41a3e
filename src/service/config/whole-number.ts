import { Config, Schema } from "effect";

/** A whole number from the environment; one that is out of bounds keeps the service from starting, by name and bound. */
export const wholeNumber = (
  name: string,
  { minimum, maximum, fallback }: { readonly minimum: number; readonly maximum: number; readonly fallback: number },
): Config.Config<number> =>
  Config.schema(Schema.FiniteFromString.check(Schema.isInt(), Schema.isBetween({ minimum, maximum })), name).pipe(
    Config.withDefault(fallback),
  );
