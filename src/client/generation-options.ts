import type { CallOptions } from "./call.ts";
import type { GenerationParameters } from "./parameters.ts";

/** Parameters of a generation and options of its call. */
export interface GenerationOptions extends GenerationParameters, CallOptions {}
