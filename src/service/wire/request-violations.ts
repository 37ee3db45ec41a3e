/** Finds the violations of a whole request. */
import { create, type DescMessage, type MessageShape } from "@bufbuild/protobuf";
import type { Violation } from "@bufbuild/protovalidate";

import { type BatchItem, BatchItemSchema } from "../../client/gen/mlxd/v1/generation_service_pb.ts";
import type { FieldViolation } from "../domain/errors.ts";
import { describeViolation } from "./describe-violation.ts";
import { taskItemsOf } from "./task-items.ts";
import { tooManyInAll } from "./too-many-items.ts";
import { violationsIn } from "./validate.ts";

export const requestViolations = <Desc extends DescMessage>(
  schema: Desc,
  request: MessageShape<Desc>,
): ReadonlyArray<FieldViolation> => {
  const items = taskItemsOf(request);
  return items === undefined ? violationsIn(schema, request) : itemsViolations(schema, request, items);
};

/** A violation in one of its tasks fails that item only. */
const itemsViolations = <Desc extends DescMessage>(
  schema: Desc,
  request: MessageShape<Desc>,
  items: ReadonlyArray<BatchItem>,
): ReadonlyArray<FieldViolation> => {
  const tooMany = tooManyInAll(schema, request);
  if (tooMany !== undefined) return [describeViolation(request, tooMany)];
  return violationsIn(schema, withoutTasks(request, items), (violation) => !isOfTask(violation));
};

/** One more than any of these requests may have. */
const mostItems = 10_001;

/** If there are far too many items, keeps just enough of them to show that. */
const withoutTasks = <M extends object>(request: M, items: ReadonlyArray<BatchItem>): M => ({
  ...request,
  items: items.slice(0, mostItems).map(({ itemId }) => create(BatchItemSchema, { itemId, task: {} })),
});

const isOfTask = ({ field: [items, item, task] }: Violation): boolean =>
  items?.kind === "field" && item?.kind === "list_sub" && task?.kind === "field" && task.name === "task";
