import { createClient, type Transport } from "@connectrpc/connect";
import { Caller, checkOptions } from "./caller.ts";
import { createChatCalls } from "./chat/create-chat.ts";
import { checkFunctions } from "./check.ts";
import type { MlxdClient, RawClients } from "./client.ts";
import type { ClientOptions } from "./client-options.ts";
import { createEmbeddingCalls } from "./embedding-calls.ts";
import { assertNoOthers } from "./errors.ts";
import { EmbeddingService } from "./gen/mlxd/v1/embedding_service_pb.ts";
import { GenerationService } from "./gen/mlxd/v1/generation_service_pb.ts";
import { ModelService } from "./gen/mlxd/v1/model_service_pb.ts";
import { ServerService } from "./gen/mlxd/v1/server_service_pb.ts";
import { TokenizerService } from "./gen/mlxd/v1/tokenizer_service_pb.ts";
import { createGenerationCalls } from "./generation-calls.ts";
import { withHeaders } from "./headers.ts";
import { createModelCalls } from "./model-calls.ts";
import { createObjectCalls } from "./objects/generate-object.ts";
import { createServerCalls } from "./server-calls.ts";
import { createTokenizerCalls } from "./tokenizer-calls.ts";
import { createToolCalls } from "./tools/run-tools.ts";

/**
 * Makes a client over any Connect transport. `createMlxdClient` of `@mlxd/client` and `@mlxd/client/node` makes the
 * transport too.
 *
 * @param closeTransport closes the transport's connections
 */
export const createMlxdClientFromTransport = (
  transport: Transport,
  options: ClientOptions = {},
  closeTransport: () => void = () => {},
): MlxdClient => createParts(transport, options, closeTransport).client;

/** A client, and what the entries need to add calls of their own. */
export const createParts = (
  transport: Transport,
  options: ClientOptions,
  closeTransport: () => void,
): { readonly client: MlxdClient; readonly caller: Caller; readonly transport: Transport } => {
  const { headers, credentials, defaultModel, timeoutMs, retry, clock, ...others } = checkOptions(options);
  assertNoOthers(others);
  checkFunctions(transport, "transport", ["unary", "stream"]);
  const caller = new Caller({ credentials, defaultModel, timeoutMs, retry, clock });
  const withClientHeaders = withHeaders(withHeaders(transport, caller.credentials?.headers), headers);
  const raw = createRawClients(withClientHeaders);
  const close = (): void => {
    caller.cancelAll(new Error("the client was closed"));
    closeTransport();
  };
  const generation = createGenerationCalls(caller, raw.generation);
  const tokenizer = createTokenizerCalls(caller, raw.tokenizer);
  const tools = createToolCalls(generation);
  const client = {
    ...generation,
    ...createObjectCalls(generation),
    ...tools,
    ...createChatCalls({ ...tools, ...tokenizer }, caller.model),
    ...createEmbeddingCalls(caller, raw.embedding),
    ...tokenizer,
    ...createModelCalls(caller, raw.models),
    ...createServerCalls(caller, raw.server),
    raw,
    close,
    [Symbol.dispose]: close,
  };
  return { client, caller, transport: withClientHeaders };
};

const createRawClients = (transport: Transport): RawClients => ({
  generation: createClient(GenerationService, transport),
  embedding: createClient(EmbeddingService, transport),
  tokenizer: createClient(TokenizerService, transport),
  models: createClient(ModelService, transport),
  server: createClient(ServerService, transport),
});
