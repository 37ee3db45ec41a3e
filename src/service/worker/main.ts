/**
 * An engine process: one model, with all of MLX on one thread. The service starts it with an IPC channel, and it ends
 * with the service. A C++ exception or a failed allocation in MLX ends this process and nothing else.
 */
import { Worker } from "node:worker_threads";

import { Constraints } from "./constraints/constraints.ts";
import type { Model } from "./architectures/Model.ts";
import { loadCheckpoint, type WeightsForm } from "./checkpoint.ts";
import { isOutOfMemory, LoadError, MemoryError } from "./files/load-error.ts";
import { DeviceMemory } from "./device-memory.ts";
import { binding, collect, collectBetweenSteps, device, finishCommands, loading } from "./mlx.ts";
import type { FromWorker, WorkerMemory } from "./protocol/from-worker.ts";
import type { SubmitMessage } from "./protocol/submit-message.ts";
import type { LoadMessage, ToWorker } from "./protocol/to-worker.ts";
import { Scheduler } from "./scheduler/scheduler.ts";
import { checkAgainstItself } from "./self-check.ts";
import { Turn } from "./turn.ts";
import { DraftModel } from "./speculation/draft-model.ts";
import { loadDraftModel, mainCacheBytes } from "./speculation/load-draft-model.ts";
import { Speculator } from "./speculation/speculator.ts";

const send = (message: FromWorker): void => {
  if (process.connected) process.send?.(message);
};

const deviceMemory = new DeviceMemory();
const turn = new Turn(() => {
  finishCommands();
  send({ type: "stopped" });
});
loading.pause = () => turn.come();
let scheduler: Scheduler | undefined;
let constraints: Constraints | undefined;
/** Ends the pause of an idle loop. */
let wake = (): void => {};

const load = async (message: LoadMessage): Promise<void> => {
  try {
    if (message.takesTurns) turn.take();
    await turn.come();
    deviceMemory.limit(message.reservedBytes);
    assertComputable(message.weights);
    const model = await loadCheckpoint(message.directory, formOf(message));
    checkAgainstItself(model);
    const { limits, speculator } = await loadSpeculator(message, model);
    constraints = new Constraints(model.vocabularySize, limits.maxBatch);
    scheduler = new Scheduler(model, limits, () => performance.now(), { speculator, constraints });
  } catch (cause) {
    const kind = isOutOfMemory(cause) ? "memory" : "checkpoint";
    const isTold = cause instanceof LoadError || cause instanceof MemoryError;
    const reason = isTold ? cause.message : `unexpected: ${String(cause)}`;
    process.send?.({ type: "load-failed", kind, reason } satisfies FromWorker, () => process.exit(1));
    return;
  }
  const { core, reason } = binding;
  const mlx = { version: core.version, binding: core.binding, reason };
  send({ type: "ready", device, mlx, memory: memoryOf(scheduler) });
  void run(scheduler);
};

/** Undefined: the device's default. */
const formOf = ({ weights }: LoadMessage): WeightsForm | undefined => (weights === "auto" ? undefined : weights);

const assertComputable = (weights: LoadMessage["weights"]): void => {
  if (weights === "auto" || binding.core.binding === "own" || device === "metal") return;
  throw new LoadError(
    `node-mlx computes in float32 alone on a CPU: MLXD_WEIGHTS=${weights} needs mlxd's own binding of MLX`,
  );
};

/** Loads the draft model, if there is one, and computes the limits that remain for the main model. */
const loadSpeculator = async (message: LoadMessage, model: Model) => {
  const { directory, draftDirectory, limits, speculation } = message;
  if (speculation === "off") return { limits, speculator: undefined };
  if (draftDirectory === undefined) return { limits, speculator: new Speculator(speculation) };
  const draft = await loadDraftModel(draftDirectory, directory, model, formOf(message));
  checkAgainstItself(draft);
  const kvCacheBytes = mainCacheBytes(limits.kvCacheBytes, model, draft);
  const drafter = new DraftModel(draft, {
    kvCacheBytes: limits.kvCacheBytes - kvCacheBytes,
    sliceTokens: limits.prefillSliceTokens,
    vocabularySize: model.vocabularySize,
  });
  return { limits: { ...limits, kvCacheBytes }, speculator: new Speculator(speculation, drafter) };
};

