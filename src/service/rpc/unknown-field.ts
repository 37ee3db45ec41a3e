/** Finds fields of a request that this service's schema does not have. */
import type { DescMessage, MessageShape } from "@bufbuild/protobuf";

/**
 * The path of the first unknown field in `message`, probably an option of a newer client. Accepting the message would
 * mean ignoring it.
 */
export const unknownField = (
  schema: DescMessage,
  message: MessageShape<DescMessage>,
  path: string,
): string | undefined => {
  const found = pathToUnknown(schema, message);
  return found === undefined ? undefined : `${path}${found}`;
};

/** Built from its end, because most messages have no unknown field. */
const pathToUnknown = (schema: DescMessage, message: MessageShape<DescMessage>): string | undefined => {
  const unknown = message.$unknown?.[0];
  if (unknown !== undefined) return `.#${unknown.no}`;
  const values = message as unknown as Readonly<Record<string, unknown>>; // members by their local names
  for (const field of schema.fields) {
    if (field.message === undefined || field.fieldKind === "map") continue;
    let value: unknown;
    if (field.oneof === undefined) value = values[field.localName];
    else {
      const chosen = values[field.oneof.localName] as { case?: string; value?: unknown };
      value = chosen.case === field.localName ? chosen.value : undefined;
    }
    if (!Array.isArray(value)) {
      const found = isMessageLike(value) ? pathToUnknown(field.message, value) : undefined;
      if (found !== undefined) return `.${field.name}${found}`;
      continue;
    }
    for (let index = 0; index < value.length; index++) {
      const one: unknown = value[index];
      const found = isMessageLike(one) ? pathToUnknown(field.message, one) : undefined;
      if (found !== undefined) return `.${field.name}[${index}]${found}`;
    }
  }
  return undefined;
};

/** A google.protobuf.Struct is a plain object here, without a type name. */
const isMessageLike = (value: unknown): value is MessageShape<DescMessage> =>
  typeof value === "object" && value !== null && "$typeName" in value;
