/** The schema of the section `backends` of mlxd.yaml. */
import { Schema } from "effect";

const wholeNumber = (minimum: number, maximum: number) => Schema.Int.check(Schema.isBetween({ minimum, maximum }));
const text = (maximum: number) => Schema.String.check(Schema.isMinLength(1), Schema.isMaxLength(maximum));

const Backend = Schema.Struct({
  engine: text(64),
  base_url: Schema.optionalKey(text(2048)),
  api_key_variable: Schema.optionalKey(text(128)),
  api_key_file: Schema.optionalKey(text(4096)),
  permits: Schema.optionalKey(wholeNumber(1, 1024)),
  connect_timeout_ms: Schema.optionalKey(wholeNumber(10, 600_000)),
  read_timeout_ms: Schema.optionalKey(wholeNumber(10, 3_600_000)),
  write_timeout_ms: Schema.optionalKey(wholeNumber(10, 600_000)),
  pool_timeout_ms: Schema.optionalKey(wholeNumber(10, 600_000)),
  probe_interval_ms: Schema.optionalKey(wholeNumber(100, 3_600_000)),
  managed: Schema.optionalKey(Schema.Boolean),
  command: Schema.optionalKey(Schema.NonEmptyArray(text(4096)).check(Schema.isMaxLength(256))),
  environment: Schema.optionalKey(Schema.Record(Schema.String, Schema.String.check(Schema.isMaxLength(32_768)))),
  directory: Schema.optionalKey(text(4096)),
  start_timeout_ms: Schema.optionalKey(wholeNumber(1000, 86_400_000)),
});

export const BackendsSchema = Schema.Record(Schema.String, Backend);
export type BackendDeclarations = typeof BackendsSchema.Type;
