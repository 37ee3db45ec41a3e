import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { checkMs, checkObject, checkText, checkWhole, show } from "../check.ts";
import { invalidField } from "../errors.ts";
import type { JobOptionsSchema } from "../gen/mlxd/v1/job_service_pb.ts";
import { GenerationTaskSchema } from "../gen/mlxd/v1/types_pb.ts";
import type { GenerationParameters } from "../parameters.ts";
import { setParameters } from "../set-parameters.ts";
import type { JobOptions } from "./jobs.ts";

/** How the job is run, as the API has it. */
export const jobOptionsToWire = (
  options: JobOptions,
  defaults: GenerationParameters | undefined,
): MessageInitShape<typeof JobOptionsSchema> => {
  const { priority, labels, expiresAfterMs, maxParallel, maxAttempts, retentionMs } = options;
  return {
    ...(defaults !== undefined && { defaults: defaultsTask(defaults) }),
    ...(priority !== undefined && { priority: checkPriority(priority) }),
    ...(labels !== undefined && { labels: labelsOf(labels) }),
    ...(expiresAfterMs !== undefined && { expiresAfter: durationFromMs(checkMs(expiresAfterMs, "expiresAfterMs")) }),
    ...(maxParallel !== undefined && { maxParallel: checkWhole(maxParallel, "maxParallel") }),
    ...(maxAttempts !== undefined && { maxAttempts: checkWhole(maxAttempts, "maxAttempts") }),
    ...(retentionMs !== undefined && { retention: durationFromMs(checkMs(retentionMs, "retentionMs")) }),
  };
};

const defaultsTask = (defaults: GenerationParameters) => {
  const task = create(GenerationTaskSchema);
  setParameters(task, checkObject(defaults, "defaults"), "defaults");
  return task;
};

const checkPriority = (value: unknown): number => {
  if (typeof value === "number" && Number.isInteger(value) && Math.abs(value) <= 2 ** 31 - 1) return value;
  throw invalidField("priority", `${show(value)} is no whole number`);
};

/** Labels, each checked. */
export const labelsOf = (labels: unknown): Record<string, string> =>
  Object.fromEntries(
    Object.entries(checkObject(labels, "labels")).map(([key, value]) => [
      checkText(key, "labels"),
      checkText(value, `labels.${key}`),
    ]),
  );
