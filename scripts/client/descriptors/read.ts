/**
 * Descriptors from the form that `write.ts` beside this gives them. A published package holds them so: they are half as large
 * as in the binary form, and nothing needs the description of descriptors itself. This file becomes part of the package.
 */
import { createFileRegistry, type DescFile } from "@bufbuild/protobuf";
import { protoCamelCase } from "@bufbuild/protobuf/reflect";
import type {
  DescriptorProto,
  EnumDescriptorProto,
  FieldDescriptorProto,
  FileDescriptorProto,
  MessageOptions,
  MethodDescriptorProto,
  MethodOptions,
  ServiceDescriptorProto,
} from "@bufbuild/protobuf/wkt";

/** The descriptor of a file whose imports these are. */
export const fileDesc = (text: string, imports: DescFile[] = []): DescFile => {
  const words = text.split(" ");
  const [name = "", package_ = ""] = words;
  const proto: FileDescriptorProto = {
    $typeName: "google.protobuf.FileDescriptorProto",
    name,
    package: package_,
    syntax: "proto3",
    edition: 0,
    dependency: imports.map((file) => file.proto.name),
    publicDependency: [],
    weakDependency: [],
    optionDependency: [],
    messageType: [],
    enumType: [],
    service: [],
    extension: [],
  };
  new Reader(words.slice(2), package_).readInto(proto);
  const registry = createFileRegistry(proto, (path) => imports.find((file) => file.proto.name === path));
  return registry.getFile(name) as DescFile; // which it was made of
};

/** Reads word by word; what a word means is told by its first character. */
class Reader {
  readonly #words: readonly string[];
  readonly #package: string;
  #at = 0;

  constructor(words: readonly string[], package_: string) {
    this.#words = words;
    this.#package = package_;
  }

  readInto(file: FileDescriptorProto): void {
    while (this.#at < this.#words.length) {
      const word = this.#next();
      const name = word.slice(1);
      if (word.startsWith("{")) file.messageType.push(this.#message(name, `.${this.#package}.${name}`));
      else if (word.startsWith("[")) file.enumType.push(this.#enum(name));
      else file.service.push(this.#service(name));
    }
  }

  #next(): string {
    return this.#words[this.#at++] ?? "";
  }

  #message(name: string, fullName: string): DescriptorProto {
    const message = emptyMessage(name);
    let number = 0;
    let oneof: number | undefined;
    for (let word = this.#next(); word !== "}"; word = this.#next()) {
      const rest = word.slice(1);
      if (word.startsWith("{")) message.nestedType.push(this.#message(rest, `${fullName}.${rest}`));
      else if (word.startsWith("[")) message.enumType.push(this.#enum(rest));
      else if (word === ")") oneof = undefined;
      else if (word.startsWith("(")) {
        oneof = message.oneofDecl.push({ $typeName: "google.protobuf.OneofDescriptorProto", name: rest }) - 1;
      } else {
        const [, field = "", own, mark, kind, type = "", value] =
          /^(\w+)(?:=(\d+))?:([*?]?)([.#]?)([^,]+)(?:,(.*))?$/.exec(word) ?? [];
        number = own === undefined ? number + 1 : Number(own);
        if (value === undefined) {
          const made = this.#field(field, number, (kind ?? "") + type);
          made.label = mark === "*" ? 3 : 1;
          made.proto3Optional = mark === "?";
          if (oneof !== undefined) made.oneofIndex = oneof;
          message.field.push(made);
        } else message.field.push(this.#map(message, fullName, field, number, type, value));
      }
    }
    return message;
  }

  /** A map is a list of messages that are made for it. */
  #map(message: DescriptorProto, fullName: string, field: string, number: number, key: string, value: string) {
    const camel = protoCamelCase(field);
    const entry = emptyMessage(`${camel.charAt(0).toUpperCase()}${camel.slice(1)}Entry`);
    entry.options = { mapEntry: true } as MessageOptions; // nothing else of it is read
    entry.field.push(this.#field("key", 1, key), this.#field("value", 2, value));
    message.nestedType.push(entry);
    const list = this.#field(field, number, `.${fullName.slice(1)}.${entry.name}`);
    list.label = 3;
    return list;
  }

  #field(name: string, number: number, type: string): FieldDescriptorProto {
    const isNamed = type.startsWith(".") || type.startsWith("#");
    // Fields that proto2 tells apart from unset ones are absent here, as in protobuf-es: `oneofIndex` of a field outside of one.
    const absent = { extendee: "", defaultValue: "", oneofIndex: 0 };
    const present = {
      $typeName: "google.protobuf.FieldDescriptorProto",
      name,
      number,
      label: 1,
      jsonName: protoCamelCase(name),
      proto3Optional: false,
      type: isNamed ? (type.startsWith(".") ? 11 : 14) : type.charCodeAt(0) - 96,
      typeName: isNamed ? this.#typeName(type.slice(1)) : "",
    };
    return Object.assign(Object.create(absent) as typeof absent, present) as FieldDescriptorProto;
  }

  #enum(word: string): EnumDescriptorProto {
    const [name = "", prefix = ""] = word.split(":");
    const made: EnumDescriptorProto = {
      $typeName: "google.protobuf.EnumDescriptorProto",
      name,
      value: [],
      reservedRange: [],
      reservedName: [],
      visibility: 0,
    };
    let number = -1;
    for (let value = this.#next(); value !== "]"; value = this.#next()) {
      const [stem = "", own] = value.split("=");
      number = own === undefined ? number + 1 : Number(own);
      made.value.push({ $typeName: "google.protobuf.EnumValueDescriptorProto", name: prefix + stem, number });
    }
    return made;
  }

  #service(name: string): ServiceDescriptorProto {
    const method: MethodDescriptorProto[] = [];
    for (let word = this.#next(); word !== ")"; word = this.#next()) {
      const [own = "", input = "", output = "", level] = word.split(":");
      const isStream = output.startsWith("*");
      const options = { idempotencyLevel: Number(level) } as MethodOptions; // nothing else of it is read
      method.push({
        $typeName: "google.protobuf.MethodDescriptorProto",
        name: own,
        inputType: this.#typeName(input),
        outputType: this.#typeName(isStream ? output.slice(1) : output),
        clientStreaming: false,
        serverStreaming: isStream,
        ...(level !== undefined && { options }),
      });
    }
    return { $typeName: "google.protobuf.ServiceDescriptorProto", name, method };
  }

  /** Names of types begin with a capital letter, names of packages do not. */
  #typeName(name: string): string {
    return /^[A-Z]/.test(name) ? `.${this.#package}.${name}` : `.${name}`;
  }
}

const emptyMessage = (name: string): DescriptorProto => ({
  $typeName: "google.protobuf.DescriptorProto",
  name,
  field: [],
  extension: [],
  nestedType: [],
  enumType: [],
  extensionRange: [],
  oneofDecl: [],
  reservedRange: [],
  reservedName: [],
  visibility: 0,
});
