/** Kills engines at each stage of what they do, and says what became of the calls that they had. */
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { assert } from "vitest";

import { ErrorInfoSchema } from "../../src/client/gen/google/rpc/error_details_pb.ts";
import { GenerationService } from "../../src/client/gen/mlxd/v1/generation_service_pb.ts";
import { ModelService } from "../../src/client/gen/mlxd/v1/model_service_pb.ts";
import type { RunningService } from "../support/running-service.ts";
import { untilActive } from "./at-rest.ts";

export const stages = ["load", "prefill", "decode", "verification", "flush"] as const;
type Stage = (typeof stages)[number];

interface Deaths {
  readonly killed: number;
  /** Calls that were answered all the same, by the next process. */
  readonly answered: number;
  /** Calls that ended with an error that says what happened. */
  readonly told: number;
}

/** What a call may end with whose engine was killed. */
const reasons: ReadonlySet<string> = new Set(["ENGINE_LOST", "ENGINE_RESTARTING", "ENGINE_START_FAILED"]);

/** @param signal what each engine gets, and ends of */
export const killEngines = async (
  service: RunningService,
  stage: Stage,
  times: number,
  signal: NodeJS.Signals = "SIGKILL",
): Promise<Deaths> => {
  // A connection that stays would be a descriptor that stays.
  const transport = createGrpcTransport({ baseUrl: service.url, idleConnectionTimeoutMs: 100 });
  const generation = createClient(GenerationService, transport);
  const models = createClient(ModelService, transport);
  let [answered, told] = [0, 0];

  /** The engine that is there, or that comes. */
  const engine = async (): Promise<number> => {
    for (;;) {
      const [pid] = service.workers();
      if (pid !== undefined) return pid;
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  };
  const kill = (pid: number): void => {
    try {
      process.kill(pid, signal);
    } catch {
      // It has gone already.
    }
  };

  /** A stream of which the engine is killed at this event. */
  const stream = async (prompt: string, tokens: number, isTime: (event: string, chunks: number) => boolean) => {
    const pid = await engine();
    let chunks = 0;
    let killed = false;
    const input = { case: "prompt", value: prompt } as const;
    const task = { input, stop: { ignoreEos: true, maxOutputTokens: tokens } };
    let last = "";
    for await (const { event } of generation.streamGenerate({ task })) {
      last = event.case ?? "";
      if (last === "chunk") chunks += 1;
      if (!killed && isTime(last, chunks)) {
        killed = true;
        kill(pid);
      }
    }
    assert.strictEqual(last, "finished", "a stream that ended well has an end");
  };

  const once: Readonly<Record<Stage, () => Promise<unknown>>> = {
    load: async () => {
      await models.unloadModel({ model: "demo", force: true });
      const loading = models.loadModel({ model: "demo" });
      loading.catch(() => {});
      kill(await engine());
      return loading;
    },
    prefill: () => stream("1 2 3 4 5 6 7 8 9 10 ".repeat(40), 8, (event) => event === "started"),
    decode: () => stream("a b c d", 400, (_, chunks) => chunks === 5),
    // What repeats itself is drafted, and so verified.
    verification: () => stream("1 2 3 1 2 3 1 2 3 1 2 3", 400, (_, chunks) => chunks === 8),
    flush: () => stream("a b c d", 4, (event) => event === "finished"),
  };

  for (let time = 0; time < times; time++) {
    await once[stage]().then(
      () => (answered += 1),
      (cause: unknown) => {
        const error = ConnectError.from(cause);
        const reason = error.findDetails(ErrorInfoSchema)[0]?.reason ?? Code[error.code];
        assert.isTrue(reasons.has(reason), `${stage}: ${reason}: ${error.rawMessage}`);
        told += 1;
      },
    );
    await loaded();
  }
  return { killed: times, answered, told };

  /** A start that failed is not repeated by itself for some seconds; LoadModel repeats it at once. */
  async function loaded(): Promise<void> {
    for (;;) {
      const isLoaded = await models.loadModel({ model: "demo" }).then(
        () => true,
        () => false,
      );
      if (isLoaded) return untilActive(service);
    }
  }
};
