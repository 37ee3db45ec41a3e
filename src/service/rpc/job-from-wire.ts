/** Converts requests about jobs to the service's own terms. */
import { createHash } from "node:crypto";
import { clone, fromBinary, isFieldSet, toBinary } from "@bufbuild/protobuf";
import { Effect, Result, Schema } from "effect";

import type { BatchItem } from "../../client/gen/mlxd/v1/generation_service_pb.ts";
import type {
  CreateJobRequest,
  JobOptions as WireOptions,
  JobState as Wire,
} from "../../client/gen/mlxd/v1/job_service_pb.ts";
import { type GenerationTask, GenerationTaskSchema } from "../../client/gen/mlxd/v1/types_pb.ts";
import { InvalidField } from "../domain/errors.ts";
import { defaultJobOptions, type JobOptions, type JobState, jobStates } from "../domain/job.ts";
import type { AskedItem, AskedJob } from "../jobs/Jobs.ts";
import type { Models } from "../models/Models.ts";
import { violationsIn } from "../wire/validate.ts";
import { msFromDuration } from "./duration.ts";
import { invalidField } from "./invalid-field.ts";
import { jobStatesToWire } from "./job-to-wire.ts";
import { taskOfItem } from "./task-of-item.ts";

export const jobFromWire = (
  { requestId, items, open, options }: CreateJobRequest,
  models: Models["Service"],
): Effect.Effect<AskedJob, InvalidField> =>
  Effect.gen(function* () {
    if (items.length === 0 && !open) {
      const description = "0 items are too few; give 1 at least, or set open and append them";
      return yield* invalidField("items", description);
    }
    yield* assertText("request_id", requestId);
    for (const [key, value] of Object.entries(options?.labels ?? {})) yield* assertText("options.labels", key + value);
    const defaults = yield* defaultsFrom(options?.defaults);
    return {
      requestId,
      sealed: !open,
      options: yield* Effect.fromResult(optionsFromWire(options)),
      defaults: defaults === undefined ? "" : toBase64(defaults),
      items: yield* itemsFromWire(items, models, defaults),
    };
  });

/** Converts each item to its task, or to its violations. */
export const itemsFromWire = (
  items: ReadonlyArray<BatchItem>,
  models: Models["Service"],
  defaults?: GenerationTask,
): Effect.Effect<ReadonlyArray<AskedItem>, InvalidField> =>
  Effect.forEach(items, (item, index) =>
    Effect.gen(function* () {
      yield* assertText(`items[${index}].item_id`, item.itemId);
      if (defaults !== undefined && item.task !== undefined) fillIn(item.task, defaults);
      // Converting many items takes a while, so other calls get a turn in between.
      if (index % itemsPerTurn === itemsPerTurn - 1) yield* Effect.yieldNow;
      const task = yield* Effect.result(taskOfItem(item, models));
      return { itemId: item.itemId, task: Result.isSuccess(task) ? task.success : task.failure };
    }),
  );

const itemsPerTurn = 100;

const toBase64 = (defaults: GenerationTask): string =>
  Buffer.from(toBinary(GenerationTaskSchema, defaults)).toString("base64");

/** Reads the defaults as a job has stored them. */
export const defaultsFromStored = (text: string): GenerationTask | undefined =>
  text === "" ? undefined : fromBinary(GenerationTaskSchema, Buffer.from(text, "base64"));

/** The character NUL, which databases cannot store in a text. */
const assertText = (field: string, text: string): Effect.Effect<void, InvalidField> =>
  text.includes("\0") ? Effect.fail(invalidField(field, "the character NUL is not allowed in it")) : Effect.void;

const defaultsFrom = (defaults: GenerationTask | undefined): Effect.Effect<GenerationTask | undefined, InvalidField> =>
  Effect.gen(function* () {
    if (defaults === undefined) return undefined;
    if (defaults.input.case !== undefined) {
      return yield* invalidField("options.defaults", "an input belongs to an item; leave it out here");
    }
    // Validated by the rules of a task, which require an input.
    const whole = clone(GenerationTaskSchema, defaults);
    whole.input = { case: "prompt", value: "any" };
    const violations = violationsIn(GenerationTaskSchema, whole);
    if (violations.length > 0) {
      return yield* new InvalidField({
        violations: violations.map(({ field, description }) => ({ field: `options.defaults.${field}`, description })),
      });
    }
    return defaults;
  });

/** Takes fields that the task does not set from the defaults. */
const fillIn = (task: GenerationTask, defaults: GenerationTask): void => {
  for (const field of GenerationTaskSchema.fields) {
    if (field.oneof !== undefined && field.oneof.name === "input") continue;
    if (!isFieldSet(task, field) && isFieldSet(defaults, field)) {
      Object.assign(task, { [field.localName]: defaults[field.localName as keyof GenerationTask] });
    }
  }
};

const optionsFromWire = (options: WireOptions | undefined): Result.Result<JobOptions, InvalidField> =>
  Result.gen(function* () {
    const ms = (field: string, duration: Parameters<typeof msFromDuration>[1] | undefined, fallback: number) =>
      duration === undefined ? Result.succeed(fallback) : msFromDuration(`options.${field}`, duration);
    const { expiresAfterMs, retentionMs } = defaultJobOptions;
    return {
      priority: options?.priority ?? defaultJobOptions.priority,
      labels: options?.labels ?? {},
      expiresAfterMs: yield* ms("expires_after", options?.expiresAfter, expiresAfterMs),
      maxParallel: options?.maxParallel ?? defaultJobOptions.maxParallel,
      maxAttempts: options?.maxAttempts ?? defaultJobOptions.maxAttempts,
      retentionMs: yield* ms("retention", options?.retention, retentionMs),
    };
  });

export const jobStatesFromWire = (states: ReadonlyArray<Wire>): ReadonlyArray<JobState> =>
  jobStates.filter((state) => states.includes(jobStatesToWire[state]));

const defaultPageSize = 100;
const maxPageSize = 1000;

/** 0 for the default; more than the maximum counts as the maximum, as in https://google.aip.dev/158. */
export const pageSizeOf = (asked: number): number => Math.min(asked || defaultPageSize, maxPageSize);

const Token = Schema.fromJsonString(
  Schema.Struct({ next: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 2 ** 53 - 1 })), of: Schema.String }),
);
const decodeToken = Schema.decodeUnknownResult(Token);

/** A list in a few characters: filters may be longer than a token. */
const digestOf = (list: string): string => createHash("sha256").update(list).digest("base64url").slice(0, 22);

/** @param of identifies the list that is paged: a token of another list is refused */
export const pageToken = (next: number | undefined, of: string): string =>
  next === undefined ? "" : Buffer.from(JSON.stringify({ next, of: digestOf(of) })).toString("base64url");

export const pageStart = (token: string, of: string): Effect.Effect<number | undefined, InvalidField> => {
  if (token === "") return Effect.undefined;
  const read = decodeToken(Buffer.from(token, "base64url").toString());
  if (Result.isSuccess(read) && read.success.of === digestOf(of)) return Effect.succeed(read.success.next);
  const description = "it is no token of this call with these filters; leave it out for the first page";
  return Effect.fail(invalidField("page_token", description));
};
