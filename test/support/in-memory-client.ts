/** A client of handlers in this process: Connect's own router, with its encoding and errors but without a network. */
import { createRouterTransport, type HandlerContext, type ServiceImpl } from "@connectrpc/connect";
import type { MessageInitShape } from "@bufbuild/protobuf";

import {
  type BatchGenerateResponseSchema,
  GenerationService,
  type StreamGenerateRequest,
} from "../../src/client/gen/mlxd/v1/generation_service_pb.ts";
import { type ClientOptions, createMlxdClientFromTransport, type MlxdClient } from "../../src/client/index.ts";
import type { WireEvent } from "./scripted-server.ts";

export type BatchMessage = MessageInitShape<typeof BatchGenerateResponseSchema>;

interface InMemoryScript {
  readonly generate?: ServiceImpl<typeof GenerationService>["generate"];
  readonly stream?: (request: StreamGenerateRequest, context: HandlerContext) => Iterable<WireEvent>;
  readonly batch?: () => Iterable<BatchMessage>;
}

export const createInMemoryClient = (script: InMemoryScript, options: ClientOptions = {}): MlxdClient => {
  const { generate, stream, batch } = script;
  const transport = createRouterTransport(({ service }) => {
    service(GenerationService, {
      ...(generate && { generate }),
      ...(stream && {
        async *streamGenerate(request: StreamGenerateRequest, context: HandlerContext) {
          yield* stream(request, context);
        },
      }),
      ...(batch && {
        async *batchGenerate() {
          yield* batch();
        },
      }),
    });
  });
  return createMlxdClientFromTransport(transport, { retry: false, ...options });
};
