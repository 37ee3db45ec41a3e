/** Messages of an RPC, made from its description alone, so that one that is new is among them. */
import type { DescField, DescMessage, JsonObject, JsonValue } from "@bufbuild/protobuf";

/**
 * Names, and what a schema, a grammar or a stop sequence says, are told back on purpose, so that its author finds the place. Everything else that
 * is text has to stay the caller's.
 */
const names: ReadonlySet<string> = new Set([
  "model",
  "models",
  "key", // of a model in memory
  "engine",
  "engines",
  "backend",
  "model_revision",
  "revision",
  "adapter",
  "generation_id",
  "item_id",
  "job_id",
  "request_id",
  "name",
  "id",
  "tool_call_id",
  "function",
  "partition",
  "media_type",
  "json_schema",
  "regex",
  "grammar",
  "choices",
  "stop_sequences",
  "parameters_json",
  "labels",
  "fairness_id",
  "page_token",
  "ListSupportedTasksRequest.task", // elsewhere it is what a caller brings
]);

const isName = (message: DescMessage, field: DescField): boolean =>
  field.fieldKind !== "message" && (names.has(field.name) || names.has(`${message.name}.${field.name}`));

/**
 * As JSON: every text is `text`, and of each oneof another member for another `variant`.
 *
 * @param depth of messages in messages
 */
export const filledMessage = (message: DescMessage, text: string, variant: number, depth = 7): JsonObject => {
  const filled: JsonObject = {};
  for (const field of message.fields) {
    const { oneof } = field;
    if (oneof !== undefined && oneof.fields[variant % oneof.fields.length] !== field) continue;
    const value = isName(message, field) ? undefined : valueOf(field, text, variant, depth);
    if (value !== undefined) filled[field.jsonName] = value;
  }
  return filled;
};

const valueOf = (field: DescField, text: string, variant: number, depth: number): JsonValue | undefined => {
  const inner = (message: DescMessage | undefined): JsonValue | undefined => {
    if (message === undefined || depth === 0) return undefined;
    if (message.typeName === "google.protobuf.Struct") return { option: text };
    if (message.typeName === "google.protobuf.Value") return text;
    return message.typeName.startsWith("google.") ? undefined : filledMessage(message, text, variant, depth - 1);
  };
  const isText = field.fieldKind !== "message" && field.fieldKind !== "enum" && field.scalar === 9;
  switch (field.fieldKind) {
    case "message":
      return inner(field.message);
    case "list": {
      const element = field.listKind === "message" ? inner(field.message) : isText ? text : undefined;
      return element === undefined ? undefined : [element];
    }
    case "map": {
      const element = field.mapKind === "message" ? inner(field.message) : isText ? text : undefined;
      return element === undefined ? undefined : { entry: element };
    }
    case "scalar":
      return isText ? text : undefined;
    case "enum":
      return undefined;
  }
};
