import type { ConnectRouter } from "@connectrpc/connect";
import { Effect } from "effect";

import { CacheService } from "../../client/gen/mlxd/v1/cache_service_pb.ts";
import { CatalogService } from "../../client/gen/mlxd/v1/catalog_service_pb.ts";
import { DiagnosticsService } from "../../client/gen/mlxd/v1/diagnostics_service_pb.ts";
import { EmbeddingService } from "../../client/gen/mlxd/v1/embedding_service_pb.ts";
import { GenerationService } from "../../client/gen/mlxd/v1/generation_service_pb.ts";
import { JobService } from "../../client/gen/mlxd/v1/job_service_pb.ts";
import { ModelService } from "../../client/gen/mlxd/v1/model_service_pb.ts";
import { ServerService } from "../../client/gen/mlxd/v1/server_service_pb.ts";
import { TokenizerService } from "../../client/gen/mlxd/v1/tokenizer_service_pb.ts";
import { makeCacheService } from "./cache-service.ts";
import { makeCatalogService } from "./catalog-service.ts";
import { makeDiagnosticsService } from "./diagnostics-service.ts";
import { makeEmbeddingService } from "./embedding-service.ts";
import { makeGenerationService } from "./generation-service.ts";
import { makeJobService } from "./job-service.ts";
import { makeModelService } from "./model-service.ts";
import { makeServerService } from "./server-service.ts";
import { makeTokenizerService } from "./tokenizer-service.ts";

/** The services of package mlxd.v1. */
export const apiServices = [
  GenerationService,
  EmbeddingService,
  TokenizerService,
  ModelService,
  JobService,
  CacheService,
  CatalogService,
  DiagnosticsService,
  ServerService,
] as const;

export const makeApiRoutes = Effect.gen(function* () {
  const generation = yield* makeGenerationService;
  const embedding = yield* makeEmbeddingService;
  const tokenizer = yield* makeTokenizerService;
  const model = yield* makeModelService;
  const job = yield* makeJobService;
  const cache = yield* makeCacheService;
  const catalog = yield* makeCatalogService;
  const diagnostics = yield* makeDiagnosticsService;
  const server = yield* makeServerService;
  return (router: ConnectRouter): void => {
    router
      .service(GenerationService, generation)
      .service(EmbeddingService, embedding)
      .service(TokenizerService, tokenizer)
      .service(ModelService, model)
      .service(JobService, job)
      .service(CacheService, cache)
      .service(CatalogService, catalog)
      .service(DiagnosticsService, diagnostics)
      .service(ServerService, server);
  };
});
