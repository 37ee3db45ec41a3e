/**
 * An engine process: one model, all of MLX on its one thread. It is started by the service with an IPC channel and ends
 * with it. A C++ exception or a failed allocation in MLX ends the process and nothing else.
 */
import { Constraints } from "./constraint.ts";
import { loadCheckpoint, warmUp } from "./checkpoint.ts";
import { LoadError } from "./load-error.ts";
import { breathe, collect, device } from "./mlx.ts";
import type { FromWorker, LoadMessage, SubmitMessage, ToWorker, WorkerMemory } from "./protocol.ts";
import { Scheduler } from "./scheduler.ts";

const send = (message: FromWorker): void => {
  if (process.connected) process.send?.(message);
};

let scheduler: Scheduler | undefined;
let constraints: Constraints | undefined;
/** Ends the pause of an idle loop. */
let wake = (): void => {};

const load = async (message: LoadMessage): Promise<void> => {
  try {
    const model = await loadCheckpoint(message.directory);
    warmUp(model);
    constraints = new Constraints(model.vocabularySize, message.limits.maxBatch);
    scheduler = new Scheduler(model, message.limits, () => performance.now(), constraints);
  } catch (cause) {
    const reason = cause instanceof LoadError ? cause.message : `unexpected: ${String(cause)}`;
    process.send?.({ type: "load-failed", reason } satisfies FromWorker, () => process.exit(1));
    return;
  }
  send({ type: "ready", device, memory: memoryOf(scheduler) });
  void run(scheduler);
};

const memoryOf = ({ kvCacheBytes, prefixCacheBytes }: Scheduler): WorkerMemory => ({
  residentBytes: process.memoryUsage.rss(),
  kvCacheBytes,
  prefixCacheBytes,
});

const run = async (of: Scheduler): Promise<void> => {
  try {
    for (;;) {
      if (of.idle) await rest(of);
      const work = of.step();
      send({
        type: "step",
        events: of.takeEvents(),
        memory: memoryOf(of),
      });
      await breathe(work);
    }
  } catch (cause) {
    const reason = cause instanceof Error ? (cause.stack ?? cause.message) : String(cause);
    process.send?.({ type: "crash", reason } satisfies FromWorker, () => process.exit(1));
  }
};

/** Compiling a grammar takes a while: the others go on, and its sequence is in the queue once it is done. */
const submit = (message: SubmitMessage): void => {
  const { sequence, constraint } = message;
  if (constraint === undefined) {
    scheduler?.submit(message);
    wake();
    return;
  }
  constraints?.open(sequence, constraint, (problem) => {
    if (problem === undefined) scheduler?.submit(message);
    else {
      const events = [{ type: "unconstrainable", sequence, reason: problem }] as const;
      if (scheduler !== undefined) send({ type: "step", events, memory: memoryOf(scheduler) });
    }
    wake();
  });
};

/** Waits for work, and frees what the last left behind once none has come for a moment: a collection would hold it up. */
const rest = async (of: Scheduler): Promise<void> => {
  await pause(restMs);
  if (!of.idle) return;
  await collect();
  if (of.idle) await pause(undefined);
};

/** Until something is asked for, or the time is over. */
const pause = async (ms: number | undefined): Promise<void> => {
  let timer: NodeJS.Timeout | undefined;
  await new Promise<void>((resolve) => {
    wake = resolve;
    if (ms !== undefined) timer = setTimeout(resolve, ms);
  });
  clearTimeout(timer);
};

const restMs = 50;

process.on("message", (message: ToWorker) => {
  switch (message.type) {
    case "load":
      void load(message);
      break;
    case "vocabulary":
      constraints?.setVocabulary(message);
      break;
    case "submit":
      submit(message);
      break;
    case "cancel":
      if (constraints?.abandon(message.sequence) === true) break;
      scheduler?.cancel(message.sequence);
      wake();
      break;
  }
});

// The service is gone, however it ended: nobody is left to compute for.
process.on("disconnect", () => process.exit(0));
// Ctrl-C reaches the whole process group; the service decides when its engines end.
process.on("SIGINT", () => {});
