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

/** A name as it is compared: of backends its case does not matter. */
const plainName = (kind: EntryKind, name: string): string => (kind === "backend" ? backendName(name) : name);

export const isSameName = (kind: EntryKind, a: string, b: string): boolean => plainName(kind, a) === plainName(kind, b);

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
  (["backend", "model"] as const).reduce((value, kind) => {
    const registered = entries.filter((entry) => entry.kind === kind);
    if (registered.length === 0 || !isMap(value)) return value;
    const before = value[sections[kind]] ?? {};
    if (!isMap(before)) return value;
    const names = new Set(registered.map(({ name }) => plainName(kind, name)));
    const others = Object.entries(before).filter(([key]) => !names.has(plainName(kind, key)));
    const own = registered.filter(({ declaration }) => declaration !== undefined);
    const added = own.map(({ name, declaration }) => [name, declaration] as const);
    return { ...value, [sections[kind]]: Object.fromEntries([...others, ...added]) };
  }, file);

const isMap = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value);
