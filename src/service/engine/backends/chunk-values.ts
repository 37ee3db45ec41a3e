/** Reads values from a backend's JSON, which may contain anything. */
import { nestsDeeper } from "../../domain/nests-deeper.ts";
import { AnswerUnreadable } from "./problems.ts";

export type Members = Readonly<Record<string, unknown>>;

/** Throws AnswerUnreadable if the text is not a JSON object. */
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

/** Far deeper than the arguments of any tool. */
const deepest = 256;

/**
 * The value as JSON. Throws AnswerUnreadable if it is nested too deeply: it could be parsed, but not validated and sent
 * back.
 */
export const jsonOf = (value: unknown): string => {
  if (nestsDeeper(value, deepest)) throw new AnswerUnreadable(`a value of it is nested more than ${deepest} deep`);
  return JSON.stringify(value);
};
