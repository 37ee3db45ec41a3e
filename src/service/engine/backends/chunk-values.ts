/** Values of a backend's JSON, which may be anything. */
import { AnswerUnreadable } from "./problems.ts";

export type Members = Readonly<Record<string, unknown>>;

/** Throws AnswerUnreadable where it is no JSON object. */
export const parseChunk = (data: string): Members => {
  let value: unknown;
  try {
    value = JSON.parse(data);
  } catch {
    throw new AnswerUnreadable("a chunk of it is no JSON");
  }
  const chunk = asObject(value);
  if (chunk === undefined) throw new AnswerUnreadable("a chunk of it is no JSON object");
  return chunk;
};

export const asObject = (value: unknown): Members | undefined =>
  typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Members) : undefined;

export const textOf = (value: unknown): string => (typeof value === "string" ? value : "");

export const countOf = (value: unknown): number | undefined =>
  typeof value === "number" && Number.isInteger(value) && value >= 0 && value < 2 ** 32 ? value : undefined;

/** Of all events of an answer together: far more than a model writes. */
export const mostCharacters = 64 * 1024 ** 2;
export const mostCalls = 128;
