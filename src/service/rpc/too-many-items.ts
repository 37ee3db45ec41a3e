/**
 * Lists and maps that are longer than the proto files allow, found before anything in them is looked at: the validator
 * checks every item of a list that is too long, and a few megabytes of empty items keep it busy for half a minute.
 */
import { type DescField, type DescMessage, getOption, type MessageShape } from "@bufbuild/protobuf";
import { buildPath, reflect, type ReflectMessage } from "@bufbuild/protobuf/reflect";
import { Violation } from "@bufbuild/protovalidate";
import { field as fieldRules } from "@bufbuild/protovalidate/gen/buf/validate/validate_pb.js";

/** Messages within one request, at most: each list may be full, but not all of them at once. */
const mostMessages = 16_384;

/** The first that is found. */
export const tooManyItems = <Desc extends DescMessage>(
  schema: Desc,
  message: MessageShape<Desc>,
): Violation | undefined => new Search().in(reflect(schema, message, false), buildPath(schema));

type PathBuilder = ReturnType<typeof buildPath>;

class Search {
  private messages = 0;

  in(message: ReflectMessage, at: PathBuilder): Violation | undefined {
    for (const field of message.fields) {
      const found = message.isSet(field) ? this.inField(message, field, at.clone().field(field)) : undefined;
      if (found !== undefined) return found;
    }
    return undefined;
  }

  private inField(message: ReflectMessage, field: DescField, at: PathBuilder): Violation | undefined {
    const { type } = getOption(field, fieldRules);
    if (field.fieldKind === "map") {
      const most = type.case === "map" ? type.value.maxPairs : undefined;
      if (most === undefined || message.get(field).size <= Number(most)) return undefined;
      return violation(at, "map.max_pairs", `map must be at most ${most} entries`);
    }
    if (field.fieldKind === "list") {
      const list = message.get(field);
      const most = type.case === "repeated" ? type.value.maxItems : undefined;
      if (most !== undefined && list.size > Number(most)) {
        return violation(at, "repeated.max_items", `must contain no more than ${most} item(s)`);
      }
      if (field.listKind !== "message") return undefined;
      this.messages += list.size;
      if (this.messages > mostMessages) {
        const rule = `the request has more than ${mostMessages} messages, parts and calls in all; send fewer`;
        return violation(at, "request.max_messages", rule);
      }
      for (let index = 0; index < list.size; index++) {
        const item = list.get(index);
        const found = isMessage(item) ? this.in(item, at.clone().list(index)) : undefined;
        if (found !== undefined) return found;
      }
      return undefined;
    }
    // Google's own types hold values of any kind, which have no rules.
    if (field.fieldKind !== "message" || field.message.typeName.startsWith("google.protobuf.")) return undefined;
    return this.in(message.get(field), at);
  }
}

const isMessage = (item: unknown): item is ReflectMessage =>
  typeof item === "object" && item !== null && "desc" in item;

const violation = (at: PathBuilder, ruleId: string, message: string): Violation =>
  new Violation(message, ruleId, at.toPath(), [], false);
