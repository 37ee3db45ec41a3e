import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { checkMs, checkObject, checkText, checkWhole, show } from "../check.ts";
import { invalidField } from "../errors.ts";
import type { JobOptionsSchema } from "../gen/mlxd/v1/job_service_pb.ts";
import { GenerationTaskSchema } from "../gen/mlxd/v1/types_pb.ts";
import type { GenerationParameters } from "../parameters.ts";
import { setParameters } from "../set-parameters.ts";
import type { JobOptions } from "./jobs.ts";

/**
 * How the job is run, as the API has it.
 *
 * @param place where the options are in the arguments of the caller, e.g. `job`; empty if they are the arguments
 */
export const jobOptionsToWire = (
  options: JobOptions,
  defaults: GenerationParameters | undefined,
  place = "",
): MessageInitShape<typeof JobOptionsSchema> => {
  const { priority, labels, expiresAfterMs, maxParallel, maxAttempts, retentionMs } = options;
  const at = (name: string) => (place === "" ? name : `${place}.${name}`);
  return {
    ...(defaults !== undefined && { defaults: defaultsTask(defaults) }),
    ...(priority !== undefined && { priority: checkPriority(priority, at("priority")) }),
    ...(labels !== undefined && { labels: labelsOf(labels, at("labels")) }),
    ...(expiresAfterMs !== undefined && {
      expiresAfter: durationFromMs(checkMs(expiresAfterMs, at("expiresAfterMs"))),
    }),
    ...(maxParallel !== undefined && { maxParallel: checkWhole(maxParallel, at("maxParallel")) }),
    ...(maxAttempts !== undefined && { maxAttempts: checkWhole(maxAttempts, at("maxAttempts")) }),
    ...(retentionMs !== undefined && { retention: durationFromMs(checkMs(retentionMs, at("retentionMs"))) }),
  };
};

const defaultsTask = (defaults: GenerationParameters) => {
  const task = create(GenerationTaskSchema);
  setParameters(task, checkObject(defaults, "defaults"), "defaults");
  return task;
};

const checkPriority = (value: unknown, name: string): number => {
  if (typeof value === "number" && Number.isInteger(value) && Math.abs(value) <= 2 ** 31 - 1) return value;
  throw invalidField(name, `${show(value)} is not a whole number`);
};

/** Labels, each checked. */
export const labelsOf = (labels: unknown, name = "labels"): Record<string, string> =>
  Object.fromEntries(
    Object.entries(checkObject(labels, name)).map(([key, value]) => [
      checkText(key, name),
      checkText(value, `${name}.${key}`),
    ]),
  );