const memoryOf = ({ kvCacheBytes, prefixCacheBytes }: Scheduler): WorkerMemory => {
  const { residentBytes, activeBytes, cachedBytes, peakBytes } = processMemory();
  return {
    residentBytes,
    kvCacheBytes,
    prefixCacheBytes,
    mlxActiveBytes: activeBytes,
    mlxCacheBytes: cachedBytes,
    mlxPeakBytes: peakBytes,
  };
};

const prefixesOf = (of: Scheduler) => {
  const prefixes = of.takePrefixReport();
  return prefixes === undefined ? undefined : { prefixes };
};

/** Measured at intervals, because asking the system at every step would cost more than the rest of the message. */
const processMemory = () => {
  const now = performance.now();
  if (now - measured.at >= measureMs) measured = measure(now);
  return measured;
};

const measure = (at: number) => ({ at, residentBytes: process.memoryUsage.rss(), ...deviceMemory.use });

let measured = measure(-Infinity);
const measureMs = 50;

const run = async (of: Scheduler): Promise<void> => {
  try {
    for (;;) {
      if (of.idle) await turn.rest(rest(of));
      else await turn.come();
      const begun = performance.now();
      const debt = of.step();
      const done = performance.now();
      const work = { ...of.lastWork, ms: done - begun, at: performance.timeOrigin + done };
      const events = of.takeEvents();
      deviceMemory.afterStep(events.some(({ type }) => type === "progress"));
      const isWork = work.rows + work.prefillTokens > 0;
      send({ type: "step", events, memory: memoryOf(of), ...prefixesOf(of), ...(isWork && { work }) });
      await collectBetweenSteps(debt);
    }
  } catch (cause) {
    const reason = cause instanceof Error ? (cause.stack ?? cause.message) : String(cause);
    process.send?.({ type: "crash", reason } satisfies FromWorker, () => process.exit(1));
  }
};

const clearPrefixes = ({ request, selection }: Extract<ToWorker, { type: "clear-prefixes" }>): void => {
  // Memory is not reported before the model is loaded.
  if (scheduler === undefined) return;
  const cleared = scheduler.clearPrefixes(selection);
  deviceMemory.afterStep(true);
  send({ type: "prefixes-cleared", request, cleared, memory: memoryOf(scheduler), ...prefixesOf(scheduler) });
};

/** Compiling a grammar takes a while. Meanwhile other sequences continue; this one is queued when it is done. */
const submit = (message: SubmitMessage): void => {
  const { sequence, constraint, maxOutputTokens } = message;
  if (constraint === undefined) {
    scheduler?.submit(message);
    wake();
    return;
  }
  constraints?.open(sequence, constraint, maxOutputTokens, (problem) => {
    if (problem === undefined) scheduler?.submit(message);
    else {
      const events = [{ type: "unconstrainable", sequence, reason: problem }] as const;
      if (scheduler !== undefined) send({ type: "step", events, memory: memoryOf(scheduler) });
    }
    wake();
  });
};

/**
 * Waits for work. If none comes for a moment, it frees what the last work left behind; doing so at once would delay new
 * work.
 */
const rest = async (of: Scheduler): Promise<void> => {
  await pause(restMs);
  if (!of.idle) return;
  await collect();
  deviceMemory.unwire();
  // Nothing is reported while idle, so the last report has to contain the final values.
  measured = measure(performance.now());
  send({ type: "step", events: of.takeEvents(), memory: memoryOf(of), ...prefixesOf(of) });
  if (of.idle) await pause(undefined);
  deviceMemory.wire();
};

/** Waits for a request, or until the time is over. */
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
    case "ping":
      send({ type: "pong" });
      break;
    case "start":
      turn.start();
      break;
    case "stop":
      turn.stop();
      break;
    case "end":
      leave();
      break;
    case "clear-prefixes":
      clearPrefixes(message);
      break;
    case "cancel":
      if (constraints?.abandon(message.sequence) === true) break;
      scheduler?.cancel(message.sequence);
      wake();
      break;
  }
});

/**
 * Called between two steps, because macOS has panicked over processes that ended while the GPU was working for them.
 */
const leave = (): never => {
  finishCommands();
  process.exit(0);
};

if (process.platform !== "linux") {
  new Worker(new URL("./parent-watch.ts", import.meta.url), { workerData: { parent: process.ppid } }).unref();
}

// The service has ended, so there is nobody to compute for.
process.on("disconnect", leave);
// Ctrl-C reaches the whole process group, but the service decides when its engines end.
process.on("SIGINT", () => {});
