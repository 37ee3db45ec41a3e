import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { Effect } from "effect";
import { assert, describe, it } from "vitest";

import { ContextPolicy, GenerationTaskSchema } from "../../../src/client/gen/mlxd/v1/types_pb.ts";
import type { Models } from "../../../src/service/models/Models.ts";
import { checkedTask } from "../../../src/service/rpc/task-from-wire.ts";

const models = { get: () => Effect.die("nothing is asked of it") } as unknown as Models["Service"];
const check = (init: MessageInitShape<typeof GenerationTaskSchema>) =>
  checkedTask(create(GenerationTaskSchema, init), models);

describe("a task with a policy for its context", () => {
  it("is a conversation", () => {
    const input = { case: "chat" as const, value: { messages: [] } };
    for (const [contextPolicy, known] of [
      [ContextPolicy.DROP_OLDEST, "drop-oldest"],
      [ContextPolicy.SUMMARISE, "summarise"],
      [ContextPolicy.UNSPECIFIED, undefined],
    ] as const) {
      assert.strictEqual(Effect.runSync(check({ contextPolicy, input })).contextPolicy, known);
    }
  });

  it("is refused where it is none, and told what to do", () => {
    for (const input of [
      { case: "prompt" as const, value: "p" },
      { case: "tokens" as const, value: { ids: [1] } },
    ]) {
      const refusal = Effect.runSync(Effect.flip(check({ contextPolicy: ContextPolicy.DROP_OLDEST, input })));
      assert.include(refusal.message, "task.context_policy: only a conversation can be shortened");
    }
  });
});
