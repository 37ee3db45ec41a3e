import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { base64Decode } from "@bufbuild/protobuf/wire";
import { Code, createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import * as grpc from "@grpc/grpc-js";
import { Effect, Stream } from "effect";
import { assert, describe, it } from "vitest";

import {
  GenerateRequestSchema,
  GenerateResponseSchema,
  GenerationService,
} from "../../../src/client/gen/mlxd/v1/generation_service_pb.ts";
import { OrcaLoadReportSchema } from "../../../src/client/gen/xds/data/orca/v3/orca_load_report_pb.ts";
import { OpenRcaService } from "../../../src/client/gen/xds/service/orca/v3/orca_pb.ts";
import { Admission } from "../../../src/service/admission/Admission.ts";
import { Stats } from "../../../src/service/telemetry/Stats.ts";
import { eventsOf } from "../../support/scripted-generations.ts";
import { startTestServer, type TestServer } from "../../support/test-server.ts";
import { errorOf } from "../../support/wire-error.ts";
import { assertMatches } from "../../support/assert-matches.ts";

const task = { input: { case: "prompt", value: "x" } } as const;

describe("load reports", () => {
  it("stand in the trailers of each gRPC call, of one that fails as well", async () => {
    await using server = await startTestServer();
    const client = createClient(GenerationService, createGrpcTransport({ baseUrl: server.url }));
    let told: string | null = null;
    await client.generate({ task }, { onTrailer: (trailer) => (told = trailer.get("endpoint-load-metrics-bin")) });
    const report = fromBinary(OrcaLoadReportSchema, base64Decode(told ?? ""));
    assert.isAtLeast(report.cpuUtilization, 0);
    const failed = await errorOf(client.generate({ task: {} }));
    assert.strictEqual(failed.code, Code.InvalidArgument);
    assert.isNotNull(failed.metadata.get("endpoint-load-metrics-bin"));
  });

  it("come out of band as often as they are asked for, until the service drains", async () => {
    await using server = await startTestServer();
    const client = createClient(OpenRcaService, createGrpcTransport({ baseUrl: server.url }));
    const reports = client.streamCoreMetrics({ reportInterval: { seconds: 0n, nanos: 1 } })[Symbol.asyncIterator]();
    for (let index = 0; index < 3; index++) {
      const { value } = await reports.next();
      assertMatches(value?.namedMetrics, { slots: 4, running: 0, waiting: 0 });
      assert.isAtLeast(value?.memUtilization ?? -1, 0);
    }
    const closed = server.close();
    const rest = await errorOf(
      (async () => {
        while ((await reports.next()).done !== true);
      })(),
    );
    assert.strictEqual(rest.code, Code.Unavailable);
    await closed;
  });

  it("are told nowhere when they are off", async () => {
    await using server = await startTestServer({ config: { loadReports: false } });
    const transport = createGrpcTransport({ baseUrl: server.url });
    let told: string | null = "";
    await createClient(GenerationService, transport).generate(
      { task },
      { onTrailer: (trailer) => (told = trailer.get("endpoint-load-metrics-bin")) },
    );
    assert.isNull(told);
    const reports = createClient(OpenRcaService, transport).streamCoreMetrics({})[Symbol.asyncIterator]();
    assert.strictEqual((await errorOf(reports.next())).code, Code.Unimplemented);
  });
});

/** A server whose calls take a place for 40 ms each, as generations do, and counts them. */
const startBusy = async (maxRunning: number) => {
  let calls = 0;
  const server: TestServer = await startTestServer({
    maxRunning,
    stream: () => {
      calls += 1;
      return Stream.unwrap(
        Effect.gen(function* () {
          yield* admission.admit("demo", { priority: 0, fairnessId: "" });
          yield* Effect.sleep(40);
          stats.ended("demo", "succeeded", undefined);
          return Stream.fromIterable(eventsOf(["a"]));
        }).pipe(Effect.scoped, Effect.orDie),
      );
    },
  });
  const [admission, stats] = await server.runtime.runPromise(Effect.all([Admission, Stats]));
  return { server, calls: () => calls };
};

const request = Buffer.from(toBinary(GenerateRequestSchema, create(GenerateRequestSchema, { task })));
const path = "/mlxd.v1.GenerationService/Generate";

describe.each([
  ["out of band", true],
  ["in trailers", false],
])("a client of grpc-js with weighted_round_robin, told %s", (_, enable_oob_load_report) => {
  it("sends more to the server that has more room", { timeout: 120_000 }, async () => {
    const [large, small] = await Promise.all([startBusy(16), startBusy(1)]);
    const balancing = {
      weighted_round_robin: {
        enable_oob_load_report,
        oob_load_reporting_period: "0.2s",
        blackout_period: "0s",
        weight_update_period: "0.2s",
      },
    };
    const client = new grpc.Client(
      `ipv4:127.0.0.1:${large.server.port},127.0.0.1:${small.server.port}`,
      grpc.credentials.createInsecure(),
      { "grpc.service_config": JSON.stringify({ loadBalancingConfig: [balancing] }) },
    );
    const call = () =>
      new Promise<void>((resolve, reject) => {
        client.makeUnaryRequest(
          path,
          (bytes: Buffer) => bytes,
          (bytes) => fromBinary(GenerateResponseSchema, bytes),
          request,
          (error) => (error ? reject(error) : resolve()),
        );
      });
    const callsFor = async (ms: number) => {
      const until = performance.now() + ms;
      const caller = async () => {
        while (performance.now() < until) await call();
      };
      await Promise.all(Array.from({ length: 6 }, caller));
    };
    // Round robin would send half to each. On a busy machine reports come late, so there are several rounds.
    let [toLarge, toSmall] = [0, 0];
    for (let round = 0; round < 12 && (toLarge <= 3 * toSmall || toSmall === 0); round++) {
      const before = [large.calls(), small.calls()] as const;
      await callsFor(2_000);
      [toLarge, toSmall] = [large.calls() - before[0], small.calls() - before[1]];
    }
    assert.isAbove(toLarge, 3 * toSmall);
    assert.isAbove(toSmall, 0);
    client.close();
    await Promise.all([large.server.close(), small.server.close()]);
  });
});
