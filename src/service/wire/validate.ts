/** The rules that the proto files state, and what breaks them, in the service's own terms. */
import type { DescMessage, MessageShape } from "@bufbuild/protobuf";
import { createValidator, type Violation } from "@bufbuild/protovalidate";

import type { FieldViolation } from "../domain/errors.ts";
import { describeViolation } from "./describe-violation.ts";
import { tooManyItems } from "./too-many-items.ts";

const validator = createValidator();

/** What was found of messages that were validated where they were read, which was not here. */
const known = new WeakMap<MessageShape<DescMessage>, ReadonlyArray<FieldViolation>>();

/** `violationsIn` will answer with these, and not look itself. */
export const rememberViolations = (
  message: MessageShape<DescMessage>,
  violations: ReadonlyArray<FieldViolation>,
): void => {
  known.set(message, violations);
};

/**
 * At most one for a field, and no more than an error has room for; of a list or map that is too long that alone. Throws
 * where a rule itself is broken: that is a bug.
 *
 * @param isMeant leaves violations out for which it is false
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

/** The first of very many: an error tells of a few dozen at most. */
const mostDescribed = 64;

const described = (
  message: MessageShape<DescMessage>,
  violations: ReadonlyArray<Violation>,
): ReadonlyArray<FieldViolation> => {
  const byField = new Map<string, FieldViolation>();
  for (const violation of violations) {
    const found = describeViolation(message, violation);
    // NaN is both out of range and not finite: the first says enough.
    if (!byField.has(found.field)) byField.set(found.field, found);
    if (byField.size === mostDescribed) break;
  }
  return [...byField.values()];
};
