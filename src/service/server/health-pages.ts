/**
 * GET /healthz and /readyz, for probes that only speak HTTP: load balancers, Kubernetes, people. The status code is the
 * result; the text gives the reason. They reveal no more than grpc.health.v1 does: names of models, and our own
 * wording.
 */
import { Effect } from "effect";

import type { HttpRoute } from "./http-routes.ts";
import { Health, type ReportedHealth } from "./Health.ts";

/**
 * `/healthz` tells whether the process answers; a process that fails it should be restarted. It says ok while the
 * service drains and while no model serves, because a restart would not help. `/readyz` tells whether new calls should
 * be sent here.
 */
export const makeHealthPages = Effect.gen(function* () {
  const health = yield* Health;
  const run = Effect.runPromiseWith(yield* Effect.context<never>());
  return [
    ...pages("/healthz", () => Promise.resolve({ code: 200, text: "ok\n" })),
    ...pages("/readyz", async () => readiness(await run(health.all))),
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
      // A cached answer would be out of date.
      response.setHeader("Cache-Control", "no-store");
      response.end(method === "HEAD" ? "" : text);
    },
  }));

/** A line for the server, and one for each model and service that does not serve. */
const readiness = (all: ReadonlyMap<string, ReportedHealth>): Page => {
  const server = all.get("") ?? unknown;
  const others = [...all].filter(
    ([name, { status }]) => name !== "" && (name.startsWith("models/") || status !== "serving"),
  );
  const lines = [line("server", server), ...others.map(([name, reported]) => line(name, reported))];
  return { code: server.status === "serving" ? 200 : 503, text: `${lines.join("\n")}\n` };
};

const line = (name: string, { status, reason }: ReportedHealth): string =>
  status === "serving" ? `${name}: serving` : `${name}: not serving${reason === "" ? "" : `: ${reason}`}`;

const unknown: ReportedHealth = { status: "not-serving", reason: "it is starting" };
