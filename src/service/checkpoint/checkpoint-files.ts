/**
 * Reads the files of a checkpoint folder, which are untrusted: only regular files of bounded size are read. Errors name
 * the file, never its path.
 */
import { constants } from "node:fs";
import { type FileHandle, open, stat } from "node:fs/promises";
import { join } from "node:path";

/** The checkpoint is unusable. */
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

/** Undefined if the file does not exist. Throws CheckpointInvalid. */
export const readOptional = async (directory: string, file: string): Promise<Buffer | undefined> => {
  const handle = await openRegular(directory, file);
  if (handle === undefined) return undefined;
  try {
    const { size } = await handle.stat();
    const limit = file === "tokenizer.json" ? tokenizerMaxBytes : otherMaxBytes;
    if (size > limit) {
      throw new CheckpointInvalid(file, `has ${size} bytes; it must not have more than ${limit}`);
    }
    return await readBytes(handle, 0, size);
  } catch (error) {
    throw asInvalid(file, error);
  } finally {
    await handle.close();
  }
};

export const readRequired = async (directory: string, file: string): Promise<Buffer> => {
  const content = await readOptional(directory, file);
  if (content === undefined) throw new CheckpointInvalid(file, "is missing");
  return content;
};

/** The largest among known models, Gemma 3's, has 33 MB. */
const tokenizerMaxBytes = 64 * 1024 ** 2;
const otherMaxBytes = 16 * 1024 ** 2;

/**
 * Opens a file for reading. Anything but a regular file or a link to one is refused: reading a pipe would wait for a
 * writer, and a device may never end. Undefined if there is none. Throws CheckpointInvalid.
 */
export const openRegular = async (directory: string, file: string): Promise<FileHandle | undefined> => {
  const path = join(directory, file);
  try {
    // Opening a device may have side effects, so the type is checked before, and again afterwards in case the file was
    // replaced.
    if (!(await stat(path)).isFile()) throw new CheckpointInvalid(file, "is no regular file");
    const handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    if ((await handle.stat()).isFile()) return handle;
    await handle.close();
    throw new CheckpointInvalid(file, "is no regular file");
  } catch (error) {
    if (codeOf(error) === "ENOENT") return undefined;
    throw asInvalid(file, error);
  }
};

/** Returns fewer bytes if the file ends earlier. */
export const readBytes = async (handle: FileHandle, position: number, length: number): Promise<Buffer> => {
  const buffer = Buffer.alloc(length);
  let read = 0;
  while (read < length) {
    const { bytesRead } = await handle.read(buffer, read, length - read, position + read);
    if (bytesRead === 0) break;
    read += bytesRead;
  }
  return buffer.subarray(0, read);
};

/** @param content undefined counts as an empty object, for files that may be missing */
export const parseJson = (file: string, content: Buffer | undefined): unknown => {
  try {
    return JSON.parse(content?.toString("utf8") ?? "{}") as unknown;
  } catch {
    // The parser's own message would quote the file.
    throw new CheckpointInvalid(file, isLfsPointer(content) ? lfsProblem : "is not valid JSON");
  }
};

export const parseObject = (file: string, content: Buffer | undefined): Readonly<Record<string, unknown>> => {
  const value = parseJson(file, content);
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  throw new CheckpointInvalid(file, "is no JSON object");
};

/** The pointer that git leaves in place of a large file that was not fetched. */
export const isLfsPointer = (content: Buffer | undefined): boolean =>
  content?.subarray(0, lfsBeginning.length).toString("latin1") === lfsBeginning;
const lfsBeginning = "version https://git-lfs.github.com/spec/";

export const lfsProblem = "is a Git LFS pointer and not the file itself; `git lfs pull` fetches it";

export interface ChatTemplateFile {
  readonly file: string;
  readonly raw: Buffer;
  /** A template, or a list of named templates. */
  readonly value: unknown;
}

/** The template in a file of its own, which takes precedence over the one in tokenizer_config.json. */
export const readChatTemplateFile = async (directory: string): Promise<ChatTemplateFile | undefined> => {
  const jinja = await readOptional(directory, "chat_template.jinja");
  if (jinja !== undefined) return { file: "chat_template.jinja", raw: jinja, value: jinja.toString("utf8") };
  const file = "chat_template.json";
  const json = await readOptional(directory, file);
  if (json === undefined) return undefined;
  return { file, raw: json, value: parseObject(file, json)["chat_template"] };
};

/** The system's error code, without the message, which contains the path. */
export const codeOf = (error: unknown): string =>
  typeof error === "object" && error !== null && "code" in error ? String(error.code) : "unknown error";

const asInvalid = (file: string, error: unknown): CheckpointInvalid =>
  error instanceof CheckpointInvalid ? error : new CheckpointInvalid(file, `cannot be read (${codeOf(error)})`);
