import { Schema } from "effect";

import { UsageSchema } from "../usage.ts";

export const ProgressSchema = Schema.Struct({
  generationId: Schema.String,
  usage: UsageSchema,
});
/** How far a generation had come when it failed. */
export type Progress = typeof ProgressSchema.Type;
