/** A copy of src/client as it is published: with generated code that has no validation rules. */
import { execFileSync } from "node:child_process";
import { copyFileSync, cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type DescFile, fromBinary } from "@bufbuild/protobuf";
import {
  file_google_protobuf_any,
  file_google_protobuf_duration,
  file_google_protobuf_struct,
  file_google_protobuf_timestamp,
  FileDescriptorProtoSchema,
} from "@bufbuild/protobuf/wkt";
import { parse } from "yaml";
import { writeDescriptor } from "./descriptors/write.ts";

interface GenerateTemplate {
  readonly plugins: { out: string; opt: string[] }[];
  readonly inputs: { readonly directory: string; exclude_types?: string[] }[];
}

/** Makes the copy in a new folder below .cache, so that what is installed is found from it. */
export const stageSources = (root: string): string => {
  mkdirSync(join(root, ".cache"), { recursive: true });
  const folder = mkdtempSync(join(root, ".cache/client-"));
  const source = join(root, "src/client");
  cpSync(source, folder, { recursive: true, filter: (path) => path !== join(source, "gen") });
  generate(root, folder);
  shrinkDescriptors(join(folder, "gen"));
  return folder;
};

/**
 * What `npm run generate` writes, without the rules of protovalidate: the service evaluates them, the client never
 * does, and with their own descriptors they are a fifth of a bundle.
 */
const generate = (root: string, folder: string): void => {
  const template = parse(readFileSync(join(root, "buf.gen.yaml"), "utf8")) as GenerateTemplate;
  for (const plugin of template.plugins) {
    plugin.out = "gen";
    plugin.opt = plugin.opt.filter((option) => !option.startsWith("rewrite_imports="));
  }
  for (const input of template.inputs)
    if (input.directory === "proto") input.exclude_types = ["buf.validate.**", "google.api.field_behavior"];
  const buf = join(root, "node_modules/.bin/buf");
  execFileSync(buf, ["generate", "--template", JSON.stringify(template), "--output", folder], {
    cwd: root,
    stdio: ["ignore", "inherit", "inherit"],
  });
};

/**
 * Writes descriptors in words that say what a client needs of them (`descriptors/write.ts`), those of protobuf's own messages
 * too: as the plugin writes them, they need the description of descriptors itself, and are a fifth of a bundle.
 */
const shrinkDescriptors = (folder: string): void => {
  for (const name of readdirSync(folder, { recursive: true, encoding: "utf8" })) {
    if (!name.endsWith(".ts")) continue;
    const up = "../".repeat(name.split("/").length - 1) || "./";
    const code = readFileSync(join(folder, name), "utf8");
    writeFileSync(join(folder, name), withWords(code, up));
  }
  const standard = [file_google_protobuf_any, file_google_protobuf_duration, file_google_protobuf_struct];
  writeFileSync(join(folder, `${wellKnown}.ts`), wellKnownFiles([...standard, file_google_protobuf_timestamp]));
  copyFileSync(join(import.meta.dirname, "descriptors/read.ts"), join(folder, `${reader}.ts`));
};

const [reader, wellKnown] = ["descriptors", "google/protobuf"];

/** Generated code with its descriptor in words; as it is where words cannot say it. `up` leads to the folder of all of it. */
const withWords = (code: string, up: string): string => {
  const [, base64 = ""] = /fileDesc\("([^"]*)"/.exec(code) ?? [];
  const words = writeDescriptor(fromBinary(FileDescriptorProtoSchema, Buffer.from(base64, "base64")));
  if (words === undefined) return code;
  return code
    .replace(base64, () => words)
    .replace(/^import \{ (.*?) \} from ("@bufbuild\/protobuf\/codegenv2";)$/m, (_, names: string, from: string) => {
      const others = names.split(", ").filter((name) => name !== "fileDesc");
      return `import { ${others.join(", ")} } from ${from}\nimport { fileDesc } from "${up}${reader}.ts";`;
    })
    .replace(/^(import \{ file_google_protobuf_.*?\} from )"@bufbuild\/protobuf\/wkt";$/m, `$1"${up}${wellKnown}.ts";`);
};

/** A module with the descriptors of protobuf's own messages. */
const wellKnownFiles = (files: readonly DescFile[]): string => {
  const lines = files.map(({ proto }) => {
    const constant = `file_${proto.name.replace(/\.proto$/, "").replaceAll("/", "_")}`;
    return `export const ${constant}: GenFile = /*@__PURE__*/ fileDesc(${JSON.stringify(writeDescriptor(proto))});`;
  });
  const imports = [
    'import type { GenFile } from "@bufbuild/protobuf/codegenv2";',
    `import { fileDesc } from "../${reader}.ts";`,
  ];
  return [...imports, ...lines, ""].join("\n");
};
