/**
 * The least that sends the same messages: a handler in connect-node's own adapter. Prints its port. It speaks HTTP/2, or HTTP/1.1
 * with `HTTP_VERSION=1.1`, and then closes each connection after `CALLS_PER_CONNECTION` calls.
 */
import { createServer as createHttp1Server } from "node:http";
import { createServer as createHttp2Server } from "node:http2";
import type { AddressInfo } from "node:net";
import { create } from "@bufbuild/protobuf";
import { connectNodeAdapter } from "@connectrpc/connect-node";

import { GenerationService, StreamGenerateResponseSchema } from "../../src/client/gen/mlxd/v1/generation_service_pb.ts";
import { FinishReason } from "../../src/client/gen/mlxd/v1/types_pb.ts";
import { word } from "./scripted-messages.ts";

const handler = connectNodeAdapter({
  routes: ({ service }) =>
    service(GenerationService, {
      streamGenerate: async function* ({ task }) {
        const tokens = task?.stop?.maxOutputTokens ?? 0;
        const started = { generationId: "gen_0", model: "demo", promptTokens: 10 };
        yield create(StreamGenerateResponseSchema, { event: { case: "started", value: started } });
        for (let token = 1; token <= tokens; token++) {
          const chunk = { text: word, outputTokens: token };
          yield create(StreamGenerateResponseSchema, { sequence: token, event: { case: "chunk", value: chunk } });
        }
        const finished = { finishReason: FinishReason.MAX_OUTPUT_TOKENS, usage: { outputTokens: tokens } };
        yield create(StreamGenerateResponseSchema, {
          sequence: tokens + 1,
          event: { case: "finished", value: finished },
        });
      },
    }),
});

const { HTTP_VERSION, CALLS_PER_CONNECTION = "0" } = process.env; // 0 means unlimited
const server = HTTP_VERSION === "1.1" ? createHttp1Server(handler) : createHttp2Server(handler);
if ("maxRequestsPerSocket" in server) server.maxRequestsPerSocket = Number(CALLS_PER_CONNECTION);
server.listen(0, "127.0.0.1", () => {
  process.stdout.write(`${(server.address() as AddressInfo).port}\n`);
});
