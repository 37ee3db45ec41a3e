/** How a command fails. */
import { isMlxdError, type MlxdError, type MlxdErrorReason } from "../client/node.ts";

/** The command has failed; the message is one sentence for the user. */
export class CommandFailed extends Error {}

/** The command was called incorrectly; the message is one sentence that does not contain the faulty value. */
export class CalledWrongly extends Error {}

/** The user has ended the command with Ctrl-C. */
export class Interrupted extends Error {
  override readonly message = "interrupted";
}

/** What to do next, for errors whose message does not say so. */
const hints: { readonly [Reason in MlxdErrorReason]?: string } = {
  CREDENTIALS_INVALID: "give your key by --key-file or MLXD_API_KEY",
  DEADLINE: "--timeout allows more time",
  INVALID_FIELD: "see --help for the options",
  MODEL_NOT_FOUND: '"mlxd models" lists what there is',
  MODEL_OPERATION_CONFLICT: '"mlxd models" tells when it is over',
  MODEL_POOL_FULL: '"mlxd unload" makes room',
  PROTOCOL: "check that this mlxd and the server have the same version",
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

/** Options of the command that have another name than in the client. */
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

/** The message with the command's names of the faulty fields. */
const inFlags = ({ message, violations }: MlxdError): string =>
  violations.reduce((text, { field }) => {
    const flag = flags[/^\w+/.exec(field)?.[0] ?? ""];
    return flag === undefined ? text : text.replace(`${field}: `, `${flag}: `);
  }, message);

/** The cause, if it is more than that nobody listens. */
const because = ({ message }: MlxdError): string => (message.startsWith("nobody listens") ? "" : `: ${message}`);

const nextStep = ({ code, reason, retryAfterMs, message }: MlxdError): string => {
  if (code === "UNIMPLEMENTED") return "the server has another version";
  const hint = hints[reason];
  if (hint !== undefined) return hint;
  return retryAfterMs === undefined || message.includes("try again")
    ? ""
    : `try again in ${Math.ceil(retryAfterMs / 1000)} s`;
};

/** The message for this error, or undefined for an unexpected one. */
export const failureLine = (error: unknown, server: string): string | undefined => {
  if (isMlxdError(error)) return errorLine(error, server);
  return error instanceof CommandFailed ? error.message : undefined;
};
