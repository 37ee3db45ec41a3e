import type { GenerationOptions } from "../generation-options.ts";
import type { DerivedStream } from "../derived-stream.ts";
import type { GenerationResult } from "../results.ts";

/** Options of an object: those of a generation, except those that the schema determines. */
export type ObjectOptions = Omit<GenerationOptions, "constraint" | "candidateCount" | "echoPrompt" | "verbatim">;

/** An object, and the generation that wrote it. */
export interface ObjectResult<T> extends GenerationResult {
  /** The object, which matches its schema. */
  readonly object: T;
}

/** The part of an object that has arrived: members may be missing, arrays and strings may be shorter. */
export type PartialOf<T> = T extends readonly (infer Item)[]
  ? readonly PartialOf<Item>[]
  : T extends object
    ? { readonly [Key in keyof T]?: PartialOf<T[Key]> }
    : T;

/**
 * The stream of an object: the part that has arrived, each time that there is more. It has been neither validated nor converted
 * yet: where a schema converts, `Input` is the type before.
 */
export type ObjectStream<T, Input = T> = DerivedStream<PartialOf<Input>, ObjectResult<T>>;
