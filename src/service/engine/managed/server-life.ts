/** One process of a managed server, together with its child processes, from start to end. */
import { Deferred, Effect, Queue, type Scope } from "effect";
import type { Dispatcher } from "undici";

import { fillIn, type ManagedServerSettings } from "../../config/managed-backend.ts";
import type { BackendSettings } from "../../config/read-backends.ts";
import type { ServedModel } from "../../domain/model.ts";
import { withoutKey } from "../backends/api-headers.ts";
import { findProgram } from "../../processes/find-program.ts";
import { type ProcessGroup, startGroup } from "../../processes/process-group.ts";
import type { StartStage } from "../Engines.ts";
import { freePort, loopback } from "./free-port.ts";
import { LastLines } from "./last-lines.ts";
import {
  type ProbedServer,
  type ServerRefuses,
  untilItAnswers,
  untilItListens,
  untilItServes,
} from "./wait-until-it-answers.ts";

export interface ManagedBackend extends BackendSettings {
  readonly managed: ManagedServerSettings;
}

/** A process that takes requests. */
export interface RunningServer {
  readonly baseUrl: string;
  /** Its connections are closed when the process ends, and running requests fail. */
  readonly dispatcher: Dispatcher;
  /** Completes when the server takes no more requests. */
  readonly over: Effect.Effect<void>;
  /** Probes the server, and ends it if it no longer answers. */
  readonly doubt: Effect.Effect<void>;
}

/** How the process ended. */
export interface ServerDeath {
  readonly phase: "loading" | "serving";
  /** A clause. */
  readonly how: string;
  /** `missing`: there is no such program. `port`: another program has taken the port. */
  readonly cause?: "missing" | "port";
}

interface ServerListener {
  readonly onStage: (stage: StartStage) => Effect.Effect<void>;
  /** The server has answered: from now on it may be given requests. */
  readonly onServing: (server: RunningServer) => Effect.Effect<void>;
  /** The server takes no more requests. Its processes may still be ending. */
  readonly onOver: Effect.Effect<void>;
  /** Called every few seconds with the resident memory of its processes. */
  readonly onMeasured: (residentBytes: number) => void;
}

/**
 * Completes when the process has ended. The scope owns it: closing the scope ends it and its child processes.
 *
 * @param connections opened for this process, and closed when it ends
 */
export const liveServer = Effect.fnUntraced(function* (
  model: ServedModel,
  backend: ManagedBackend,
  connections: Effect.Effect<Dispatcher, never, Scope.Scope>,
  { onStage, onServing, onOver, onMeasured }: ServerListener,
): Effect.fn.Return<ServerDeath, never, Scope.Scope> {
  const { managed, name } = backend;
  const [program] = managed.command;
  const path = yield* Effect.promise(() => findProgram(program, managed.directory, managed.environment["PATH"]));
  if (path === undefined) {
    const hint = `install it, or say in backends.${name}.command where it is`;
    return { phase: "loading", how: `"${program}" is not there, or cannot be run: ${hint}`, cause: "missing" };
  }
  const output = new LastLines();
  const begun = yield* Effect.result(begin(path, managed, model.source, output));
  // For example, the service has no file descriptors left.
  if (begun._tag === "Failure") return { phase: "loading", how: `it could not be started: ${begun.failure.message}` };
  const { port, group } = begun.success;
  const dispatcher = yield* connections;
  const baseUrl = urlAt(backend.baseUrl, port);
  const probed = { backend: { ...backend, baseUrl }, dispatcher, model: model.source };
  const over = yield* Deferred.make<void>();
  const doubts = yield* Queue.sliding<void>(1);
  let hasServed = false;

  const serve = Effect.gen(function* () {
    yield* onStage("server-starting");
    yield* untilItListens(probed);
    yield* onStage("model-serving");
    yield* untilItServes(probed);
    yield* onStage("model-loading");
    yield* untilItAnswers(probed);
    // Measured before the model is reported as ready, so that its memory includes the model and not just the program.
    yield* measure(group, onMeasured);
    hasServed = true;
    const doubt = Effect.asVoid(Queue.offer(doubts, undefined));
    yield* onServing({ baseUrl, dispatcher, over: Deferred.await(over), doubt });
    return yield* untilItAnswersNoMore(probed, Queue.take(doubts), backend.readTimeoutMs);
  }).pipe(Effect.catchTag("ServerRefuses", (refusal) => Effect.succeed(describeRefusal(refusal, backend))));
  const late = Effect.andThen(
    Effect.sleep(managed.startTimeoutMs),
    Effect.suspend(() =>
      hasServed ? Effect.never : Effect.succeed(`it did not answer within ${managed.startTimeoutMs} ms`),
    ),
  );
  const ended = Effect.map(
    Effect.promise(() => group.ended),
    (how) => `it ended with ${how}`,
  );
  yield* Effect.forkScoped(Effect.forever(Effect.andThen(measure(group, onMeasured), Effect.sleep(measureMs))));
  const how = yield* Effect.raceAllFirst([ended, serve, late]);
  // First, because those who wait for this look for the next process.
  yield* onOver;
  yield* Deferred.succeed(over, undefined);
  const phase = hasServed ? "serving" : "loading";
  // The log gets the server's last lines. A caller gets one of them, and only if the server never became ready.
  yield* Effect.logWarning("the server of a model ends").pipe(
    Effect.annotateLogs({ model: model.id, backend: name, phase, how, output: output.lines.join("\n") }),
  );
  if (hasServed || output.telling === "") return { phase, how };
  return {
    phase,
    how: `${how}; it wrote: ${output.telling}`,
    ...(output.lines.some((line) => takenPort.test(line)) && { cause: "port" }),
  };
});

