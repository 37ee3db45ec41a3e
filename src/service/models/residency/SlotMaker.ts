/** Makes the slots of models. The engines of folder models start within the memory budget. */
import { type Clock, Effect, type Fiber, type Scope } from "effect";

import type { EngineSettings } from "../../config/EngineConfig.ts";
import { type LoadFailure, ModelBroken, type ModelChanged, ModelTooLarge } from "../../domain/errors.ts";
import { localEngine } from "../../domain/engine-names.ts";
import type { ModelFacts } from "../../domain/model.ts";
import { type EngineBackend, type EngineDevice, type EngineStatus, takenBytes } from "../../engine/EngineStatus.ts";
import type { ConversationDriver, Engines } from "../../engine/Engines.ts";
import type { FolderEntry } from "../catalog/catalog.ts";
import type { ConversationEntry } from "../catalog/declared-conversation-model.ts";
import { type Footprint, footprintOf } from "../memory/footprint.ts";
import type { Reservations } from "../memory/Reservations.ts";
import { refusalOf } from "../prompting/cached-tools.ts";
import { draftOf, unusableDraft } from "./draft-of.ts";
import type { FolderMember } from "./members.ts";
import { ModelSlot } from "./ModelSlot.ts";
import type { PoolUse } from "./PoolUse.ts";
import { retentionOf } from "./retention-of.ts";
import type { ModelSlotOptions } from "./SlotState.ts";

interface SlotMakerParts {
  readonly engines: Engines["Service"];
  readonly engineConfig: EngineSettings;
  readonly reservations: Reservations;
  readonly use: PoolUse;
  /** The idle time of models that have none of their own. */
  readonly idleTtlMs: number;
  /** Holds the engines. */
  readonly scope: Scope.Scope;
  readonly run: (effect: Effect.Effect<void>) => Fiber.Fiber<void>;
  readonly clock: Clock.Clock;
  /** Called after each change of a model's state. */
  readonly onChange: () => void;
  readonly onFilesChanged: (facts: ModelFacts) => void;
}

export class SlotMaker {
  /** The device of the engine started last. */
  device: EngineDevice | undefined;
  /** What that engine computes with. */
  backend: EngineBackend;
  private readonly parts: SlotMakerParts;
  /** Bytes that each model needs, as known so far. */
  private readonly needed = new WeakMap<ModelSlot, { bytes: number }>();

  constructor(parts: SlotMakerParts) {
    this.parts = parts;
    this.backend = { version: parts.engines.versionOf(localEngine), binding: "", reason: "" };
  }

  /** Bytes that a model is known to need: its footprint, or what its process took if that was more. */
  neededBytes(slot: ModelSlot): number | undefined {
    return this.needed.get(slot)?.bytes;
  }

  make(entry: FolderEntry, tools: FolderMember["tools"], unchanged: Effect.Effect<void, ModelChanged>): ModelSlot {
    const { engines, engineConfig, reservations, idleTtlMs } = this.parts;
    const { facts, policy, profile } = entry;
    const draft = draftOf(entry, engineConfig);
    const footprint = footprintOf(facts, draft?.facts, engineConfig);
    const needed = { bytes: footprint.neededBytes };
    const drafting = { allowed: profile.allowsDraft, directory: draft?.facts.directory };
    const slot: ModelSlot = new ModelSlot({
      facts,
      refusal: refusalOf(entry),
      retention: retentionOf(policy, idleTtlMs),
      // Whatever can fail without an engine fails before another model is evicted.
      start: Effect.flatMap(Effect.andThen(engines.prepare(facts.engine), tools), ({ vocabulary }) =>
        draft?.problem !== undefined
          ? Effect.fail(new ModelBroken({ model: facts.id, cause: unusableDraft(draft.facts.id, draft.problem) }))
          : Effect.andThen(
              Effect.suspend(() => reservations.reserve(slot, needed.bytes)),
              Effect.tap(engines.start(facts, vocabulary, drafting, unchanged, needed.bytes), (engine) =>
                Effect.flatMap(engine.status, (status) => this.correct(slot, footprint, status)),
              ),
            ),
      ),
      onFilesChanged: () => this.parts.onFilesChanged(facts),
      ...this.budgeted(() => slot, needed),
      ...this.common(facts.id),
    });
    this.needed.set(slot, needed);
    return slot;
  }

