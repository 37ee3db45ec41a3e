/** One process of a managed server, with those that it starts, from its start to its end. */
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
  /** Its connections end with it, and with them the requests that run. */
  readonly dispatcher: Dispatcher;
  /** Completes when it takes no more requests. */
  readonly over: Effect.Effect<void>;
  /** Has it tried: where it does not answer any more it is ended. */
  readonly doubt: Effect.Effect<void>;
}

/** How its life went. */
export interface ServerDeath {
  readonly phase: "loading" | "serving";
  /** A clause. */
  readonly how: string;
  /** `missing`: there is no such program. `port`: another one had taken its port. */
  readonly cause?: "missing" | "port";
}

interface ServerListener {
  readonly onStage: (stage: StartStage) => Effect.Effect<void>;
  /** It has answered: from here on it may be given requests. */
  readonly onServing: (server: RunningServer) => Effect.Effect<void>;
  /** It takes no more requests. Its processes may not be gone yet. */
  readonly onOver: Effect.Effect<void>;
  /** Told every few seconds what its processes have resident. */
  readonly onMeasured: (residentBytes: number) => void;
}

/**
 * Ends with the process. The scope owns it: closing the scope ends it and all that it has started.
 *
 * @param connections made for it and closed with it
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
  // As where this process has no descriptors left.
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
    // Who is told that the model is ready reads what it takes, not what its program took when it began.
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
  // First: who hears that it is over looks for the next one.
  yield* onOver;
  yield* Deferred.succeed(over, undefined);
  const phase = hasServed ? "serving" : "loading";
  // What it wrote is the operator's to read; a caller is told one line, of a server that never served.
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

/** A request has gone wrong that the server may or may not be to blame for: it is asked for a token itself. */
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

/** What could not be measured stays as it was. */
const measure = (group: ProcessGroup, onMeasured: (residentBytes: number) => void): Effect.Effect<void> =>
  Effect.ignore(Effect.map(Effect.tryPromise(group.residentBytes), onMeasured));

/** The whole table of processes is read for it. */
const measureMs = 3_000;

const describeRefusal = ({ status, words }: ServerRefuses, backend: Pick<BackendSettings, "apiKey">): string => {
  const line = withoutKey(words, backend).replaceAll(/[\s\p{Cc}]+/gu, " ");
  return `it refuses a first question (HTTP ${status}): ${[...line].slice(0, 200).join("")}`;
};

const takenPort = /address already in use|EADDRINUSE/i;