const begin = Effect.fnUntraced(function* (
  path: string,
  { command: [, ...rest], environment, directory }: ManagedServerSettings,
  model: string,
  output: LastLines,
): Effect.fn.Return<{ readonly port: number; readonly group: ProcessGroup }, Error, Scope.Scope> {
  const port = yield* freePort;
  const fill = (text: string): string => fillIn(text, { host: loopback, port, model });
  const group = yield* Effect.acquireRelease(
    Effect.try({
      try: () =>
        startGroup({
          command: [path, ...rest.map(fill)],
          environment: Object.fromEntries(Object.entries(environment).map(([key, text]) => [key, text && fill(text)])),
          directory,
          onOutput: (text) => output.add(text),
        }),
      catch: (thrown) => (thrown instanceof Error ? thrown : new Error(String(thrown))),
    }),
    ({ end }) => Effect.promise(end),
  );
  return { port, group };
});

const urlAt = (baseUrl: string, port: number): string => {
  const { pathname } = new URL(baseUrl);
  return `http://${loopback}:${port}${pathname}`.replace(/\/+$/, "");
};

/** A request has failed, perhaps because of the server: probe it by requesting one token. */
const untilItAnswersNoMore = (
  probed: ProbedServer,
  doubted: Effect.Effect<void>,
  readTimeoutMs: number,
): Effect.Effect<string> => {
  const how = "it answers no more";
  const trial = untilItAnswers(probed).pipe(
    Effect.as(undefined),
    Effect.catchTag("ServerRefuses", (refusal) =>
      Effect.succeed(`${how}: ${describeRefusal(refusal, probed.backend)}`),
    ),
    Effect.timeoutOrElse({ duration: readTimeoutMs, orElse: () => Effect.succeed(how) }),
  );
  return Effect.flatMap(Effect.andThen(doubted, trial), (found) =>
    found === undefined ? untilItAnswersNoMore(probed, doubted, readTimeoutMs) : Effect.succeed(found),
  );
};

/** If a measurement fails, the previous value stays. */
const measure = (group: ProcessGroup, onMeasured: (residentBytes: number) => void): Effect.Effect<void> =>
  Effect.ignore(Effect.map(Effect.tryPromise(group.residentBytes), onMeasured));

/** Not more often, because each measurement reads the whole process table. */
const measureMs = 3_000;

const describeRefusal = ({ status, words }: ServerRefuses, backend: Pick<BackendSettings, "apiKey">): string => {
  const line = withoutKey(words, backend).replaceAll(/[\s\p{Cc}]+/gu, " ");
  return `it refuses a first question (HTTP ${status}): ${[...line].slice(0, 200).join("")}`;
};

const takenPort = /address already in use|EADDRINUSE/i;
