/** GET /metrics, on the service's port or on one of its own. */
import { createServer } from "node:http";
import { Effect } from "effect";

import { ServerConfig } from "../config/ServerConfig.ts";
import { Metrics } from "../telemetry/metrics/Metrics.ts";
import { ListenFailed } from "./ListenFailed.ts";
import type { Request, Response } from "./one-port.ts";
import { addServiceMetrics } from "./service-metrics.ts";

/** Answers a GET request. */
export type Page = (request: Request, response: Response) => void;

/** Pages of the service's port, by path. Where metrics have a port of their own, it is listened on in this scope. */
export const makePages = Effect.gen(function* () {
  const { metrics, host } = yield* ServerConfig;
  if (metrics === "off") return new Map<string, Page>();
  yield* addServiceMetrics;
  const { render } = yield* Metrics;
  const run = Effect.runPromiseWith(yield* Effect.context<never>());
  const page: Page = (_, response) => {
    run(render).then(
      (text) => {
        response.setHeader("Content-Type", "text/plain; version=0.0.4; charset=utf-8");
        response.end(text);
      },
      () => {
        response.statusCode = 500;
        response.end();
      },
    );
  };
  if (metrics === "on") return new Map([[metricsPath, page]]);
  yield* listenApart(host, metrics, page);
  return new Map<string, Page>();
});

const metricsPath = "/metrics";

const listenApart = (host: string, port: number, page: Page) =>
  Effect.acquireRelease(
    Effect.callback<ReturnType<typeof createServer>, ListenFailed>((resume) => {
      const server = createServer((request, response) => {
        if (request.method === "GET" && request.url?.split("?", 1)[0] === metricsPath) return page(request, response);
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
