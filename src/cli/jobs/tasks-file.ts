/**
 * Reads tasks from a file of JSON lines. Each line is a text, or an object with an input and other options of the
 * client's tasks.
 */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { createInterface } from "node:readline";
import type { BatchItem } from "../../client/node.ts";
import { CommandFailed } from "../failures.ts";

/** The tasks in order. Errors contain the line number. */
export async function* readTasks(path: string): AsyncGenerator<BatchItem, void, undefined> {
  let number = 0;
  try {
    for await (const line of createInterface({ input: inputOf(path), crlfDelay: Infinity })) {
      number += 1;
      if (line.trim() !== "") yield taskOf(line, `${nameOf(path)}:${number}`);
    }
  } catch (error) {
    throw readFailure(path, error);
  }
}

/** How many tasks there are. Errors are those of {@link readTasks}. */
export const countTasks = async (path: string): Promise<number> => {
  let count = 0;
  for await (const _ of readTasks(path)) count += 1;
  return count;
};

/** Identifies a file's content: equal contents have equal values. */
export const contentId = async (path: string, ...more: readonly string[]): Promise<string> => {
  const hash = createHash("sha256").update(JSON.stringify(more));
  try {
    for await (const chunk of inputOf(path)) hash.update(chunk as Buffer);
  } catch (error) {
    throw readFailure(path, error);
  }
  return hash.digest("base64url");
};

const nameOf = (path: string): string => (path === "-" ? "standard input" : path);

const inputOf = (path: string) => (path === "-" ? process.stdin : createReadStream(path));

const readFailure = (path: string, error: unknown): unknown =>
  error instanceof Error && "syscall" in error && "code" in error
    ? new CommandFailed(`cannot read ${nameOf(path)}: ${String(error.code)}`)
    : error;

const inputKeys = [
  "messages",
  "tools",
  "toolChoice",
  "templateOptions",
  "continueFinalMessage",
  "prompt",
  "tokens",
  "task",
];

const taskOf = (line: string, place: string): BatchItem => {
  const value = parse(line, place);
  if (typeof value === "string") return { input: value };
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new CommandFailed(`${place}: a task is a text, or an object such as {"input": "What is 2+2?"}`);
  }
  if ("input" in value) return value as BatchItem; // the client checks it
  // The members of an input may also be members of the task itself.
  const entries = Object.entries(value);
  const input = Object.fromEntries(entries.filter(([key]) => inputKeys.includes(key)));
  const rest = Object.fromEntries(entries.filter(([key]) => !inputKeys.includes(key)));
  return { ...rest, input } as unknown as BatchItem; // the client validates it
};

const parse = (line: string, place: string): unknown => {
  try {
    return JSON.parse(line) as unknown;
  } catch (error) {
    throw new CommandFailed(`${place}: it is not JSON: ${error instanceof Error ? error.message : String(error)}`);
  }
};
