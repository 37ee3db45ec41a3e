// A Node service with a Connect API of its own, here one call, that asks mlxd over gRPC. The caller's deadline, cancellation and
// trace go on to mlxd; mlxd's errors come back as they are.
//   PORT=8080 MLXD_URL=http://127.0.0.1:50051 node examples/gateway.ts
import { createServer } from "node:http2";
import { ConnectError } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { TokenizerService } from "../src/client/gen/mlxd/v1/tokenizer_service_pb.ts";
import { GenerationService } from "../src/client/gen/mlxd/v1/generation_service_pb.ts";
import { createMlxdClient, isMlxdError, optionsOfIncoming } from "../src/client/node.ts";

const mlxd = createMlxdClient({ baseUrl: process.env["MLXD_URL"] ?? "http://127.0.0.1:50051", connections: 2 });

/** What failed in mlxd fails here with the same status and details. */
const passingErrorsOn = async <T>(call: Promise<T>): Promise<T> => {
  try {
    return await call;
  } catch (error) {
    if (isMlxdError(error) && error.cause instanceof ConnectError) throw error.cause;
    throw error;
  }
};

const server = createServer(
  connectNodeAdapter({
    routes: ({ rpc }) => {
      // One message in, one out: a question in the place of the prompt, and a house rule before it.
      rpc(GenerationService.method.generate, async ({ task }, context) => {
        const question = task?.input.case === "prompt" ? task.input.value : "";
        const chat = mlxd.chat({ system: "Answer in one sentence." });
        const { text } = await passingErrorsOn(chat.say(question, optionsOfIncoming(context)));
        return { result: { candidates: [{ text }] } };
      });
      rpc(TokenizerService.method.countTokens, async ({ task }, context) =>
        passingErrorsOn(mlxd.countTokens({ task: task ?? {} }, optionsOfIncoming(context))),
      );
    },
  }),
);

server.listen(Number(process.env["PORT"] ?? 8080), "127.0.0.1", () => {
  const address = server.address();
  console.log(`listening on ${typeof address === "object" ? address?.port : address}`);
});
process.once("SIGTERM", () => {
  mlxd.close();
  process.exit(0);
});
