/**
 * Descriptors as words: `read.ts` beside this makes descriptors of them again. What a client never looks at is not in them:
 * options, validation rules among them, reserved names, and the groups of one field that stand for `optional`.
 *
 *     mlxd/v1/a.proto mlxd.v1         the file and its package
 *     {Message ... }                  a message, with messages and enums inside of it
 *     name:i                          a field; numbers count up, `name=7:i` jumps; scalar types are letters, `a` is 1
 *     name:*i name:?i                 a repeated and an optional one
 *     name:.Type name:#Type           a message, an enum; of another package with its full name
 *     name:i,.Type                    a map
 *     (input ... )                    a oneof of these fields
 *     [Enum:PREFIX_ UNSPECIFIED A=3 ]  an enum; numbers count up from 0
 *     @Service Do:DoRequest:*DoResponse:1 )   a service; `*`: the answer is a stream; the idempotency, if it has one
 */
import type { FileDescriptorProto } from "@bufbuild/protobuf/wkt";

type MessageProto = FileDescriptorProto["messageType"][number];
type FieldProto = MessageProto["field"][number];
type EnumProto = FileDescriptorProto["enumType"][number];
type ServiceProto = FileDescriptorProto["service"][number];

/** The file in words, or undefined where this form cannot hold what it has: extensions, deprecated fields, or another syntax. */
export const writeDescriptor = (file: FileDescriptorProto): string | undefined => {
  const all = file.messageType.flatMap(withNested);
  const hasOthers = file.extension.length > 0 || all.some(({ extension }) => extension.length > 0);
  const hasClientStreams = file.service.some(({ method }) => method.some(({ clientStreaming }) => clientStreaming));
  const hasDeprecated = all.some(({ field }) => field.some(({ options }) => options?.deprecated === true));
  if (file.syntax !== "proto3" || hasOthers || hasClientStreams || hasDeprecated) return undefined;
  const nameOf = relativeTo(file.package);
  return [
    file.name,
    file.package,
    ...file.messageType.flatMap((message) => messageWords(message, nameOf)),
    ...file.enumType.flatMap(enumWords),
    ...file.service.flatMap((service) => serviceWords(service, nameOf)),
  ].join(" ");
};

const withNested = (message: MessageProto): MessageProto[] => [message, ...message.nestedType.flatMap(withNested)];

type NameOf = (typeName: string) => string;

const relativeTo =
  (package_: string): NameOf =>
  (typeName) => {
    const inside = `.${package_}.`;
    return typeName.startsWith(inside) ? typeName.slice(inside.length) : typeName.slice(1);
  };

const messageWords = (message: MessageProto, nameOf: NameOf): string[] => {
  const words = [`{${message.name}`];
  const maps = new Map(
    message.nestedType.filter(({ options }) => options?.mapEntry).map((entry) => [entry.name, entry]),
  );
  let expected = 1;
  let oneof: number | undefined;
  for (const field of message.field) {
    const group = isSynthetic(field) || !Object.hasOwn(field, "oneofIndex") ? undefined : field.oneofIndex;
    if (group !== oneof) {
      if (oneof !== undefined) words.push(")");
      if (group !== undefined) words.push(`(${message.oneofDecl[group]?.name}`);
      oneof = group;
    }
    const name = field.number === expected ? field.name : `${field.name}=${field.number}`;
    expected = field.number + 1;
    const entry = field.label === 3 ? maps.get(field.typeName.split(".").at(-1) ?? "") : undefined;
    words.push(`${name}:${entry === undefined ? markOf(field) + typeWord(field, nameOf) : mapWord(entry, nameOf)}`);
  }
  if (oneof !== undefined) words.push(")");
  const nested = message.nestedType.filter(({ options }) => !options?.mapEntry);
  words.push(...nested.flatMap((inner) => messageWords(inner, nameOf)), ...message.enumType.flatMap(enumWords), "}");
  return words;
};

const isSynthetic = ({ proto3Optional }: FieldProto): boolean => proto3Optional;

const markOf = (field: FieldProto): string => (field.label === 3 ? "*" : field.proto3Optional ? "?" : "");

const typeWord = ({ type, typeName }: FieldProto, nameOf: NameOf): string =>
  typeName === "" ? String.fromCharCode(96 + type) : `${type === 14 ? "#" : "."}${nameOf(typeName)}`;

const mapWord = ({ field }: MessageProto, nameOf: NameOf): string =>
  field.map((part) => typeWord(part, nameOf)).join(",");

const enumWords = ({ name, value }: EnumProto): string[] => {
  const snake = `${name.replaceAll(/(?<=.)[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}_`;
  const prefix = value.every((one) => one.name.startsWith(snake)) ? snake : "";
  const words = value.map(({ name: own, number }, index) => {
    const isNext = number === (index === 0 ? 0 : (value[index - 1]?.number ?? 0) + 1);
    return own.slice(prefix.length) + (isNext ? "" : `=${number}`);
  });
  return [`[${name}${prefix && `:${prefix}`}`, ...words, "]"];
};

const serviceWords = ({ name, method }: ServiceProto, nameOf: NameOf): string[] => [
  `@${name}`,
  ...method.map(({ name: own, inputType, outputType, serverStreaming, options }) => {
    const level = options?.idempotencyLevel ?? 0;
    return `${own}:${nameOf(inputType)}:${serverStreaming ? "*" : ""}${nameOf(outputType)}${level === 0 ? "" : `:${level}`}`;
  }),
  ")",
];
