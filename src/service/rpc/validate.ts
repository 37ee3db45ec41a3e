/** The rules that the proto files state, checked on every request; what they find, in the service's own terms. */
import type { DescMessage, MessageShape } from "@bufbuild/protobuf";
import { createValidator, type Violation } from "@bufbuild/protovalidate";
import { Effect } from "effect";

import { type FieldViolation, InvalidField } from "../domain/errors.ts";
import { describeViolation } from "./describe-violation.ts";
import { tooManyItems } from "./too-many-items.ts";

const validator = createValidator();

/** All violations, at most one for a field; of a list or map that is too long that alone. Throws where a rule itself is broken: that is a bug. */
export const violationsOf = <Desc extends DescMessage>(
  schema: Desc,
  message: MessageShape<Desc>,
): ReadonlyArray<Violation> => {
  const tooMany = tooManyItems(schema, message);
  if (tooMany !== undefined) return [tooMany];
  const result = validator.validate(schema, message);
  if (result.kind === "error") throw result.error;
  return result.kind === "valid" ? [] : result.violations;
};

export const fieldViolations = (
  message: MessageShape<DescMessage>,
  violations: ReadonlyArray<Violation>,
): ReadonlyArray<FieldViolation> => {
  const byField = new Map<string, FieldViolation>();
  for (const violation of violations) {
    const found = describeViolation(message, violation);
    // NaN is both out of range and not finite: the first says enough.
    if (!byField.has(found.field)) byField.set(found.field, found);
  }
  return [...byField.values()];
};

/** Fails with every violation at once. */
export const validate = <Desc extends DescMessage>(
  schema: Desc,
  message: MessageShape<Desc>,
): Effect.Effect<void, InvalidField> =>
  Effect.suspend(() => {
    const violations = violationsOf(schema, message);
    return violations.length === 0
      ? Effect.void
      : Effect.fail(new InvalidField({ violations: fieldViolations(message, violations) }));
  });
