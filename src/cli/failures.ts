/** How a command ends when it does not end well. */
import { isMlxdError, type MlxdError, type MlxdErrorReason } from "../client/node.ts";

/** The command has failed; the message is one sentence for its user. */
export class CommandFailed extends Error {}

/** The command was called in a way that it is not called; the message is one sentence without the value at fault. */
export class CalledWrongly extends Error {}

/** The user has ended the command with Ctrl-C. */
export class Interrupted extends Error {
  override readonly message = "interrupted";
}

/** What to do next, where the service's message does not say it. */
const hints: { readonly [Reason in MlxdErrorReason]?: string } = {
  CREDENTIALS_INVALID: "give your key by --key-file or MLXD_API_KEY",
  DEADLINE: "--timeout allows more time",
  INVALID_FIELD: "--help tells the options",
  MODEL_NOT_FOUND: '"mlxd models" lists what there is',
  MODEL_OPERATION_CONFLICT: '"mlxd models" tells when it is over',
  MODEL_POOL_FULL: '"mlxd unload" makes room',
  PROTOCOL: "are mlxd here and at the server of one version?",
};

/** A failed call in one line: what happened, what to do next, and the reason for scripts. */
export const errorLine = (error: MlxdError, server: string): string => {
  const parts =
    error.reason === "CONNECTION"
      ? [
          `no mlxd answers at ${server}${because(error)}`,
          'start one with "mlxd serve", or name another with --server or MLXD_SERVER',
        ]
      : [inFlags(error), nextStep(error)];
  const sentence = parts.filter((part) => part !== "").join("; ");
  return `${sentence.replace("?; ", "? ")} (${error.reason})`.replaceAll(/\s+/g, " ");
};

/** Where the command calls an option otherwise than the client does. */
const flags: Readonly<Record<string, string>> = {
  adapter: "--adapter",
  constraint: "--json-schema",
  maxOutputTokens: "--max-output-tokens",
  model: "--model",
  seed: "--seed",
  stopSequences: "--stop",
  temperature: "--temperature",
  topK: "--top-k",
  topP: "--top-p",
};

/** The message with the fields at fault called as the command does. */
const inFlags = ({ message, violations }: MlxdError): string =>
  violations.reduce((text, { field }) => {
    const flag = flags[/^\w+/.exec(field)?.[0] ?? ""];
    return flag === undefined ? text : text.replace(`${field}: `, `${flag}: `);
  }, message);

/** Why, where it is not simply that nobody listens. */
const because = ({ message }: MlxdError): string => (message.startsWith("nobody listens") ? "" : `: ${message}`);

const nextStep = ({ code, reason, retryAfterMs, message }: MlxdError): string => {
  if (code === "UNIMPLEMENTED") return "the server is of another version";
  const hint = hints[reason];
  if (hint !== undefined) return hint;
  return retryAfterMs === undefined || message.includes("try again")
    ? ""
    : `try again in ${Math.ceil(retryAfterMs / 1000)} s`;
};

/** What to tell of this error, or undefined for one that nobody foresaw. */
export const failureLine = (error: unknown, server: string): string | undefined => {
  if (isMlxdError(error)) return errorLine(error, server);
  return error instanceof CommandFailed ? error.message : undefined;
};
