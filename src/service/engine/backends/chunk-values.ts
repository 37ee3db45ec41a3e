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

/** As JSON. Throws AnswerUnreadable where it is nested too deep to be written, which reading it is not. */
export const jsonOf = (value: unknown): string => {
  try {
    return JSON.stringify(value);
  } catch {
    throw new AnswerUnreadable("a value of it is nested too deep");
  }
};
