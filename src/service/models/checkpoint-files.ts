/** Reading the files of a checkpoint folder. What is wrong with one is told by its name, never by its path. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { Result, Schema } from "effect";

/** A checkpoint that cannot be used as it is. */
export class CheckpointInvalid extends Error {
  override readonly name = "CheckpointInvalid";
  readonly file: string;
  readonly problem: string;

  constructor(file: string, problem: string) {
    super(`${file} ${problem}`);
    this.file = file;
    this.problem = problem;
  }
}

/** Undefined when there is no such file. */
export const readOptional = async (directory: string, file: string): Promise<Buffer | undefined> => {
  try {
    return await readFile(join(directory, file));
  } catch (error) {
    const code = codeOf(error);
    if (code === "ENOENT") return undefined;
    throw new CheckpointInvalid(file, `cannot be read (${code})`);
  }
};

export const readRequired = async (directory: string, file: string): Promise<Buffer> => {
  const content = await readOptional(directory, file);
  if (content === undefined) throw new CheckpointInvalid(file, "is missing");
  return content;
};

/** @param content undefined stands for an empty object, for files that may be missing */
export const decodeJson = <A>(file: string, content: Buffer | undefined, schema: Schema.ConstraintDecoder<A>): A => {
  let value: unknown;
  try {
    value = JSON.parse(content?.toString("utf8") ?? "{}");
  } catch {
    // The parser's message quotes the file.
    throw new CheckpointInvalid(file, "is not valid JSON");
  }
  const decoded = Schema.decodeUnknownResult(schema)(value);
  if (Result.isSuccess(decoded)) return decoded.success;
  throw new CheckpointInvalid(file, `is not as expected: ${decoded.failure.message.replaceAll(/\s+/g, " ")}`);
};

export const JsonObject = Schema.Record(Schema.String, Schema.Unknown);

/** The system's short code, without the path that its message has. */
export const codeOf = (error: unknown): string =>
  typeof error === "object" && error !== null && "code" in error ? String(error.code) : "unknown error";