  /** Only where this service starts the model's server does its memory count. */
  makeForConversations(
    { facts, policy, backend, memoryBytes }: ConversationEntry,
    driver: ConversationDriver,
  ): ModelSlot {
    const { idleTtlMs, reservations, onChange } = this.parts;
    const start = driver.start(facts, backend, (stage) => Effect.sync(() => slot.showStart(stage)));
    const needed = { bytes: memoryBytes ?? 0 };
    const slot: ModelSlot = new ModelSlot({
      facts,
      refusal: undefined,
      retention: retentionOf(policy, idleTtlMs),
      onFilesChanged: () => {},
      ...this.common(facts.id),
      ...(memoryBytes === undefined
        ? { start, onMeasured: () => {}, overdraft: () => undefined, fits: () => true, onChange, onIdle: () => {} }
        : {
            start: Effect.andThen(
              Effect.suspend(() => reservations.reserve(slot, needed.bytes)),
              start,
            ),
            ...this.budgeted(() => slot, needed),
          }),
    });
    if (memoryBytes !== undefined) this.needed.set(slot, needed);
    return slot;
  }

  /** What the slot of an engine does that takes of the memory budget. */
  private budgeted(
    slot: () => ModelSlot,
    needed: { bytes: number },
  ): Pick<ModelSlotOptions, "onMeasured" | "overdraft" | "fits" | "onChange" | "onIdle"> {
    const { reservations, onChange } = this.parts;
    return {
      onMeasured: (bytes) => {
        // It is likely to need as much again. A budget that is lowered does not make it need less.
        needed.bytes = Math.max(needed.bytes, Math.min(reservations.limits.budgetBytes, bytes));
        reservations.measure(slot(), bytes);
      },
      overdraft: () => reservations.overdraft(slot()),
      fits: () => {
        const { fits, evict } = reservations.room(slot(), needed.bytes);
        return fits && evict.length === 0;
      },
      onChange: () => {
        onChange();
        reservations.advance();
      },
      onIdle: () => reservations.advance(),
    };
  }

  private common(id: string): Pick<ModelSlotOptions, "scope" | "run" | "clock" | "onLoaded" | "onLeft"> {
    const { scope, run, clock, use } = this.parts;
    return {
      scope,
      run,
      clock,
      onLoaded: (exit) => use.loaded(id, exit),
      onLeft: (why) => use.left(id, why),
    };
  }

  /** Its caches are still empty, so memory beyond the foreseen weights and process is needed in addition to them. */
  private correct(slot: ModelSlot, footprint: Footprint, status: EngineStatus): Effect.Effect<void, LoadFailure> {
    const { reservations } = this.parts;
    const { budgetBytes } = reservations.limits;
    const needed = this.needed.get(slot);
    this.device = status.device ?? this.device;
    this.backend = status.backend ?? this.backend;
    const unforeseen = takenBytes(status) - footprint.weightBytes - footprint.processBytes;
    if (unforeseen <= 0 || needed === undefined) return Effect.void;
    needed.bytes = Math.max(needed.bytes, footprint.neededBytes + unforeseen);
    const { bytes: neededBytes } = needed;
    if (neededBytes > budgetBytes) {
      return Effect.fail(new ModelTooLarge({ model: slot.id, neededBytes, availableBytes: budgetBytes }));
    }
    return reservations.raise(slot, neededBytes)
      ? Effect.void
      : Effect.fail(reservations.fullAfter(slot, neededBytes, 0));
  }
}
