import { checkJson } from "../check.ts";
import { decodeError } from "../decode-error.ts";
import { MlxdError } from "../errors.ts";
import type { Tool } from "../messages.ts";
import type { ObjectSchema } from "../objects/object-schema.ts";
import type { ToolCall } from "../results.ts";
import type { ToolCallEvent, ToolResultEvent } from "./run.ts";
import type { ToolContext } from "./tool.ts";

/** A tool that can be called. */
export interface Callable {
  readonly tool: Tool;
  readonly validate: ObjectSchema<unknown>["validate"];
  readonly run: (args: unknown, context: ToolContext) => unknown;
}

/** How calls are answered. */
interface Limits {
  readonly maxParallelCalls: number;
  readonly toolTimeoutMs: number | undefined;
  readonly onToolError: "tell" | "throw";
  /** Aborted when the run ends. */
  readonly signal: AbortSignal;
  /** The end of its time, in milliseconds of `performance.now()`. */
  readonly deadline: number;
}

type Step = Omit<ToolCallEvent, "round"> | Omit<ToolResultEvent, "round">;

/**
 * Runs the tool calls of one answer, several at once. Yields an event when each call begins, and its result in the order of the
 * calls. If a call fails and failures end the run, the signals of the others are aborted.
 */
export const answerCalls = async function* (
  callables: ReadonlyMap<string, Callable>,
  calls: readonly ToolCall[],
  limits: Limits,
): AsyncGenerator<Step, void, undefined> {
  const controller = new AbortController();
  const stop = () => controller.abort(limits.signal.reason);
  limits.signal.addEventListener("abort", stop, { once: true });
  if (limits.signal.aborted) stop();
  const running: Promise<Answer>[] = [];
  try {
    for (const [index, call] of calls.entries()) {
      // Starts calls up to the limit, counted from the first one whose result has not been yielded.
      for (; running.length < Math.min(calls.length, index + limits.maxParallelCalls);) {
        const next = calls[running.length] as ToolCall; // below calls.length
        const answer = answerCall(callables.get(next.name), next, controller.signal, limits);
        answer.catch(() => {}); // awaited below, in order
        running.push(answer);
        yield { type: "tool_call", call: next };
      }
      const answer = await (running[index] as Promise<Answer>); // started by the loop above
      if (answer.error && limits.onToolError === "throw") throw answer.error;
      yield { type: "tool_result", call, ...answer };
    }
  } finally {
    limits.signal.removeEventListener("abort", stop);
    controller.abort();
  }
};

interface Answer {
  readonly content: string;
  readonly error: MlxdError | undefined;
}

/** Rejects only if the run itself has ended. */
const answerCall = async (
  callable: Callable | undefined,
  call: ToolCall,
  runSignal: AbortSignal,
  { toolTimeoutMs, deadline }: Limits,
): Promise<Answer> => {
  const controller = new AbortController();
  const time = timeOf(toolTimeoutMs, deadline);
  const result = deferred<never>();
  const stop = () => result.reject(decodeError(undefined, { cancelled: { reason: runSignal.reason } }));
  const expire = () =>
    result.reject(
      time.isRun
        ? new MlxdError({ code: "DEADLINE_EXCEEDED", reason: "DEADLINE", message: "the run exceeded its timeout" })
        : toolFailed(call, `it took longer than ${time.ms} ms`),
    );
  runSignal.addEventListener("abort", stop, { once: true });
  const timer = time.ms === undefined ? undefined : setTimeout(expire, time.ms);
  if (runSignal.aborted) stop();
  try {
    return await Promise.race([result.promise, runCall(callable, call, controller.signal)]);
  } catch (error) {
    if (runSignal.aborted || (error instanceof MlxdError && error.reason === "DEADLINE" && time.isRun)) throw error;
    const failed =
      error instanceof MlxdError && error.reason === "TOOL_FAILED" ? error : toolFailed(call, reasonOf(error), error);
    return { content: `Error: ${String(failed.metadata["problem"])}`, error: failed };
  } finally {
    clearTimeout(timer);
    runSignal.removeEventListener("abort", stop);
    controller.abort(); // nobody waits for the tool any longer
  }
};

const timeOf = (toolTimeoutMs: number | undefined, deadline: number) => {
  const leftMs = deadline - performance.now();
  const isRun = leftMs < (toolTimeoutMs ?? Number.POSITIVE_INFINITY);
  return { ms: isRun ? Math.max(0, leftMs) : toolTimeoutMs, isRun };
};

const runCall = async (callable: Callable | undefined, call: ToolCall, signal: AbortSignal): Promise<Answer> => {
  if (callable === undefined) throw toolFailed(call, `there is no tool ${call.name}`);
  const { value, issues } = await callable.validate(parseArguments(call));
  if (issues !== undefined) {
    const problems = issues.map(({ path, description }) => (path === "" ? description : `${path}: ${description}`));
    throw toolFailed(call, `the arguments do not match the schema: ${problems.join("; ")}`);
  }
  return { content: written(await callable.run(value, { call, signal })), error: undefined };
};

const parseArguments = (call: ToolCall): unknown => {
  try {
    return call.arguments === "" ? {} : (JSON.parse(call.arguments) as unknown);
  } catch {
    throw toolFailed(call, "the arguments are not valid JSON");
  }
};

/** The result of a tool as the model gets it. */
const written = (result: unknown): string =>
  typeof result === "string" ? result : JSON.stringify(checkJson(result ?? null, "result"));

const toolFailed = (call: ToolCall, problem: string, cause?: unknown): MlxdError =>
  new MlxdError({
    code: "ABORTED",
    reason: "TOOL_FAILED",
    message: `the tool ${call.name} failed: ${problem}`,
    metadata: { tool: call.name, callId: call.id, problem },
    cause,
  });

const reasonOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

const deferred = <T>() => {
  let reject: (error: Error) => void = () => {};
  const promise = new Promise<T>((_, rejects) => {
    reject = rejects;
  });
  promise.catch(() => {}); // raced where it matters
  return { promise, reject };
};
