/** Entries of mlxd.yaml that are added, changed or removed while the service runs. */
import { backendName } from "./read-backends.ts";

export type EntryKind = "backend" | "model";

/** An entry as it would be in the file; undefined removes it. */
export interface RegisteredEntry {
  readonly kind: EntryKind;
  readonly name: string;
  readonly declaration: Readonly<Record<string, unknown>> | undefined;
}

/** By kind and name. */
export type DeclaredEntries = Readonly<Record<EntryKind, Readonly<Record<string, object>>>>;

/** At most one for each kind and name. */
export type RegisteredEntries = ReadonlyArray<RegisteredEntry>;

export const sections = { backend: "backends", model: "models" } as const;

/** Whether two names are the same: of backends their case does not matter. */
export const isSameName = (kind: EntryKind, a: string, b: string): boolean =>
  kind === "backend" ? backendName(a) === backendName(b) : a === b;

export const withEntry = (entries: RegisteredEntries, entry: RegisteredEntry): RegisteredEntries => [
  ...withoutEntry(entries, entry),
  entry,
];

export const withoutEntry = (
  entries: RegisteredEntries,
  { kind, name }: Pick<RegisteredEntry, "kind" | "name">,
): RegisteredEntries => entries.filter((entry) => entry.kind !== kind || !isSameName(kind, entry.name, name));

/** What the file's value would be with the entries in it. A value that is no map stays for the schema to refuse. */
export const mergeEntries = (file: unknown, entries: RegisteredEntries): unknown =>
  entries.reduce((value, { kind, name, declaration }) => {
    if (!isMap(value)) return value;
    const before = value[sections[kind]] ?? {};
    if (!isMap(before)) return value;
    const others = Object.entries(before).filter(([key]) => !isSameName(kind, key, name));
    const own = declaration === undefined ? [] : [[name, declaration] as const];
    return { ...value, [sections[kind]]: Object.fromEntries([...others, ...own]) };
  }, file);

const isMap = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value);
