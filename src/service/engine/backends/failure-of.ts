/** Maps failures of an exchange with a server to errors of this service. docs/backends.md has the table. */
import type { BackendSettings } from "../../config/read-backends.ts";
import { type ConversationOption, fieldOf } from "../../domain/conversation-options.ts";
import {
  BackendContextExceeded,
  BackendCredentials,
  BackendProtocol,
  BackendQuota,
  BackendRefused,
  BackendUnavailable,
  EngineLost,
  ModelNotFound,
  UnsupportedParameter,
  UnsupportedTask,
} from "../../domain/errors.ts";
import type { ServedModel } from "../../domain/model.ts";
import type { BackendFailure } from "../engine-failures.ts";
import { withoutKey } from "./api-headers.ts";
import { AnswerUnreadable, BackendSays, OptionRefused, StatusRefused } from "./problems.ts";

/** @param hasOutput whether output was already reported, so that the task must not be repeated */
export const failureOf = (
  thrown: unknown,
  { id: model, source }: Pick<ServedModel, "id" | "source">,
  backend: Pick<BackendSettings, "name" | "apiKey">,
  hasOutput: boolean,
): BackendFailure => {
  const about = { model, backend: backend.name };
  if (thrown instanceof OptionRefused) {
    return missing(thrown.option, model, `its backend "${backend.name}": ${wordsOf(thrown.said, backend)}`);
  }
  if (thrown instanceof StatusRefused) {
    const said = { words: wordsOf(thrown.body, backend), isOfContext: tellsOfContext(thrown.body) };
    return ofStatus(thrown.status, thrown.retryAfterMs, said, { ...about, source });
  }
  if (thrown instanceof BackendSays) {
    const words = wordsOf(thrown.body, backend);
    const isOfContext = tellsOfContext(thrown.body);
    if (hasOutput) return new EngineLost({ model, reason: `its backend "${backend.name}" says: ${words}` });
    const status = statusIn(thrown.body);
    if (status !== undefined) return ofStatus(status, undefined, { words, isOfContext }, { ...about, source });
    if (isOfContext) return new BackendContextExceeded({ ...about, words });
    return new BackendProtocol({ ...about, cause: `it tells of an error: ${words}` });
  }
  if (thrown instanceof AnswerUnreadable) {
    // The cause may quote the answer.
    return new BackendProtocol({ ...about, cause: withoutKey(thrown.message, backend) });
  }
  const cause = transportCause(thrown);
  if (hasOutput) {
    const how = cause === "read_timeout" ? "stalled" : "died";
    return new EngineLost({ model, how, reason: `its backend "${backend.name}": ${cause}` });
  }
  return new BackendUnavailable({ ...about, cause, retryAfterMs: defaultRetryMs });
};

const missing = (option: ConversationOption, model: string, hint: string): UnsupportedParameter | UnsupportedTask =>
  option === "chat.images"
    ? new UnsupportedTask({ task: "vision", model, hint })
    : new UnsupportedParameter({ field: fieldOf(option), model, hint });

interface About {
  readonly model: string;
  readonly backend: string;
  /** The model's name at the backend. */
  readonly source: string;
}

const ofStatus = (
  status: number,
  asked: number | undefined,
  { words, isOfContext }: { readonly words: string; readonly isOfContext: boolean },
  { source, ...about }: About,
): BackendFailure => {
  const retryAfterMs = asked ?? defaultRetryMs;
  if (status === 401 || status === 403) return new BackendCredentials({ ...about, status });
  if (status === 404) return new ModelNotFound({ model: source, backend: about.backend, nearest: [] });
  if (status === 429) return new BackendQuota({ ...about, retryAfterMs });
  if (status >= 500) return new BackendUnavailable({ ...about, cause: `http_${status}`, retryAfterMs });
  if (status === 413 || (status >= 400 && isOfContext)) return new BackendContextExceeded({ ...about, words });
  if (status >= 400) return new BackendRefused({ ...about, status, words });
  return new BackendProtocol({ ...about, cause: `its status is ${status}, which is none of a chat completion` });
};

/** The retry delay if the server does not send one. */
const defaultRetryMs = 1_000;

/**
 * Whether an error says that the context is too short, anywhere in its message: in the words of OpenAI, Anthropic, Google,
 * Groq, Together, vLLM, llama.cpp, LM Studio and Ollama.
 */
