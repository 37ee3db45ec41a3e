/** What only the real pipeline and a real model can refuse, over the wire: a typed error each, and no place taken. */
import type { MessageInitShape } from "@bufbuild/protobuf";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest";

import { ErrorInfoSchema } from "../../src/client/gen/google/rpc/error_details_pb.ts";
import { GenerationService } from "../../src/client/gen/mlxd/v1/generation_service_pb.ts";
import { ServerService } from "../../src/client/gen/mlxd/v1/server_service_pb.ts";
import { type GenerationTaskSchema, Role } from "../../src/client/gen/mlxd/v1/types_pb.ts";
import { type RunningService, startService } from "../support/running-service.ts";

let service: RunningService;
beforeAll(async () => {
  service = await startService();
});
afterAll(() => service.stop());

type Task = MessageInitShape<typeof GenerationTaskSchema>;

const prompt = (value: string) => ({ case: "prompt", value }) as const;
const says = (role: Role, value: string) => ({ role, content: [{ part: { case: "text", value } as const }] });

const refusals: ReadonlyArray<readonly [string, Task, Code, string, RegExp]> = [
  [
    "an image for a model that does no vision",
    {
      input: {
        case: "chat",
        value: {
          messages: [
            {
              role: Role.USER,
              content: [{ part: { case: "image", value: { source: { case: "data", value: new Uint8Array([1]) } } } }],
            },
          ],
        },
      },
    },
    Code.InvalidArgument,
    "UNSUPPORTED_TASK",
    /^model "demo" does not do vision; /,
  ],
  ["an unknown model", { model: "dem", input: prompt("x") }, Code.NotFound, "MODEL_NOT_FOUND", /"dem".*demo/],
  [
    "a bias on a token that the model does not have",
    { input: prompt("x"), sampling: { logitBias: [{ tokenId: 1 }, { tokenId: 4_000_000_000, bias: 1 }] } },
    Code.InvalidArgument,
    "INVALID_FIELD",
    /task\.sampling\.logit_bias\[1\]\.token_id: 4000000000 is no token of model "demo", whose vocabulary has \d+/,
  ],
  [
    "an output beyond the context",
    { input: prompt("x"), stop: { maxOutputTokens: 100_000 } },
    Code.InvalidArgument,
    "CONTEXT_LENGTH_EXCEEDED",
    /100000 output tokens exceed the context of \d+/,
  ],
  [
    "a prompt longer than the context",
    { input: prompt("word ".repeat(10_000)) },
    Code.InvalidArgument,
    "CONTEXT_LENGTH_EXCEEDED",
    /prompt tokens/,
  ],
  [
    "a token outside the vocabulary",
    { input: { case: "tokens", value: { ids: [1, 999_999] } } },
    Code.InvalidArgument,
    "INVALID_FIELD",
    /999999/,
  ],
  [
    "a conversation that cannot be continued",
    {
      input: {
        case: "chat",
        value: {
          messages: [
            says(Role.USER, "x"),
            { role: Role.ASSISTANT, toolCalls: [{ id: "1", name: "f", arguments: "{}" }] },
          ],
          continueFinalMessage: true,
        },
      },
    },
    Code.InvalidArgument,
    "INVALID_FIELD",
    /task\.chat\.messages/,
  ],
  [
    "another revision",
    { modelRevision: "0000", input: prompt("x") },
    Code.FailedPrecondition,
    "MODEL_REVISION_MISMATCH",
    /not 0000/,
  ],
];

describe("the service refuses", () => {
  for (const [what, task, code, reason, text] of refusals) {
    it(what, async () => {
      const transport = createGrpcTransport({ baseUrl: service.url });
      const client = createClient(GenerationService, transport);
      const error = await client.generate({ task }).then(
        () => undefined,
        (cause: unknown) => ConnectError.from(cause),
      );
      assert.strictEqual(error?.code, code);
      assert.strictEqual(error?.findDetails(ErrorInfoSchema)[0]?.reason, reason);
      assert.match(error?.rawMessage ?? "", text);
      const streamed = await (async () => {
        for await (const _ of client.streamGenerate({ task })) assert.fail("an event of a refused task");
      })().catch((cause: unknown) => ConnectError.from(cause));
      assert.strictEqual(streamed instanceof ConnectError ? streamed.code : undefined, code);
      const { total } = await createClient(ServerService, transport).getStats({});
      assert.deepInclude(total, { running: 0, queued: 0 });
    });
  }
});
