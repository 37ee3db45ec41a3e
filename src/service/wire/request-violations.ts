/** What is wrong with a request as a whole. */
import { create, type DescMessage, isMessage, type MessageShape } from "@bufbuild/protobuf";
import type { Violation } from "@bufbuild/protovalidate";

import { BatchGenerateRequestSchema, BatchItemSchema } from "../../client/gen/mlxd/v1/generation_service_pb.ts";
import type { FieldViolation } from "../domain/errors.ts";
import { describeViolation } from "./describe-violation.ts";
import { tooManyInAll } from "./too-many-items.ts";
import { violationsIn } from "./validate.ts";

type Batch = MessageShape<typeof BatchGenerateRequestSchema>;

export const requestViolations = <Desc extends DescMessage>(
  schema: Desc,
  request: MessageShape<Desc>,
): ReadonlyArray<FieldViolation> =>
  isMessage(request, BatchGenerateRequestSchema) ? batchViolations(request) : violationsIn(schema, request);

/** What is wrong with one of its tasks is that item's failure. */
const batchViolations = (request: Batch): ReadonlyArray<FieldViolation> => {
  const tooMany = tooManyInAll(BatchGenerateRequestSchema, request);
  if (tooMany !== undefined) return [describeViolation(request, tooMany)];
  return violationsIn(BatchGenerateRequestSchema, withoutTasks(request), (violation) => !isOfTask(violation));
};

/** Of far too many items only as many as show that. */
const withoutTasks = ({ items, ...rest }: Batch): Batch => ({
  ...rest,
  items: items.slice(0, 1000).map(({ itemId }) => create(BatchItemSchema, { itemId, task: {} })),
});

const isOfTask = ({ field: [items, item, task] }: Violation): boolean =>
  items?.kind === "field" && item?.kind === "list_sub" && task?.kind === "field" && task.name === "task";
