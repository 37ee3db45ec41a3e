import type { Json, JsonSchema, Tool, ToolChoice } from "../messages.ts";
import type { InferOutput, StandardJsonSchema } from "../objects/standard-schema.ts";
import type { ToolCall } from "../results.ts";

/** What a tool may know of the call that it answers. */
export interface ToolContext {
  /** The call, with its id. */
  readonly call: ToolCall;
  /** Fires when nobody waits for the result any more: the run was left or cancelled, or the tool's time is over. */
  readonly signal: AbortSignal;
}

/** What a tool returns: a text, or a value that is written as JSON; nothing is as good as null. */
export type ToolOutput = Json | undefined | void;

/** A function that the model may call and that the client runs. Made by {@link defineTool}. */
export interface RunnableTool extends Omit<Tool, "parameters"> {
  /** The schema of its arguments: of a schema library, or a JSON Schema. */
  readonly parameters?: StandardJsonSchema | JsonSchema | undefined;
  /** Runs it with arguments that fit the schema. */
  readonly run: (args: never, context: ToolContext) => ToolOutput | Promise<ToolOutput>;
}

/** A tool whose function gets what its schema accepts. */
interface TypedTool<Schema extends StandardJsonSchema> extends RunnableTool {
  readonly parameters: Schema;
  readonly run: (args: InferOutput<Schema>, context: ToolContext) => ToolOutput | Promise<ToolOutput>;
}

/** A tool whose function says itself what it gets. */
interface PlainTool<Args> extends RunnableTool {
  readonly parameters?: JsonSchema | undefined;
  readonly run: (args: Args, context: ToolContext) => ToolOutput | Promise<ToolOutput>;
}

/** Writes down a tool, so that its function is checked against its schema. */
export function defineTool<Schema extends StandardJsonSchema>(tool: TypedTool<Schema>): TypedTool<Schema>;
/** Writes down a tool with a JSON Schema; the type of its arguments is the caller's word. */
export function defineTool<Args>(tool: PlainTool<Args>): PlainTool<Args>;
export function defineTool(tool: RunnableTool): RunnableTool {
  return tool;
}

/** How far the model and its tools may go. */
export interface ToolRunLimits {
  /**
   * Whether and which tool is to be called in the first round; later ones are "auto".
   * @default "auto"
   */
  readonly toolChoice?: ToolChoice | undefined;
  /**
   * Answers of the model at most; 1 to 100. One that still calls tools in the last of them ends with `TOO_MANY_ROUNDS`.
   * @default 8
   */
  readonly maxRounds?: number | undefined;
  /**
   * Tools that run at once, at most.
   * @default 4
   */
  readonly maxParallelCalls?: number | undefined;
  /**
   * Time for each run of a tool, in milliseconds; 0 and Infinity mean none.
   * @default 60000
   */
  readonly toolTimeoutMs?: number | undefined;
  /**
   * What a failing tool does: the model is told the error's message and goes on, or the run ends with `TOOL_FAILED`.
   * @default "tell"
   */
  readonly onToolError?: "tell" | "throw" | undefined;
}
