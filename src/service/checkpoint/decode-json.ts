import { Result, Schema } from "effect";

import { CheckpointInvalid, parseJson } from "./checkpoint-files.ts";

/**
 * Decodes a checkpoint's JSON file by a schema.
 *
 * @param content undefined counts as an empty object, for files that may be missing
 */
export const decodeJson = <A>(file: string, content: Buffer | undefined, schema: Schema.ConstraintDecoder<A>): A => {
  const decoded = Schema.decodeUnknownResult(schema)(parseJson(file, content));
  if (Result.isSuccess(decoded)) return decoded.success;
  throw new CheckpointInvalid(file, `is not as expected: ${decoded.failure.message.replaceAll(/\s+/g, " ")}`);
};

export const JsonObject = Schema.Record(Schema.String, Schema.Unknown);
