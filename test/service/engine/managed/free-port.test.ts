import { createServer } from "node:net";
import { assert, describe, it } from "@effect/vitest";
import { Effect } from "effect";

import { freePort, loopback } from "../../../../src/service/engine/managed/free-port.ts";

describe("a free port", () => {
  it.live("can be listened on", () =>
    Effect.gen(function* () {
      const port = yield* freePort;
      assert.isAbove(port, 1023);
      const server = createServer();
      yield* Effect.promise(() => new Promise<void>((resolve) => server.listen(port, loopback, resolve)));
      yield* Effect.promise(() => new Promise((resolve) => server.close(resolve)));
    }),
  );
});