const tellsOfContext = (body: string): boolean => {
  const error = member(parsed(body), "error");
  const named = [member(error, "code"), member(error, "type")];
  return (
    named.some((name) => typeof name === "string" && contextCodes.has(name)) ||
    contextWords.some((words) => words.test(saidIn(body)))
  );
};

const contextCodes: ReadonlySet<string> = new Set(["context_length_exceeded", "exceed_context_size_error"]);

const contextWords: ReadonlyArray<RegExp> = [
  /context[ _](?:length|window|size|limit)/i,
  /(?:maximum|exceeds?|exceeding).{0,40}context/i,
  /(?:prompt|input|request) (?:is )?too (?:long|large)/i,
  /too many (?:input )?tokens/i,
  /exceeds? the (?:available|model'?s) .{0,20}tokens/i,
  /token count.{0,40}exceeds the maximum/i,
  /tokens? \+ .{0,40}must be <=/i,
  /reduce the length of (?:the |your )?(?:messages|prompt|input)/i,
  /longer than the maximum model length/i,
];

const transportCause = (thrown: unknown): string => {
  const code = codeOf(thrown);
  const known = causes.get(code);
  if (known !== undefined) return known;
  if (/CERT|TLS|SSL|SELF_SIGNED|VERIFY|ISSUER/.test(code)) return "tls";
  return code.startsWith("HPE_") ? "protocol_error" : "connection_lost";
};

const causes: ReadonlyMap<string, string> = new Map([
  ["ECONNREFUSED", "connect_refused"],
  ["ENOTFOUND", "dns"],
  ["EAI_AGAIN", "dns"],
  ["EHOSTUNREACH", "unreachable"],
  ["ENETUNREACH", "unreachable"],
  ["EACCES", "unreachable"],
  ["ETIMEDOUT", "connect_timeout"],
  ["UND_ERR_CONNECT_TIMEOUT", "connect_timeout"],
  ["MLXD_POOL_TIMEOUT", "pool_timeout"],
  ["MLXD_WRITE_TIMEOUT", "write_timeout"],
  ["UND_ERR_HEADERS_TIMEOUT", "read_timeout"],
  ["UND_ERR_BODY_TIMEOUT", "read_timeout"],
  ["UND_ERR_HEADERS_OVERFLOW", "protocol_error"],
  ["UND_ERR_RES_CONTENT_LENGTH_MISMATCH", "connection_lost"],
]);

const codeOf = (thrown: unknown): string => {
  if (!(thrown instanceof Error)) return "";
  return "code" in thrown && typeof thrown.code === "string" ? thrown.code : codeOf(thrown.cause);
};

/** The HTTP status that an error within a stream names. */
const statusIn = (body: string): number | undefined => {
  const error = member(parsed(body), "error");
  const status = [member(error, "code"), member(error, "status"), member(error, "status_code")].find(
    (value) => Number.isInteger(value) && Number(value) >= 400 && Number(value) < 600,
  );
  if (typeof status === "number") return status;
  const type = member(error, "type");
  return typeof type === "string" ? statusOfTypes.get(type) : undefined;
};

/** Anthropic's names of errors within a stream: https://docs.anthropic.com/en/api/errors */
const statusOfTypes: ReadonlyMap<string, number> = new Map([
  ["invalid_request_error", 400],
  ["authentication_error", 401],
  ["permission_error", 403],
  ["not_found_error", 404],
  ["request_too_large", 413],
  ["rate_limit_error", 429],
  ["api_error", 500],
  ["timeout_error", 504],
  ["overloaded_error", 529],
]);

const member = (value: unknown, name: string): unknown =>
  typeof value === "object" && value !== null ? (value as Readonly<Record<string, unknown>>)[name] : undefined;

/** The server's description of an error: shortened, on one line, and without the key. */
const wordsOf = (body: string, backend: Pick<BackendSettings, "apiKey">): string => {
  const line = withoutKey(saidIn(body), backend)
    .replaceAll(/[\s\p{Cc}]+/gu, " ")
    .trim();
  const points = [...line.toWellFormed()];
  if (points.length === 0) return "it gives no reason";
  return points.length > mostWords ? `${points.slice(0, mostWords).join("")}…` : line;
};

const mostWords = 200;

const saidIn = (body: string): string => {
  const value = parsed(body);
  const error = member(value, "error");
  const found = [member(error, "message"), error, member(value, "message"), member(value, "detail")].find(
    (said) => typeof said === "string" && said !== "",
  );
  return typeof found === "string" ? found : body;
};

/** Undefined if the text is not JSON. */
const parsed = (text: string): unknown => {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
};
