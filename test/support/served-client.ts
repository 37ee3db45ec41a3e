/** A service of its own for the tests of a file, and a client of it: started before them, stopped after them. */
import { afterAll, beforeAll } from "vitest";

import { createMlxdClient, type MlxdClient } from "../../src/client/node.ts";
import { type RunningService, startService } from "./running-service.ts";

/** To be read in tests only: before them there is neither. */
interface Served {
  readonly service: RunningService;
  readonly client: MlxdClient;
}

export const serveForTests = (environment: Readonly<Record<string, string>> = {}): Served => {
  let served: Served | undefined;
  beforeAll(async () => {
    const service = await startService(environment);
    served = { service, client: createMlxdClient({ baseUrl: service.url }) };
  });
  afterAll(async () => {
    served?.client.close();
    await served?.service.stop();
  });
  const there = (): Served => {
    if (served === undefined) throw new Error("the service is there in tests only");
    return served;
  };
  return {
    get service() {
      return there().service;
    },
    get client() {
      return there().client;
    },
  };
};
