/** A copy of src/client as it is published: with generated code that has no validation rules. */
import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";

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
  for (const input of template.inputs) if (input.directory === "proto") input.exclude_types = ["buf.validate.**"];
  const buf = join(root, "node_modules/.bin/buf");
  execFileSync(buf, ["generate", "--template", JSON.stringify(template), "--output", folder], {
    cwd: root,
    stdio: ["ignore", "inherit", "inherit"],
  });
};

/**
 * Writes descriptors as the bytes that they are, instead of as base64. They are mostly names that occur again and
 * again: compressed, a bundle is a twelfth smaller.
 */
const shrinkDescriptors = (folder: string): void => {
  for (const name of readdirSync(folder, { recursive: true, encoding: "utf8" })) {
    if (!name.endsWith(".ts")) continue;
    const code = readFileSync(join(folder, name), "utf8");
    const shrunk = code.replace(/fileDesc\("([^"]*)"/, (_, base64: string) => {
      const bytes = JSON.stringify(Buffer.from(base64, "base64").toString("latin1"));
      // Controls beyond ASCII, U+0085 among them, are escaped too: no editor or server is to take them for line ends.
      const escaped = bytes.replaceAll(/[\u007f-\u00ff]/g, (byte) => `\\x${byte.charCodeAt(0).toString(16)}`);
      return `fileDesc(btoa(${escaped})`;
    });
    writeFileSync(join(folder, name), shrunk);
  }
};
