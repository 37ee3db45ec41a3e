/** The service on the network. */
import { type ConnectError, createConnectRouter } from "@connectrpc/connect";
import { Context, Effect, Layer } from "effect";

import { Health as HealthRpc } from "../../client/gen/grpc/health/v1/health_pb.ts";
import { OpenRcaService } from "../../client/gen/xds/service/orca/v3/orca_pb.ts";
import { EmbeddingService } from "../../client/gen/mlxd/v1/embedding_service_pb.ts";
import { GenerationService } from "../../client/gen/mlxd/v1/generation_service_pb.ts";
import { Access } from "../access/Access.ts";
import { assertMeant, warningsOf } from "../access/exposure.ts";
import { Admission } from "../admission/Admission.ts";
import { ServerConfig } from "../config/ServerConfig.ts";
import { anyFiles, anyTypes } from "../rpc/any-types.ts";
import { Calls } from "../calls/Calls.ts";
import { drainingRetryAfterMs } from "../calls/failure.ts";
import { Draining } from "../domain/errors.ts";
import { Load } from "../load/Load.ts";
import { Bridge } from "../rpc/Bridge.ts";
import { CompiledRules } from "../rpc/CompiledRules.ts";
import { reasonIn } from "../rpc/error-details.ts";
import { RequestReader } from "../rpc/RequestReader.ts";
import { apiServices, makeApiRoutes } from "../rpc/routes.ts";
import { Metrics } from "../telemetry/metrics/Metrics.ts";
import { makeAudit } from "./audit.ts";
import { watchBackends } from "./backend-health.ts";
import { Drain } from "./Drain.ts";
import { Health } from "./Health.ts";
import { makeHealthPages } from "./health-pages.ts";
import { makeHealthService } from "./health-service.ts";
import { greeting } from "./greeting.ts";
import { acceptCompression } from "./http-handler.ts";
import { type Address, listen } from "./Listener.ts";
import { requestDecoder } from "./json-text.ts";
import { createLoadTrailers, makeOrcaService } from "./orca.ts";
import { makeMetricsRoutes } from "./metrics-page.ts";
import { watchModels } from "./model-health.ts";
import { createReflectionIndex } from "./reflection-index.ts";
import { addReflection, reflectionServices } from "./reflection-service.ts";
import { createRequestGate } from "./request-gate.ts";

export class Server extends Context.Service<
  Server,
  {
    /** Where it listens; the actual port if a free one was requested. */
    readonly address: Address;
  }
>()("mlxd/server/Server") {
  static readonly layerNoDeps = Layer.effect(
    Server,
    Effect.gen(function* () {
      const config = yield* ServerConfig;
      const drain = yield* Drain;
      const health = yield* Health;
      const access = yield* Access;
      const { admit, isAsking } = access;
      yield* assertMeant(config, isAsking());
      yield* Effect.forEach(warningsOf(config, isAsking()), (warning) => Effect.logWarning(warning));
      const admission = yield* Admission;
      const load = yield* Load;
      const { cutAll } = yield* Calls;
      const addApi = yield* makeApiRoutes;
      const healthService = yield* makeHealthService;
      const { error: countError, connectionRefused } = yield* Metrics;
      const onError = (error: ConnectError, method: string): void => countError(reasonIn(error), method);
      const audit = yield* makeAudit(config.auditLog);
      const createRouter = (readMaxBytes: number) =>
        createConnectRouter({
          readMaxBytes,
          acceptCompression,
          jsonOptions,
          requestGate: createRequestGate({
            isDraining: drain.isDraining,
            access,
            maxMessageBytes: readMaxBytes,
            audit,
            onError,
          }),
        });
      const api = createRouter(config.maxMessageBytes);
      addApi(api);
      const standards = createRouter(smallMessageBytes);
      standards.service(HealthRpc, healthService);
      if (config.loadReports) standards.service(OpenRcaService, yield* makeOrcaService);
      if (config.reflection) addReflection(standards, reflectionIndex);
      const queries = createRouter(smallMessageBytes);
      addApi(queries);
      queries.service(HealthRpc, healthService);
      const alwaysServing = [
        ...apiServices,
        HealthRpc,
        ...(config.loadReports ? [OpenRcaService] : []),
        ...(config.reflection ? reflectionServices : []),
      ];
      yield* Effect.forEach(alwaysServing, ({ typeName }) => health.set(typeName, "serving"));
      yield* watchBackends;
      yield* watchModels(["", GenerationService.typeName, EmbeddingService.typeName]);
      yield* (yield* CompiledRules).ready;
      const address = yield* listen({
        config,
        drain,
        calls: [
          { handlers: api.handlers, maxMessageBytes: config.maxMessageBytes },
          { handlers: standards.handlers, maxMessageBytes: smallMessageBytes },
        ],
        routes: [greeting, ...(yield* makeHealthPages), ...(yield* makeMetricsRoutes)],
        onRefusal: (error) => onError(error, ""),
        onConnectionRefused: connectionRefused,
        queries: { handlers: queries.handlers, maxMessageBytes: smallMessageBytes },
        admit,
        ...(config.loadReports && { trailers: createLoadTrailers(load.averages) }),
        refuseWaiting: Effect.andThen(admission.refuseWaiting(draining), load.end(draining)),
        cutCalls: cutAll,
      });
      return Server.of({ address });
    }),
  );

  /** Drains when its scope closes, before the layers that it depends on close. */
  static readonly layer = this.layerNoDeps.pipe(
    Layer.provide(Bridge.layer.pipe(Layer.provide(RequestReader.layer), Layer.provideMerge(Calls.layer))),
    Layer.provide([Load.layer, CompiledRules.layer]),
    Layer.provideMerge(Drain.layer),
  );
}

const draining = new Draining({ retryAfterMs: drainingRetryAfterMs });

/**
 * The limit for health, load reports, reflection and queries, whose messages are a few names; they are decoded on the
 * main thread.
 */
const smallMessageBytes = 65_536;

const jsonOptions = {
  // An unknown key is a typing error, and ignoring it would ignore an option.
  ignoreUnknownFields: false,
  registry: anyTypes,
  // Connect's serialisation uses it, although the router's type does not declare it.
  textDecoder: requestDecoder,
};

const reflectionIndex = createReflectionIndex(
  [...apiServices, HealthRpc, OpenRcaService, ...reflectionServices],
  anyFiles,
);
