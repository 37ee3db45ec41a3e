/** grpc.health.v1, over every protocol: https://github.com/grpc/grpc/blob/master/doc/health-checking.md */
import { Code, ConnectError, type ServiceImpl } from "@connectrpc/connect";
import { Effect, Stream } from "effect";

import {
  HealthCheckResponse_ServingStatus as Status,
  type Health as HealthRpc,
} from "../../client/gen/grpc/health/v1/health_pb.ts";
import { Draining } from "../domain/errors.ts";
import { Bridge } from "../rpc/Bridge.ts";
import { drainingRetryAfterMs } from "../calls/failure.ts";
import { Health, type ServingStatus } from "./Health.ts";

const statuses = {
  serving: Status.SERVING,
  "not-serving": Status.NOT_SERVING,
} as const satisfies Record<ServingStatus, Status>;

export const makeHealthService = Effect.gen(function* () {
  const bridge = yield* Bridge;
  const health = yield* Health;
  return {
    check: async (request, context) => {
      const { service } = request;
      const reported = (await bridge.unary(request, context, () => health.all)).get(service);
      if (reported === undefined) throw new ConnectError(`unknown service "${service.slice(0, 256)}"`, Code.NotFound);
      return { status: statuses[reported.status] };
    },
    watch: (received, context) =>
      bridge.stream(received, context, {
        // Watches end, because they would delay the shutdown. Their callers reconnect and find another server.
        stream: ({ service }) =>
          Stream.concat(health.watch(service), Stream.fail(new Draining({ retryAfterMs: drainingRetryAfterMs }))),
        toWire: (status) => ({ status: status === undefined ? Status.SERVICE_UNKNOWN : statuses[status] }),
        endless: true,
      }),
    list: async (request, context) => {
      const all = await bridge.unary(request, context, () => health.all);
      const listed = [...all].map(([name, { status }]) => [name, { status: statuses[status] }] as const);
      return { statuses: Object.fromEntries(listed) };
    },
  } satisfies ServiceImpl<typeof HealthRpc>;
});
