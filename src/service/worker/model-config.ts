/** Typed access to a checkpoint's config.json. */
import { LoadError } from "./load-error.ts";

export class ModelConfig {
  private readonly values: Readonly<Record<string, unknown>>;
  /** For messages: the path of keys to these values. */
  private readonly prefix: string;

  constructor(values: Readonly<Record<string, unknown>>, prefix = "") {
    this.values = values;
    this.prefix = prefix;
  }

  static parse(text: string): ModelConfig {
    let values: unknown;
    try {
      values = JSON.parse(text);
    } catch (cause) {
      throw new LoadError(`config.json is not valid JSON: ${cause instanceof Error ? cause.message : "unreadable"}`);
    }
    if (!isRecord(values)) throw new LoadError("config.json is not a JSON object");
    return new ModelConfig(values);
  }

  /** A number; without a fallback the key is required. */
  number(key: string, fallback?: number): number {
    const value = this.values[key] ?? fallback;
    if (typeof value !== "number" || !Number.isFinite(value)) throw this.wrong(key, "a number");
    return value;
  }

  /** A whole number over 0. */
  count(key: string, fallback?: number): number {
    const value = this.number(key, fallback);
    if (!Number.isInteger(value) || value < 1) throw this.wrong(key, "a whole number over 0");
    return value;
  }

  boolean(key: string, fallback: boolean): boolean {
    const value = this.values[key] ?? fallback;
    if (typeof value !== "boolean") throw this.wrong(key, "true or false");
    return value;
  }

  string(key: string, fallback?: string): string {
    const value = this.values[key] ?? fallback;
    if (typeof value !== "string") throw this.wrong(key, "a string");
    return value;
  }

  /** An object; undefined when missing or null. */
  section(key: string): ModelConfig | undefined {
    const value = this.values[key];
    if (value === undefined || value === null) return undefined;
    if (!isRecord(value)) throw this.wrong(key, "an object");
    return new ModelConfig(value, `${this.prefix}${key}.`);
  }

  private wrong(key: string, expected: string): LoadError {
    const value = this.values[key];
    const found = value === undefined ? "is missing" : `is ${JSON.stringify(value).slice(0, 60)}`;
    return new LoadError(`config.json: ${this.prefix}${key} ${found}, it must be ${expected}`);
  }
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);
