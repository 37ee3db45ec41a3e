/** Fields that a request has and this service's schema does not. */
import type { DescMessage, MessageShape } from "@bufbuild/protobuf";

/**
 * The path of the first field in `message` that its schema does not have: a newer client's option. To take the
 * message as it stands would be to ignore what was asked for.
 */
export const unknownField = (
  schema: DescMessage,
  message: MessageShape<DescMessage>,
  path: string,
): string | undefined => {
  const unknown = message.$unknown?.[0];
  if (unknown !== undefined) return `${path}.#${unknown.no}`;
  const values = message as unknown as Readonly<Record<string, unknown>>; // members by their local names
  for (const field of schema.fields) {
    if (field.message === undefined || field.fieldKind === "map") continue;
    let value: unknown;
    if (field.oneof === undefined) value = values[field.localName];
    else {
      const chosen = values[field.oneof.localName] as { case?: string; value?: unknown };
      value = chosen.case === field.localName ? chosen.value : undefined;
    }
    const fieldPath = `${path}.${field.name}`;
    const nested = Array.isArray(value) ? value : [value];
    for (const [index, one] of (nested as ReadonlyArray<unknown>).entries()) {
      const found = isMessageLike(one)
        ? unknownField(field.message, one, field.fieldKind === "list" ? `${fieldPath}[${index}]` : fieldPath)
        : undefined;
      if (found !== undefined) return found;
    }
  }
  return undefined;
};

/** google.protobuf.Struct is a plain object here, without a type name. */
const isMessageLike = (value: unknown): value is MessageShape<DescMessage> =>
  typeof value === "object" && value !== null && "$typeName" in value;
