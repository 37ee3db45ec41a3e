/** W13: what the client costs on top of what it is made of: Connect's own client, and grpc-js. */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import * as grpc from "@grpc/grpc-js";

import {
  GenerationService,
  StreamGenerateRequestSchema,
  StreamGenerateResponseSchema,
  type StreamGenerateResponse,
} from "../../src/client/gen/mlxd/v1/generation_service_pb.ts";
import { createMlxdClient as createGrpcClient } from "../../src/client/grpc/index.ts";
import { createMlxdClient, type MlxdClient } from "../../src/client/node.ts";
import type { Bench } from "./against-peer.ts";
import { compareNumbers } from "./rounds.ts";
import { startProgram } from "./start-program.ts";
import { streams, tokensPerStream } from "./scripted-messages.ts";

const task = {
  input: { case: "prompt", value: "1 2 3" },
  stop: { maxOutputTokens: tokensPerStream, ignoreEos: true },
} as const;

/** Reads one stream, and counts its chunks. */
type Read = () => Promise<number>;

export const clientCost: Bench = {
  name: "W13",
  run: async () => {
    const { port, child } = await startProgram("bare-handler.ts");
    const baseUrl = `http://127.0.0.1:${port}`;
    const channel = new grpc.Client(`127.0.0.1:${port}`, grpc.credentials.createInsecure());
    using overConnect = createMlxdClient({ baseUrl });
    using overGrpcJs = createGrpcClient({ target: `127.0.0.1:${port}` });
    const bare = createClient(GenerationService, createGrpcTransport({ baseUrl }));
    const rows = [
      ["W13 over connect-node", reading(overConnect), () => chunksIn(bare.streamGenerate({ task }))],
      ["W13 over grpc-js", reading(overGrpcJs), () => chunksIn(bareStream(channel))],
    ] as const;
    try {
      const results = [];
      for (const [workload, ours, peer] of rows) {
        const row = { workload, metric: "events/s", target: { least: 0.9 } };
        // The compiler's work on either side is not what is compared.
        for (const read of [ours, peer]) await perSecond(read);
        results.push(...(await compareNumbers({ ...row, ours: () => perSecond(ours), peer: () => perSecond(peer) })));
      }
      return results;
    } finally {
      channel.close();
      child.kill("SIGKILL");
    }
  },
};

const perSecond = async (read: Read): Promise<number> => {
  const started = performance.now();
  const counts = await Promise.all(Array.from({ length: streams }, read));
  const events = counts.reduce((sum, count) => sum + count, 0);
  if (events !== streams * tokensPerStream) throw new Error(`W13: ${events} chunks came`);
  return (1000 * events) / (performance.now() - started);
};

const reading =
  (client: MlxdClient): Read =>
  async () => {
    let chunks = 0;
    for await (const { type } of client.stream({ task })) if (type === "chunk") chunks += 1;
    return chunks;
  };

const chunksIn = async (messages: AsyncIterable<StreamGenerateResponse>): Promise<number> => {
  let chunks = 0;
  for await (const { event } of messages) if (event.case === "chunk") chunks += 1;
  return chunks;
};

const bareStream = (channel: grpc.Client): AsyncIterable<StreamGenerateResponse> =>
  channel.makeServerStreamRequest(
    "/mlxd.v1.GenerationService/StreamGenerate",
    () => Buffer.from(toBinary(StreamGenerateRequestSchema, create(StreamGenerateRequestSchema, { task }))),
    (bytes) => fromBinary(StreamGenerateResponseSchema, bytes),
    null,
  );
