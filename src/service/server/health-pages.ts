/**
 * GET /healthz and /readyz, for what probes with HTTP alone: load balancers, Kubernetes, people. The status code decides; the text says
 * why. They tell no more than grpc.health.v1 does: names of models, and words of our own.
 */
import { Effect } from "effect";

import type { HttpRoute } from "./http-routes.ts";
import { Health, type Standing } from "./Health.ts";

/**
 * `/healthz`: whether the process answers; what fails it is to be restarted. It says ok while the service drains and while no model
 * serves: a restart would mend neither. `/readyz`: whether new calls are to be sent here.
 */
export const makeHealthPages = Effect.gen(function* () {
  const health = yield* Health;
  const standings = Effect.runPromiseWith(yield* Effect.context<never>());
  return [
    ...pages("/healthz", () => Promise.resolve({ code: 200, text: "ok\n" })),
    ...pages("/readyz", async () => readiness(await standings(health.all))),
  ];
});

interface Page {
  readonly code: number;
  readonly text: string;
}

const pages = (path: string, page: () => Promise<Page>): ReadonlyArray<HttpRoute> =>
  ["GET", "HEAD"].map((method) => ({
    method,
    path,
    whileDraining: true,
    needs: "nothing",
    answer: async ({ response }) => {
      const { code, text } = await page();
      response.statusCode = code;
      response.setHeader("Content-Type", "text/plain; charset=utf-8");
      // A cached answer would outlive the state that it tells of.
      response.setHeader("Cache-Control", "no-store");
      response.end(method === "HEAD" ? "" : text);
    },
  }));

/** A line for the server, then one for each model and each service that does not serve. */
const readiness = (all: ReadonlyMap<string, Standing>): Page => {
  const server = all.get("") ?? unknown;
  const others = [...all].filter(
    ([name, { status }]) => name !== "" && (name.startsWith("models/") || status !== "serving"),
  );
  const lines = [line("server", server), ...others.map(([name, standing]) => line(name, standing))];
  return { code: server.status === "serving" ? 200 : 503, text: `${lines.join("\n")}\n` };
};

const line = (name: string, { status, reason }: Standing): string =>
  status === "serving" ? `${name}: serving` : `${name}: not serving${reason === "" ? "" : `: ${reason}`}`;

const unknown: Standing = { status: "not-serving", reason: "it is starting" };
