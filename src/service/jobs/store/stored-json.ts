/** Converts results, events and failures to text and back. */
import * as errors from "../../domain/errors.ts";
import type { ServiceError } from "../../domain/errors.ts";
import type { ItemFailure } from "../../domain/job.ts";

/** Bytes, which JSON does not have, are written as an object with this single key. */
const bytesKey = "$base64";

export const toStored = (value: unknown): string =>
  JSON.stringify(value, (_, member: unknown) =>
    member instanceof Uint8Array ? { [bytesKey]: Buffer.from(member).toString("base64") } : member,
  );

/** Reads what `toStored` has written: the caller knows its type. */
export const fromStored = <A>(text: string): A =>
  JSON.parse(text, (_, member: unknown) => {
    if (typeof member !== "object" || member === null || !(bytesKey in member)) return member;
    return new Uint8Array(Buffer.from(String(member[bytesKey]), "base64"));
  }) as A;

/** A failure as plain data. */
export type StoredFailure =
  | { readonly type: "error"; readonly tag: string; readonly fields: Readonly<Record<string, unknown>> }
  | { readonly type: "defect"; readonly requestId: string };

export const failureToStored = (failure: ItemFailure): StoredFailure => {
  if (failure.type === "defect") return failure;
  const { _tag: tag, ...fields } = { ...failure.error };
  // Not enumerable, as on every Error.
  const { cause } = failure.error;
  return { type: "error", tag, fields: typeof cause === "string" ? { ...fields, cause } : fields };
};

type ErrorClass = new (fields: never) => ServiceError;

const classes = new Map(
  Object.entries(errors as Readonly<Record<string, unknown>>).filter(([, each]) => typeof each === "function"),
) as ReadonlyMap<string, ErrorClass>;

/** A failure that this version does not know, written by a newer one, is reported as a bug. */
export const failureFromStored = (stored: StoredFailure): ItemFailure => {
  if (stored.type === "defect") return stored;
  const Class = classes.get(stored.tag);
  try {
    if (Class !== undefined) return { type: "error", error: new Class(stored.fields as never) };
  } catch {
    // Its fields have changed since.
  }
  return { type: "defect", requestId: stored.tag };
};
