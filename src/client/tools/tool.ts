import type { Json, JsonSchema, Tool, ToolChoice } from "../messages.ts";
import type { InferOutput, StandardJsonSchema } from "../objects/standard-schema.ts";
import type { ToolCall } from "../results.ts";

/** The call that a tool answers. */
export interface ToolContext {
  /** The call, with its id. */
  readonly call: ToolCall;
  /** Aborted when nobody waits for the result any longer: the run was left or cancelled, or the tool's timeout has passed. */
  readonly signal: AbortSignal;
}

/** The result of a tool: a string, or a value that is converted to JSON; undefined counts as null. */
export type ToolOutput = Json | undefined | void;

/** A function that the model may call and that the client runs. Made by {@link defineTool}. */
export interface RunnableTool extends Omit<Tool, "parameters"> {
  /** The schema of its arguments: a schema of a library, or a JSON Schema. */
  readonly parameters?: StandardJsonSchema | JsonSchema | undefined;
  /** Runs the tool, with arguments that match the schema. */
  readonly run: (args: never, context: ToolContext) => ToolOutput | Promise<ToolOutput>;
}

/** A tool whose arguments have the type of its schema. */
interface TypedTool<Schema extends StandardJsonSchema> extends RunnableTool {
  readonly parameters: Schema;
  readonly run: (args: InferOutput<Schema>, context: ToolContext) => ToolOutput | Promise<ToolOutput>;
}

/** A tool whose function declares the type of its arguments. */
interface PlainTool<Args> extends RunnableTool {
  readonly parameters?: JsonSchema | undefined;
  readonly run: (args: Args, context: ToolContext) => ToolOutput | Promise<ToolOutput>;
}

/** Defines a tool; the compiler checks its function against its schema. */
export function defineTool<Schema extends StandardJsonSchema>(tool: TypedTool<Schema>): TypedTool<Schema>;
/** Defines a tool with a JSON Schema; the caller declares the type of its arguments. */
export function defineTool<Args>(tool: PlainTool<Args>): PlainTool<Args>;
export function defineTool(tool: RunnableTool): RunnableTool {
  return tool;
}

/** Limits of the model and its tools. */
export interface ToolRunLimits {
  /**
   * Whether a tool must be called in the first round, and which one; later rounds are "auto".
   * @default "auto"
   */
  readonly toolChoice?: ToolChoice | undefined;
  /**
   * Maximum number of answers of the model; 1 to 100. If the last one still calls tools, the run ends with `TOO_MANY_ROUNDS`.
   * @default 8
   */
  readonly maxRounds?: number | undefined;
  /**
   * Maximum number of tools that run at the same time.
   * @default 4
   */
  readonly maxParallelCalls?: number | undefined;
  /**
   * Timeout of each tool call, in milliseconds; 0 and Infinity mean none.
   * @default 60000
   */
  readonly toolTimeoutMs?: number | undefined;
  /**
   * What happens if a tool fails: "tell" sends the error's message to the model, "throw" ends the run with `TOOL_FAILED`.
   * @default "tell"
   */
  readonly onToolError?: "tell" | "throw" | undefined;
}
