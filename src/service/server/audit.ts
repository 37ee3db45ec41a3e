/** One line for each administrative call: who, what, on which model, and how it ended. */
import { appendFile, open } from "node:fs/promises";
import type { ConnectError, HandlerContext } from "@connectrpc/connect";
import { Effect, Schema, type Scope } from "effect";

import { callerOf, evidenceOf, requestId, targetOf } from "../rpc/call-values.ts";
import { reasonIn } from "../rpc/error-details.ts";

/** The audit file cannot be written. A service that has to be audited does not start without it. */
export class AuditUnusable extends Schema.TaggedError<AuditUnusable>()("AuditUnusable", { code: Schema.String }) {
  override get message(): string {
    return `MLXD_AUDIT_LOG: the file cannot be written (${this.code})`;
  }
}

export interface AuditEntry {
  readonly tenant: string;
  /** The caller's credential without anything secret; `none` if authentication is off. */
  readonly credential: string;
  readonly peer: string;
  readonly method: string;
  /** The model's name in the call. */
  readonly model?: string;
  /** `OK`, or the reason of the error. */
  readonly outcome: string;
  readonly requestId: string;
}

export type Audit = (entry: AuditEntry) => void;

/** @param error that the call ended with; undefined: it succeeded */
export const entryOf = (
  { values, service, method }: Pick<HandlerContext, "values" | "service" | "method">,
  error: ConnectError | undefined,
): AuditEntry => {
  const caller = values.get(callerOf);
  const model = values.get(targetOf);
  return {
    tenant: caller?.tenant ?? "",
    credential: caller?.credential ?? "none",
    peer: values.get(evidenceOf).peer,
    method: `${service.typeName}/${method.name}`,
    ...(model !== undefined && { model }),
    outcome: error === undefined ? "OK" : reasonIn(error),
    requestId: values.get(requestId) ?? "",
  };
};

/** @param file one line of JSON each; undefined: they go to the log */
export const makeAudit = (file: string | undefined): Effect.Effect<Audit, AuditUnusable, Scope.Scope> =>
  Effect.gen(function* () {
    const runFork = Effect.runForkWith(yield* Effect.context<never>());
    const toLog: Audit = (entry) => {
      runFork(Effect.annotateLogs(Effect.logInfo("administrative call"), { ...entry }));
    };
    if (file === undefined) return toLog;
    yield* Effect.tryPromise({
      try: async () => (await open(file, "a", ownerOnly)).close(),
      catch: (cause) => new AuditUnusable({ code: codeOf(cause) }),
    });
    const lines = new FileLines(file, (code, entry) => {
      runFork(Effect.logError("the audit's file cannot be written").pipe(Effect.annotateLogs({ code })));
      toLog(entry);
    });
    yield* Effect.addFinalizer(() => Effect.promise(() => lines.written).pipe(Effect.timeoutOption(flushMs)));
    return (entry) => lines.write(entry);
  });

const ownerOnly = 0o600;
const flushMs = 5000;
/** Bounded, because a disk that hangs must not fill memory. */
const maxPending = 10_000;

/** Writes lines in order, and opens the file for each, because it may be moved away at any time. */
class FileLines {
  written: Promise<void> = Promise.resolve();
  #pending = 0;
  readonly #file: string;
  readonly #onFailure: (code: string, entry: AuditEntry) => void;

  constructor(file: string, onFailure: (code: string, entry: AuditEntry) => void) {
    this.#file = file;
    this.#onFailure = onFailure;
  }

  write(entry: AuditEntry): void {
    if (this.#pending >= maxPending) return this.#onFailure("TOO_MANY_WAIT", entry);
    this.#pending += 1;
    const line = `${JSON.stringify({ time: new Date().toISOString(), ...entry })}\n`;
    this.written = this.written
      .then(() => appendFile(this.#file, line, { mode: ownerOnly }))
      .catch((cause: unknown) => this.#onFailure(codeOf(cause), entry))
      .finally(() => (this.#pending -= 1));
  }
}

const codeOf = (cause: unknown): string => (cause as NodeJS.ErrnoException).code ?? "unknown error";
