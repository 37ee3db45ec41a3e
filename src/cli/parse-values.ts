/** From an argument's text to its value. What is wrong with one is told as a usage error. */
import { InvalidArgumentError } from "@commander-js/extra-typings";
import { CalledWrongly } from "./failures.ts";

/** A number; whether it is in bounds is the service's to say. */
export const number = (text: string): number => {
  const value = Number(text);
  if (text.trim() === "" || !Number.isFinite(value)) throw new InvalidArgumentError("It is no number.");
  return value;
};

/** A whole number from 0 on. */
export const wholeNumber = (text: string): number => {
  if (!/^\d+$/.test(text)) throw new InvalidArgumentError("It is no whole number.");
  return Number(text);
};

/** Seconds, as milliseconds. */
export const seconds = (text: string): number => {
  const value = number(text);
  // gRPC sends a time-out in eight digits.
  if (value <= 0 || value >= 100_000) throw new InvalidArgumentError("It is not over 0 and under 100000 seconds.");
  return value * 1000;
};

/** One of several values of an option that may be repeated. */
export const repeated = (text: string, before: readonly string[] = []): readonly string[] => [...before, text];

/**
 * One of several headers, as `name: value`. What is wrong is told without the value, which may be a secret and which a
 * usage error would repeat.
 */
export const header = (text: string, before: Headers = new Headers()): Headers => {
  const [, name = "", value = ""] = /^([^:]+):(.*)$/s.exec(text) ?? [];
  if (name === "") throw new CalledWrongly('--header takes a name and a value, such as "authorization: Bearer abc"');
  const headers = new Headers(before);
  try {
    headers.append(name.trim(), value.trim());
  } catch {
    throw new CalledWrongly(`--header: HTTP cannot send a header "${name.trim()}" with this value`);
  }
  return headers;
};
