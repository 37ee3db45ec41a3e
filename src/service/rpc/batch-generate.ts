/** Several tasks in one call: the result or status of each as it finishes, then a summary. */
import { create } from "@bufbuild/protobuf";
import { Cause, Effect, Result, Stream } from "effect";

import {
  type BatchGenerateRequest,
  type BatchGenerateResponse,
  BatchGenerateResponseSchema,
  type BatchItem,
} from "../../client/gen/mlxd/v1/generation_service_pb.ts";
import type { Access } from "../access/Access.ts";
import { failureFrom } from "../calls/failure.ts";
import { CurrentCall } from "../domain/Call.ts";
import type { InvalidField, QuotaExceeded, ServiceError } from "../domain/errors.ts";
import type { Models } from "../models/Models.ts";
import type { Generations } from "../pipeline/Generations.ts";
import { runBatch } from "../pipeline/run-batch.ts";
import { durationFromMs } from "./duration.ts";
import { statusFrom, wireErrorFromFailure } from "./error-to-wire.ts";
import { resultToWire } from "./generation-to-wire.ts";
import { invalidField } from "./invalid-field.ts";
import { taskOfItem } from "./task-of-item.ts";

interface Services {
  readonly generations: Generations["Service"];
  readonly models: Models["Service"];
  readonly allowanceOf: Access["Service"]["allowanceOf"];
}

/**
 * An invalid task fails only its item; the batch itself was validated before. Each item counts as a request of its
 * caller, and no more of them run at once than the calls that its tenant may make at once.
 */
export const batchGenerate = (
  services: Services,
  request: BatchGenerateRequest,
): Stream.Stream<BatchGenerateResponse, QuotaExceeded | InvalidField> =>
  Stream.unwrap(
    Effect.gen(function* () {
      yield* Effect.fromResult(checkIds(request.items));
      const { caller } = yield* CurrentCall;
      const allowance = services.allowanceOf(caller);
      // The call itself has counted as one.
      yield* Effect.fromResult(allowance.count(request.items.length - 1));
      return answersOf(services, request, allowance.callsAtOnce);
    }),
  );

/** An item without an id has its index, which may be the id that another one was given. */
const checkIds = (items: ReadonlyArray<BatchItem>): Result.Result<void, InvalidField> => {
  const index = items.findIndex(({ itemId }, at) => {
    const other = items[Number(itemId)];
    return itemId !== "" && itemId !== String(at) && other?.itemId === "" && itemId === String(Number(itemId));
  });
  const id = items[index]?.itemId;
  return id === undefined
    ? Result.void
    : Result.fail(
        invalidField(`items[${index}].item_id`, `"${id}" is the id of items[${id}], which is given none of its own`),
      );
};

const answersOf = (
  services: Services,
  { items, parallel, maxParallel, groupByModel }: BatchGenerateRequest,
  callsAtOnce: number,
): Stream.Stream<BatchGenerateResponse> => {
  const tasks = items.map((item) => ({ model: item.task?.model ?? "", task: taskOfItem(item, services.models) }));
  const atOnce = parallel ? Math.min(callsAtOnce, maxParallel === 0 ? items.length : maxParallel) : 1;
  return Stream.mapEffect(runBatch(services, tasks, { atOnce, groupByModel }), (event) => {
    if (event.type === "summary") {
      const { type: _, totalMs, ...counts } = event;
      const value = {
        ...counts,
        successRate: counts.succeeded / counts.total,
        totalTime: durationFromMs(totalMs),
        averageTime: durationFromMs(totalMs / counts.total),
      };
      return Effect.succeed(create(BatchGenerateResponseSchema, { event: { case: "summary", value } }));
    }
    const { index, outcome } = event;
    const item = items[index];
    const told = {
      itemId: item?.itemId || String(index),
      index,
      model: event.model,
      task: item?.task?.input.case ?? "",
      processingTime: durationFromMs(event.processingMs),
    };
    if (Result.isSuccess(outcome)) {
      const { result, task } = outcome.success;
      const value = resultToWire(result, task.output);
      return Effect.succeed(itemToWire({ ...told, outcome: { case: "result", value } }));
    }
    const cause = outcome.failure;
    return Effect.gen(function* () {
      const { requestId } = yield* CurrentCall;
      if (Cause.hasDies(cause)) yield* logDefect(cause, requestId, index);
      const value = statusFrom(wireErrorFromFailure(failureFrom(cause, { requestId })));
      return itemToWire({ ...told, outcome: { case: "error", value } });
    });
  });
};

const logDefect = (cause: Cause.Cause<ServiceError>, requestId: string, index: number) =>
  Effect.logError("an item of a batch failed because of a bug", cause).pipe(Effect.annotateLogs({ requestId, index }));

type ItemInit = Extract<
  NonNullable<Parameters<typeof create<typeof BatchGenerateResponseSchema>>[1]>["event"],
  { case: "item" }
>["value"];

const itemToWire = (value: ItemInit): BatchGenerateResponse =>
  create(BatchGenerateResponseSchema, { event: { case: "item", value } });
