/** The index for server reflection: files by name, by the symbols they define and by the extensions they declare. */
import { readFileSync } from "node:fs";
import {
  type DescExtension,
  type DescFile,
  type DescMessage,
  type DescService,
  fromBinary,
  toBinary,
} from "@bufbuild/protobuf";
import { nestedTypes } from "@bufbuild/protobuf/reflect";
import { type FileDescriptorProto, FileDescriptorProtoSchema, FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";

export interface ReflectionIndex {
  readonly services: ReadonlyArray<string>;
  readonly fileByName: (name: string) => DescFile | undefined;
  /**
   * Looks up a message, enum, service or extension by its full name, or a field, oneof, method or enum value of one.
   */
  readonly fileBySymbol: (symbol: string) => DescFile | undefined;
  readonly fileByExtension: (extendee: string, number: number) => DescFile | undefined;
  /** Undefined for an unknown type. */
  readonly extensionNumbers: (extendee: string) => ReadonlyArray<number> | undefined;
}

/** @param extra files that no service imports, such as those of error details */
export const createReflectionIndex = (
  services: ReadonlyArray<DescService>,
  extra: ReadonlyArray<DescFile>,
): ReflectionIndex => {
  const files = new Map<string, DescFile>();
  const symbols = new Map<string, DescFile>();
  const extensions = new Map<string, Map<number, DescFile>>();
  const add = (file: DescFile): void => {
    if (files.has(file.proto.name)) return;
    files.set(file.proto.name, file);
    for (const symbol of symbolsOf(file)) symbols.set(symbol, file);
    for (const extension of extensionsOf(file)) {
      const { typeName } = extension.extendee;
      const numbers = extensions.get(typeName) ?? new Map<number, DescFile>();
      extensions.set(typeName, numbers.set(extension.number, file));
    }
    for (const dependency of file.dependencies) add(dependency);
  };
  for (const file of [...services.map((service) => service.file), ...extra]) add(file);
  return {
    services: services.map(({ typeName }) => typeName),
    fileByName: (name) => files.get(name),
    fileBySymbol: (symbol) => symbols.get(symbol),
    fileByExtension: (extendee, number) => extensions.get(extendee)?.get(number),
    extensionNumbers: (extendee) => (symbols.has(extendee) ? [...(extensions.get(extendee)?.keys() ?? [])] : undefined),
  };
};

/** A file and everything that it imports, starting with itself: clients need all of them. */
export const encodeWithImports = (file: DescFile): Uint8Array[] => {
  const all = new Set<DescFile>();
  const add = (one: DescFile): void => {
    if (all.has(one)) return;
    all.add(one);
    one.dependencies.forEach(add);
  };
  add(file);
  return [...all].map(({ proto }) => toBinary(FileDescriptorProtoSchema, documented.get(proto.name) ?? proto));
};

/**
 * The API's own files with their comments, which generated code does not contain, so that a client can show units,
 * bounds and defaults. `npm run generate` writes the file.
 */
const documented: ReadonlyMap<string, FileDescriptorProto> = new Map(
  fromBinary(FileDescriptorSetSchema, readFileSync(new URL("../../../proto/mlxd.binpb", import.meta.url)))
    .file.filter(({ package: name }) => name === "mlxd.v1")
    .map((file) => [file.name, file]),
);

const extensionsOf = (file: DescFile): ReadonlyArray<DescExtension> =>
  [...nestedTypes(file)].filter((type) => type.kind === "extension");

function* symbolsOf(file: DescFile): Generator<string> {
  for (const type of nestedTypes(file)) {
    yield type.typeName;
    switch (type.kind) {
      case "message":
        yield* membersOf(type);
        break;
      case "service":
        for (const method of type.methods) yield `${type.typeName}.${method.name}`;
        break;
      case "enum": {
        // Enum values are siblings of their enum in the scope, not children.
        const scope = type.typeName.split(".").slice(0, -1);
        for (const value of type.values) yield [...scope, value.name].join(".");
        break;
      }
      case "extension":
        break;
    }
  }
}

function* membersOf({ typeName, fields, oneofs }: DescMessage): Generator<string> {
  for (const member of [...fields, ...oneofs]) yield `${typeName}.${member.name}`;
}
