import { execFile } from "node:child_process";
import { access, constants } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const bin = fileURLToPath(new URL("../../.cache/bin/", import.meta.url));
const grpcurlModule = "github.com/fullstorydev/grpcurl/cmd/grpcurl@v1.9.4";
/** A first install compiles some hundred Go packages. */
const installTimeoutMs = 240_000;

const isProgram = (path: string) =>
  access(path, constants.X_OK).then(
    () => true,
    () => false,
  );

/** The path of grpcurl, or undefined where it is not installed: the test is then skipped with `noGrpcurl` as its reason. */
export const grpcurl = async (): Promise<string | undefined> => {
  const path = `${bin}grpcurl`;
  return (await isProgram(path)) ? path : undefined;
};

export const noGrpcurl = "grpcurl is missing and could not be installed (it needs Go)";

/** Installs grpcurl where Go is present; returns why not otherwise. */
export const installGrpcurl = async (): Promise<string | undefined> => {
  if (await grpcurl()) return undefined;
  try {
    const env = { ...process.env, GOBIN: bin };
    await promisify(execFile)("go", ["install", grpcurlModule], { env, timeout: installTimeoutMs });
    return undefined;
  } catch (error) {
    return `grpcurl was not installed: ${error instanceof Error ? error.message.trim() : String(error)}`;
  }
};

/** The Deno that npm installed. Its own npm wrapper needs an install script; the program beside it does not. */
export const deno = fileURLToPath(new URL("../../node_modules/.bin/deno", import.meta.url));
