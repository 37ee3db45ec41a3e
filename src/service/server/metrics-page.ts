/** GET /metrics, on the service's port or on a separate one. */
import { createServer } from "node:http";
import { Effect } from "effect";

import { ServerConfig } from "../config/ServerConfig.ts";
import { Metrics } from "../telemetry/metrics/Metrics.ts";
import { ListenFailed } from "./ListenFailed.ts";
import type { HttpRoute } from "./http-routes.ts";
import type { Response } from "./one-port.ts";
import { addServiceMetrics } from "./service-metrics.ts";

/** If metrics have a port of their own, listens on it in this scope and makes no route. */
export const makeMetricsRoutes = Effect.gen(function* () {
  const { metrics, host } = yield* ServerConfig;
  if (metrics === "off") return [];
  yield* addServiceMetrics;
  const { render } = yield* Metrics;
  const run = Effect.runPromiseWith(yield* Effect.context<never>());
  const answer = async (response: Response): Promise<void> => {
    const text = await run(render);
    response.setHeader("Content-Type", "text/plain; version=0.0.4; charset=utf-8");
    response.end(text);
  };
  if (metrics === "on") {
    const route: HttpRoute = {
      method: "GET",
      path: metricsPath,
      needs: { roles: ["admin"], opensAs: "metrics" },
      whileDraining: true,
      answer: ({ response }) => answer(response),
    };
    return [route];
  }
  yield* listenApart(host, metrics, answer);
  return [];
});

const metricsPath = "/metrics";

const listenApart = (host: string, port: number, answer: (response: Response) => Promise<void>) =>
  Effect.acquireRelease(
    Effect.callback<ReturnType<typeof createServer>, ListenFailed>((resume) => {
      const server = createServer((request, response) => {
        if (request.method === "GET" && request.url?.split("?", 1)[0] === metricsPath) {
          answer(response).catch(() => {
            response.statusCode = 500;
            response.end();
          });
          return;
        }
        response.statusCode = 404;
        response.end(`there is ${metricsPath} alone\n`);
      });
      server.once("error", (cause: NodeJS.ErrnoException) =>
        resume(Effect.fail(new ListenFailed({ host, port, code: cause.code ?? cause.message }))),
      );
      server.listen(port, host, () => resume(Effect.succeed(server)));
    }),
    (server) =>
      Effect.sync(() => {
        server.close();
        server.closeAllConnections();
      }),
  );
