/** The prefix cache of an engine's process: forwards its reports, and clears parts of it on request. */
import { Deferred, Effect, Exit } from "effect";

import type { FromWorker } from "../../worker/protocol/from-worker.ts";
import type { PrefixReport } from "../../worker/protocol/prefix-report.ts";
import type { ClearedPrefixes, PrefixSelection } from "../Engine.ts";
import type { PrefixUse } from "../PrefixUse.ts";
import type { WorkerProcess } from "./WorkerProcess.ts";

type ClearedMessage = Extract<FromWorker, { type: "prefixes-cleared" }>;

export class EnginePrefixes {
  private readonly model: string;
  private readonly use: PrefixUse;
  /** Undefined while no process is ready; there is nothing to clear then. */
  private worker: WorkerProcess | undefined;
  private readonly clearing = new Map<number, Deferred.Deferred<ClearedPrefixes>>();
  private nextRequest = 0;

  constructor(model: string, use: PrefixUse) {
    this.model = model;
    this.use = use;
  }

  /** Completes when the selected part is cleared. If the process dies before that, its whole cache is gone. */
  clear(selection: PrefixSelection): Effect.Effect<ClearedPrefixes> {
    return Effect.suspend(() => {
      if (this.worker === undefined) return Effect.succeed(nothing);
      const request = this.nextRequest++;
      const done = Deferred.makeUnsafe<ClearedPrefixes>();
      this.clearing.set(request, done);
      this.worker.send({ type: "clear-prefixes", request, selection });
      return Effect.ensuring(
        Deferred.await(done),
        Effect.sync(() => this.clearing.delete(request)),
      );
    });
  }

  begin(worker: WorkerProcess): void {
    this.worker = worker;
  }

  receive(report: PrefixReport | undefined): void {
    if (report !== undefined) this.use.report(this.model, report);
  }

  cleared({ request, cleared, prefixes }: ClearedMessage): void {
    this.receive(prefixes);
    const done = this.clearing.get(request);
    if (done !== undefined) Deferred.doneUnsafe(done, Exit.succeed(cleared));
  }

  /** The process has ended or is about to be. */
  loseProcess(): void {
    this.worker = undefined;
    const { entries, bytes } = this.use.of(this.model) ?? nothing;
    this.use.processEnded(this.model);
    for (const done of this.clearing.values()) Deferred.doneUnsafe(done, Exit.succeed({ entries, bytes }));
  }
}

const nothing: ClearedPrefixes = { entries: 0, bytes: 0 };
