/** Lists that come page by page: of models, jobs, their items, and what is supported. */
import { createRouterTransport } from "@connectrpc/connect";
import { assert, describe, it } from "vitest";

import { createParts } from "../../src/client/create-client.ts";
import { createDiagnosticsClient } from "../../src/client/diagnostics/create-diagnostics.ts";
import { DiagnosticsService } from "../../src/client/gen/mlxd/v1/diagnostics_service_pb.ts";
import { allPages, type Page } from "../../src/client/pages.ts";
import { mlxdErrorOf } from "../support/error-of.ts";

describe("a list in pages", () => {
  it("has the items of all of them in order, also where a page is empty", async () => {
    const list: Readonly<Record<string, Page<number>>> = {
      "": { items: [1, 2], next: "b" },
      b: { items: [], next: "c" },
      c: { items: [3], next: "" },
    };
    assert.deepEqual(await allPages(async (pageToken) => list[pageToken] ?? assert.fail(pageToken)), [1, 2, 3]);
  });

  it("ends where a page is followed by itself", async () => {
    assert.equal((await mlxdErrorOf(allPages(async () => ({ items: [], next: "again" })))).reason, "PROTOCOL");
    const transport = createRouterTransport(({ service }) =>
      service(DiagnosticsService, { listSupportedTasks: () => ({ nextPageToken: "again" }) }),
    );
    const { caller } = createParts(transport, { retry: false }, () => {});
    const diagnostics = createDiagnosticsClient(caller, transport);
    assert.equal((await mlxdErrorOf(diagnostics.supportedTasks())).reason, "PROTOCOL");
  });
});
