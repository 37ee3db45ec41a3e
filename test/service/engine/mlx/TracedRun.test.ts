import { Exit } from "effect";
import { assert, it } from "vitest";

import type { EngineRun, StepTimes } from "../../../../src/service/engine/mlx/EngineRun.ts";
import { TracedRun } from "../../../../src/service/engine/mlx/TracedRun.ts";
import type { SequenceEvent } from "../../../../src/service/worker/protocol/sequence-events.ts";
import type { SubmitMessage } from "../../../../src/service/worker/protocol/submit-message.ts";

interface Written {
  readonly name: string;
  readonly from: number;
  readonly to: number;
  readonly attributes: Readonly<Record<string, unknown>>;
}

/** Ends with `finished`, as runs do. */
const plainRun = (): EngineRun => ({
  sequence: 1,
  deaths: 0,
  id: "gen_1",
  streamed: false,
  submission: {} as SubmitMessage,
  receive: ({ type }) => (type === "finished" ? { exit: Exit.void, isComputing: false } : undefined),
  cancel: () => {},
});

const traced = () => {
  const written: Written[] = [];
  const run = plainRun();
  const trace = new TracedRun(run, (name, from, to, attributes) => written.push({ name, from, to, attributes }), 1_000);
  const receive = (event: SequenceEvent, step: StepTimes | undefined) =>
    trace.receive(event, { model: "m", mayDeliver: () => true, step });
  return { run, trace, written, receive };
};

const step = (from: number, to: number, rows = 1): StepTimes => ({ pid: 7, from, to, rows });
const token = { type: "token", sequence: 1, tokenId: 5 } as const;
const admitted = { type: "admitted", sequence: 1, cachedPromptTokens: 3 } as const;

it("writes the wait, the prefill with its slices, and bursts of a second", () => {
  const { written, receive } = traced();
  receive(admitted, step(1_010, 1_020));
  receive({ type: "progress", sequence: 1 }, step(1_020, 1_050));
  receive({ type: "progress", sequence: 1 }, step(1_050, 1_080));
  receive(token, step(1_080, 1_100));
  for (let at = 1_100; at < 2_600; at += 100) receive(token, step(at, at + 100, 4));
  const end = receive({ type: "finished", sequence: 1, reason: "stop-token" }, step(2_600, 2_610));
  assert.isDefined(end);
  assert.deepEqual(
    written.map(({ name, from, to }) => [name, from, to]),
    [
      ["engine.wait", 1_000, 1_010],
      ["engine.prefill", 1_010, 1_100],
      ["engine.decode", 1_080, 2_000],
      ["engine.decode", 2_000, 2_600],
    ],
  );
  const [, prefill, first, second] = written;
  assert.deepInclude(prefill?.attributes, {
    "mlxd.prefill.slices": 2,
    "mlxd.prompt.cached_tokens": 3,
    "process.pid": 7,
  });
  assert.strictEqual(
    Number(first?.attributes["mlxd.output.tokens"]) + Number(second?.attributes["mlxd.output.tokens"]),
    16,
  );
  assert.strictEqual(second?.attributes["mlxd.batch.rows"], 4);
});

it("counts the tokens of one step as one step", () => {
  const { written, receive } = traced();
  receive(admitted, step(0, 1));
  const verified = step(1, 5);
  for (let index = 0; index < 4; index++) receive(token, verified);
  receive({ type: "finished", sequence: 1, reason: "stop-token" }, verified);
  assert.deepInclude(written.at(-1)?.attributes, { "mlxd.output.tokens": 4, "mlxd.decode.steps": 1 });
});

it("begins anew with another process, and ends its burst when it is cancelled", () => {
  const { trace, written, receive } = traced();
  receive(admitted, step(0, 10));
  receive(token, step(10, 20));
  receive(admitted, step(500, 510));
  receive(token, step(510, 520));
  trace.cancel();
  assert.deepEqual(
    written.map(({ name }) => name),
    ["engine.wait", "engine.prefill", "engine.decode", "engine.wait", "engine.prefill", "engine.decode"],
  );
});

it("is the run that it traces in all else, and writes nothing of what no step brought", () => {
  const { run, trace, written, receive } = traced();
  trace.sequence = 9;
  trace.deaths = 2;
  assert.deepInclude(run, { sequence: 9, deaths: 2 });
  assert.strictEqual(trace.id, "gen_1");
  receive({ type: "unconstrainable", sequence: 9, reason: "" }, undefined);
  assert.isEmpty(written);
});
