import { InvalidField } from "../domain/errors.ts";

/** A violation that no rule of the proto files can state. */
export const invalidField = (field: string, description: string): InvalidField =>
  new InvalidField({ violations: [{ field, description }] });
