/** The task of an item, or its violations. */
import { Effect } from "effect";

import { type BatchItem, BatchItemSchema } from "../../client/gen/mlxd/v1/generation_service_pb.ts";
import { InvalidField, type ServiceError } from "../domain/errors.ts";
import type { GenerationTask } from "../domain/generation-task.ts";
import type { Models } from "../models/Models.ts";
import { violationsIn } from "../wire/validate.ts";
import { inOnePiece } from "./in-one-piece.ts";
import { namingModel } from "./naming-model.ts";
import { checkedTask } from "./task-from-wire.ts";

export const taskOfItem = (item: BatchItem, models: Models["Service"]): Effect.Effect<GenerationTask, ServiceError> =>
  Effect.gen(function* () {
    const violations = violationsIn(BatchItemSchema, item);
    if (violations.length > 0) return yield* new InvalidField({ violations });
    return yield* namingModel(models)(inOnePiece(yield* checkedTask(item.task, models)));
  });
