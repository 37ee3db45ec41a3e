/** Writes an entry of a backend or a model to mlxd.yaml. What else is there stays as it is written, comments included. */
import { chmod, chown, readFile, realpath, rename, rm, stat, writeFile } from "node:fs/promises";
import { Effect } from "effect";
import { type Document, isMap, isScalar, parseDocument } from "yaml";

import { ConfigurationInvalid } from "../domain/errors.ts";
import { isSameName, type RegisteredEntry, sections } from "./registered-entries.ts";

/** The file is replaced as a whole, so that nobody reads half of it. @param path undefined: there is no file */
export const writeEntry = (
  path: string | undefined,
  entry: RegisteredEntry,
): Effect.Effect<void, ConfigurationInvalid> => toFile(path, entry, rename);

/** Fails as `writeEntry` would, as far as that is known without replacing the file. */
export const tryWriteEntry = (
  path: string | undefined,
  entry: RegisteredEntry,
): Effect.Effect<void, ConfigurationInvalid> => toFile(path, entry, (temporary) => rm(temporary));

/** What becomes of the new file, which lies beside the old one. */
type Finish = (temporary: string, target: string) => Promise<void>;

const toFile = (
  path: string | undefined,
  entry: RegisteredEntry,
  finish: Finish,
): Effect.Effect<void, ConfigurationInvalid> => {
  const invalid = (problem: string) =>
    new ConfigurationInvalid({
      file: path ?? "mlxd.yaml",
      line: 0,
      key: `${sections[entry.kind]}.${entry.name}`,
      problem,
    });
  if (path === undefined)
    return Effect.fail(invalid("there is no configuration file to write it to: create an empty one"));
  return Effect.uninterruptible(
    Effect.tryPromise({
      try: () => writeBeside(path, entry, finish),
      catch: (cause) => invalid(`it cannot be written (${codeOf(cause)})`),
    }),
  );
};

const writeBeside = async (path: string, entry: RegisteredEntry, finish: Finish): Promise<void> => {
  const target = await realpath(path);
  const text = withEntryIn(await readFile(target, "utf8"), entry, { isJson: target.endsWith(".json") });
  const { mode, uid, gid } = await stat(target);
  const temporary = `${target}.${process.pid}.new`;
  try {
    await writeFile(temporary, text, { flush: true, mode });
    // The process's mask does not count.
    await chmod(temporary, mode);
    // Only root may give a file away; anybody else's file is its own anyway, or in a folder that both may write to.
    await chown(temporary, uid, gid).catch(() => {});
    await finish(temporary, target);
  } catch (cause) {
    await rm(temporary, { force: true });
    throw cause;
  }
};

/** Throws if the text is not YAML. */
export const withEntryIn = (
  text: string,
  { kind, name, declaration }: RegisteredEntry,
  { isJson = false }: { readonly isJson?: boolean } = {},
): string => {
  const document = parseDocument(text, { keepSourceTokens: true });
  const [error] = document.errors;
  if (error !== undefined) throw error;
  const section = sections[kind];
  // A section that is there and empty is no map yet.
  if (isScalar(document.get(section, true))) document.delete(section);
  const key = keyIn(document, section, (other) => isSameName(kind, other, name)) ?? name;
  if (declaration === undefined) document.deleteIn([section, key]);
  else document.setIn([section, key], document.createNode(escaped(declaration)));
  return document.toString({
    lineWidth: 0,
    ...(isJson && { defaultStringType: "QUOTE_DOUBLE", defaultKeyType: "QUOTE_DOUBLE" }),
  });
};

/** The name as it is written, which may be a number: `70: {}`. */
const keyIn = (document: Document.Parsed, section: string, isSame: (name: string) => boolean): unknown => {
  const map: unknown = document.get(section, true);
  const keys = isMap(map) ? map.items.map(({ key }): unknown => (isScalar(key) ? key.value : "")) : [];
  return keys.find((key) => isSame(String(key)));
};

/** In the file `$` begins the name of a variable. */
const escaped = (value: unknown): unknown => {
  if (typeof value === "string") return value.replaceAll("$", "$$$$");
  if (Array.isArray(value)) return value.map(escaped);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, escaped(member)]));
};

const codeOf = (cause: unknown): string =>
  cause instanceof Error ? ("code" in cause ? String(cause.code) : cause.message) : String(cause);
