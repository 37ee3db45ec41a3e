/** Parses the values of arguments. Errors are usage errors. */
import { InvalidArgumentError } from "@commander-js/extra-typings";
import { CalledWrongly } from "./failures.ts";

/** A number; the service checks its bounds. */
export const number = (text: string): number => {
  const value = Number(text);
  if (text.trim() === "" || !Number.isFinite(value)) throw new InvalidArgumentError("It is not a number.");
  return value;
};

/** An integer from 0 on. */
export const wholeNumber = (text: string): number => {
  if (!/^\d+$/.test(text)) throw new InvalidArgumentError("It is not a whole number.");
  return Number(text);
};

/** Seconds, converted to milliseconds. */
export const seconds = (text: string): number => {
  const value = number(text);
  // gRPC encodes a timeout in at most eight digits.
  if (value <= 0 || value >= 100_000)
    throw new InvalidArgumentError("It must be more than 0 and less than 100000 seconds.");
  return value * 1000;
};

/** A value of an option that may be repeated. */
export const repeated = (text: string, before: readonly string[] = []): readonly string[] => [...before, text];

/**
 * A header as `name: value`; may be repeated. Errors do not contain the value, which may be a secret and which a usage
 * error would print.
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
