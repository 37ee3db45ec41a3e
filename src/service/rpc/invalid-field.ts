import { InvalidField } from "../domain/errors.ts";

/** A violation that the rules in the proto files cannot express. */
export const invalidField = (field: string, description: string): InvalidField =>
  new InvalidField({ violations: [{ field, description }] });
