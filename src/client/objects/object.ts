import type { GenerationOptions } from "../generation-options.ts";
import type { DerivedStream } from "../derived-stream.ts";
import type { GenerationResult } from "../results.ts";

/** Parameters and options of an object: those of a generation, apart from what its schema decides. */
export type ObjectOptions = Omit<GenerationOptions, "constraint" | "candidateCount" | "echoPrompt" | "verbatim">;

/** An object and the generation that it came from. */
export interface ObjectResult<T> extends GenerationResult {
  /** It fits its schema. */
  readonly object: T;
}

/** An object as far as it has come: members may be missing, lists and texts may be shorter. */
export type PartialOf<T> = T extends readonly (infer Item)[]
  ? readonly PartialOf<Item>[]
  : T extends object
    ? { readonly [Key in keyof T]?: PartialOf<T[Key]> }
    : T;

/** An object as it comes: what of it is there, each time that there is more. Nothing of it has been validated yet. */
export type ObjectStream<T> = DerivedStream<PartialOf<T>, ObjectResult<T>>;
