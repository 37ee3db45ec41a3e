import { checkChoice, checkList, checkObject, checkText, checkWhole, show } from "../check.ts";
import type { MlxdClient } from "../client.ts";
import { DerivedStream } from "../derived-stream.ts";
import { invalidField, MlxdError } from "../errors.ts";
import { assistantMessage, type ChatInput, type ChatMessage, type Tool, type ToolChoice } from "../messages.ts";
import type { GenerationResult } from "../results.ts";
import { normalizeTimeoutMs } from "../timeouts.ts";
import { addUsage } from "../usage.ts";
import { answerCalls, type Callable } from "./answer-calls.ts";
import { readSchema } from "../objects/object-schema.ts";
import type { ToolRun, ToolRunEvent, ToolRunInput, ToolRunOptions, ToolRunResult } from "./run.ts";
import type { RunnableTool } from "./tool.ts";

/** `client.runTools`, which uses the given `stream`. */
export const createToolCalls = (client: Pick<MlxdClient, "stream">): Pick<MlxdClient, "runTools"> => ({
  runTools: (tools, input, options = {}) => {
    const run = checkRun(tools, input, options);
    client.stream(firstInput(run), run.parameters); // makes no call yet, but refuses invalid arguments now
    return new DerivedStream((signal) => runRounds(client, run, signal), options.signal) satisfies ToolRun;
  },
});

const runRounds = async function* (
  client: Pick<MlxdClient, "stream">,
  run: CheckedRun,
  signal: AbortSignal,
): AsyncGenerator<ToolRunEvent, ToolRunResult, undefined> {
  const messages = [...run.messages];
  const deadline = performance.now() + (run.timeoutMs ?? Number.POSITIVE_INFINITY);
  let totalUsage: ToolRunResult["totalUsage"] | undefined;
  for (let round = 1; ; round++) {
    const result = yield* oneRound(client, run, messages, round, { signal, deadline });
    totalUsage = addUsage(totalUsage, result.usage);
    messages.push(assistantMessage(result));
    if (result.toolCalls.length === 0) return { ...result, messages, rounds: round, totalUsage };
    if (round === run.maxRounds) throw tooManyRounds(round, result);
    const limits = { ...run, signal, deadline };
    for await (const step of answerCalls(run.callables, result.toolCalls, limits)) {
      yield { ...step, round };
      if (step.type === "tool_result") messages.push(toolResultMessage(step));
    }
  }
};

const oneRound = async function* (
  client: Pick<MlxdClient, "stream">,
  run: CheckedRun,
  messages: readonly ChatMessage[],
  round: number,
  { signal, deadline }: { readonly signal: AbortSignal; readonly deadline: number },
): AsyncGenerator<ToolRunEvent, GenerationResult, undefined> {
  const timeoutMs =
    deadline === Number.POSITIVE_INFINITY ? {} : { timeoutMs: Math.max(1, deadline - performance.now()) };
  const input = { ...run.input, messages, tools: run.tools, ...(round === 1 && run.firstChoice) };
  const stream = client.stream(input, { ...run.parameters, ...timeoutMs, signal });
  for await (const event of stream) yield { ...event, round };
  return stream.collect();
};

const toolResultMessage = ({
  call,
  content,
}: {
  call: { id: string; name: string };
  content: string;
}): ChatMessage => ({
  role: "tool",
  toolCallId: call.id,
  name: call.name,
  content,
});

/** The checked arguments. */
interface CheckedRun {
  readonly messages: readonly ChatMessage[];
  readonly input: Omit<ChatInput, "messages" | "tools" | "toolChoice">;
  readonly tools: readonly Tool[];
  readonly firstChoice: { readonly toolChoice: ToolChoice } | undefined;
  readonly callables: ReadonlyMap<string, Callable>;
  /** Parameters of the generations; without the signal and the timeout, which apply to the run. */
  readonly parameters: Omit<ToolRunOptions, "signal" | "timeoutMs">;
  readonly timeoutMs: number | undefined;
  readonly maxRounds: number;
  readonly maxParallelCalls: number;
  readonly toolTimeoutMs: number | undefined;
  readonly onToolError: "tell" | "throw";
}

/** Options of a generation that a run does not have. */
const decided = ["candidateCount", "constraint", "verbatim"] as const;

const checkRun = (tools: readonly RunnableTool[], input: ToolRunInput, options: ToolRunOptions): CheckedRun => {
  const { toolChoice, maxRounds = 8, maxParallelCalls = 4, toolTimeoutMs = 60_000, ...others } = options;
  const { onToolError = "tell", signal: _, timeoutMs, ...parameters } = others;
  const given = parameters as Readonly<Record<string, unknown>>;
  const extra = decided.find((name) => given[name] !== undefined);
  if (extra !== undefined) throw invalidField(extra, "there is no such option for a run of tools");
  const { messages, ...chat } =
    typeof input === "string" ? { messages: [{ role: "user", content: input } as const] } : checkInput(input);
  const callables = checkTools(tools);
  return {
    messages: checkList(messages, "messages") as readonly ChatMessage[], // each is checked where it is sent
    input: chat,
    tools: [...callables.values()].map(({ tool }) => tool),
    firstChoice: toolChoice === undefined ? undefined : { toolChoice },
    callables,
    parameters,
    timeoutMs: normalizeTimeoutMs(timeoutMs),
    maxRounds: checkWhole(maxRounds, "maxRounds", 1, 100),
    maxParallelCalls: checkWhole(maxParallelCalls, "maxParallelCalls", 1),
    toolTimeoutMs: normalizeTimeoutMs(toolTimeoutMs),
    onToolError: checkChoice(onToolError, "onToolError", ["tell", "throw"]),
  };
};

const checkInput = (input: unknown): Pick<ChatInput, "messages" | "templateOptions"> => {
  const { tools, toolChoice, ...chat } = checkObject(input, "input");
  if (tools !== undefined) throw invalidField("tools", "pass the tools of a run as its first argument");
  if (toolChoice !== undefined) throw invalidField("toolChoice", "pass it as an option of the run");
  return chat as unknown as ChatInput; // checked where it is sent
};

const firstInput = ({ messages, input, tools, firstChoice }: CheckedRun): ChatInput => ({
  ...input,
  messages,
  tools,
  ...firstChoice,
});

const checkTools = (tools: readonly RunnableTool[]): ReadonlyMap<string, Callable> => {
  const callables = new Map<string, Callable>();
  checkList(tools, "tools").forEach((given, index) => {
    const place = `tools[${index}]`;
    const { name, description, parameters, run } = checkObject(given, place);
    const checkedName = checkText(name, `${place}.name`);
    if (callables.has(checkedName)) throw invalidField(`${place}.name`, `${show(name)} occurs twice`);
    if (typeof run !== "function") throw invalidField(`${place}.run`, `${show(run)} is not a function`);
    const schema = readSchema(parameters ?? { type: "object" }, `${place}.parameters`);
    callables.set(checkedName, {
      tool: {
        name: checkedName,
        ...(description !== undefined && { description: checkText(description, `${place}.description`) }),
        parameters: schema.jsonSchema,
      },
      validate: schema.validate,
      run: run as Callable["run"],
    });
  });
  return callables;
};

const tooManyRounds = (rounds: number, { generationId, usage, text }: GenerationResult): MlxdError =>
  new MlxdError({
    code: "RESOURCE_EXHAUSTED",
    reason: "TOO_MANY_ROUNDS",
    message: `the model called tools in each of its ${rounds} answers, which is the limit maxRounds`,
    metadata: { maxRounds: String(rounds) },
    progress: { generationId, usage, lastSequence: undefined, text },
  });
