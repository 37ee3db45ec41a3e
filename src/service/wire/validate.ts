/** Validates messages against the rules in the proto files, and words violations in the service's terms. */
import type { DescMessage, MessageShape } from "@bufbuild/protobuf";
import { createValidator, type Violation } from "@bufbuild/protovalidate";

import type { FieldViolation } from "../domain/errors.ts";
import { describeViolation } from "./describe-violation.ts";
import { tooManyItems } from "./too-many-items.ts";

const validator = createValidator();

/** Violations found earlier, of messages that were validated in the sandbox. */
const known = new WeakMap<MessageShape<DescMessage>, ReadonlyArray<FieldViolation>>();

/** Makes `violationsIn` return these violations instead of validating the message. */
export const rememberViolations = (
  message: MessageShape<DescMessage>,
  violations: ReadonlyArray<FieldViolation>,
): void => {
  known.set(message, violations);
};

/**
 * At most one violation per field, and no more than fit into an error. If a list or map is too long, only that is
 * reported. Throws if a rule itself is broken, which is a bug.
 *
 * @param isMeant violations for which it is false are left out
 */
export const violationsIn = <Desc extends DescMessage>(
  schema: Desc,
  message: MessageShape<Desc>,
  isMeant: (violation: Violation) => boolean = () => true,
): ReadonlyArray<FieldViolation> => {
  const found = known.get(message);
  if (found !== undefined) return found;
  const tooMany = tooManyItems(schema, message);
  if (tooMany !== undefined) return [describeViolation(message, tooMany)];
  const result = validator.validate(schema, message);
  if (result.kind === "error") throw result.error;
  return result.kind === "valid" ? [] : described(message, result.violations.filter(isMeant));
};

/** An error lists a few dozen violations at most, so only the first ones are described. */
const mostDescribed = 64;

const described = (
  message: MessageShape<DescMessage>,
  violations: ReadonlyArray<Violation>,
): ReadonlyArray<FieldViolation> => {
  const byField = new Map<string, FieldViolation>();
  for (const violation of violations) {
    const found = describeViolation(message, violation);
    // NaN violates both the range and the rule that numbers are finite; the first is enough.
    if (!byField.has(found.field)) byField.set(found.field, found);
    if (byField.size === mostDescribed) break;
  }
  return [...byField.values()];
};
