/** Typed access to config.json and similar files of a checkpoint. */
import { LoadError } from "./load-error.ts";

export class ModelConfig {
  private readonly values: Readonly<Record<string, unknown>>;
  /** The path of keys to these values, for messages. */
  private readonly prefix: string;
  private readonly file: string;

  constructor(values: Readonly<Record<string, unknown>>, prefix = "", file = "config.json") {
    this.values = values;
    this.prefix = prefix;
    this.file = file;
  }

  static parse(text: string, file = "config.json"): ModelConfig {
    let values: unknown;
    try {
      values = JSON.parse(text);
    } catch (cause) {
      throw new LoadError(`${file} is not valid JSON: ${cause instanceof Error ? cause.message : "unreadable"}`);
    }
    if (!isRecord(values)) throw new LoadError(`${file} is not a JSON object`);
    return new ModelConfig(values, "", file);
  }

  /** Whether there is a value other than null. */
  has(key: string): boolean {
    return this.values[key] !== undefined && this.values[key] !== null;
  }

  /** A number; required if there is no fallback. */
  number(key: string, fallback?: number): number {
    const value = this.values[key] ?? fallback;
    if (typeof value !== "number" || !Number.isFinite(value)) throw this.wrong(key, "a number");
    return value;
  }

  /** A number greater than 0. */
  positive(key: string, fallback?: number): number {
    const value = this.number(key, fallback);
    if (value <= 0) throw this.wrong(key, "over 0");
    return value;
  }

  /** An integer greater than 0. */
  count(key: string, fallback?: number): number {
    const value = this.number(key, fallback);
    if (!Number.isInteger(value) || value < 1) throw this.wrong(key, "a whole number over 0");
    return value;
  }

  /** An integer that divides another. */
  divisor(key: string, of: number, fallback?: number): number {
    const value = this.count(key, fallback);
    if (of % value !== 0) throw this.wrong(key, `a divisor of ${of}`);
    return value;
  }

  /** An integer from 1 to this. */
  countUpTo(key: string, most: number): number {
    const value = this.count(key);
    if (value > most) throw this.wrong(key, `at most ${most}`);
    return value;
  }

  boolean(key: string, fallback?: boolean): boolean {
    const value = this.values[key] ?? fallback;
    if (typeof value !== "boolean") throw this.wrong(key, "true or false");
    return value;
  }

  string(key: string, fallback?: string): string {
    const value = this.values[key] ?? fallback;
    if (typeof value !== "string") throw this.wrong(key, "a string");
    return value;
  }

  numbers(key: string, fallback?: ReadonlyArray<number>): ReadonlyArray<number> {
    const value = this.values[key] ?? fallback;
    if (!isListOf(value, "number")) throw this.wrong(key, "a list of numbers");
    return value as ReadonlyArray<number>;
  }

  strings(key: string, fallback?: ReadonlyArray<string>): ReadonlyArray<string> {
    const value = this.values[key] ?? fallback;
    if (!isListOf(value, "string")) throw this.wrong(key, "a list of strings");
    return value as ReadonlyArray<string>;
  }

  /** A list of `count` words from a known set; undefined if missing or null. */
  words(key: string, count: number, known: ReadonlyArray<string>): ReadonlyArray<string> | undefined {
    if (!this.has(key)) return undefined;
    const words = this.strings(key);
    const fits = words.length === count && words.every((word) => known.includes(word));
    if (!fits) throw this.wrong(key, `a list of ${count}, each one of ${known.join(", ")}`);
    return words;
  }

  /** An object; undefined if missing or null. */
  section(key: string): ModelConfig | undefined {
    const value = this.values[key];
    if (value === undefined || value === null) return undefined;
    if (!isRecord(value)) throw this.wrong(key, "an object");
    return new ModelConfig(value, `${this.prefix}${key}.`, this.file);
  }

  /** An object, or `false` if it is switched off; undefined if missing. */
  override(key: string): ModelConfig | false | undefined {
    const value = this.values[key];
    if (value === false) return false;
    return value === true ? undefined : this.section(key);
  }

  /** The error for an invalid value: names the key and shows the value. */
  wrong(key: string, expected: string): LoadError {
    const value = this.values[key];
    const found = value === undefined ? "is missing" : `is ${JSON.stringify(value).slice(0, 60)}`;
    return new LoadError(`${this.file}: ${this.prefix}${key} ${found}, it must be ${expected}`);
  }
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const isListOf = (value: unknown, type: "number" | "string"): boolean =>
  Array.isArray(value) && value.every((item) => typeof item === type);
