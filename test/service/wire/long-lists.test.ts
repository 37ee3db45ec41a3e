import { clone, create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { assert, describe, it } from "@effect/vitest";

import {
  BatchGenerateRequestSchema,
  GenerateRequestSchema,
} from "../../../src/client/gen/mlxd/v1/generation_service_pb.ts";
import { DetokenizeRequestSchema } from "../../../src/client/gen/mlxd/v1/tokenizer_service_pb.ts";
import { putBackLongLists, takeLongLists } from "../../../src/service/wire/long-lists.ts";

const ids = Array.from({ length: 20_000 }, (_, index) => index);
const few = [1, 2, 4_294_967_295];
type Task = NonNullable<MessageInitShape<typeof GenerateRequestSchema>["task"]>;
const task = (tokens: number[], stopTokenIds: number[]): Task => ({
  input: { case: "tokens", value: { ids: tokens } },
  stop: { stopTokenIds },
});

describe("long lists of numbers", () => {
  const cases = [
    [DetokenizeRequestSchema, create(DetokenizeRequestSchema, { ids }), 1],
    [GenerateRequestSchema, create(GenerateRequestSchema, { task: task(ids, few) }), 1],
    [GenerateRequestSchema, create(GenerateRequestSchema, { task: task(few, few) }), 0],
    [
      BatchGenerateRequestSchema,
      create(BatchGenerateRequestSchema, { items: [{ task: task(few, ids) }, { task: task(ids, ids) }] }),
      3,
    ],
    [
      GenerateRequestSchema,
      create(GenerateRequestSchema, { task: { input: { case: "chat", value: { templateOptions: { a: [1] } } } } }),
      0,
    ],
  ] as const;

  it.each(cases)("are taken out of a %s and put back as they were", (schema, message, count) => {
    const lighter = clone(schema, message as never);
    const lists = structuredClone(takeLongLists(schema, lighter));
    assert.lengthOf(lists, count);
    const bytes = toBinary(schema, lighter);
    if (count > 0) assert.isBelow(bytes.length, 100);
    const back = fromBinary(schema, bytes);
    putBackLongLists(back, lists);
    assert.deepEqual<unknown>(back, message);
  });
});
