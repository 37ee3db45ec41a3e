/** Carries out what an operator asks of the models in memory. */
import { Effect } from "effect";

import type { ResidencySettings } from "../../config/ResidencyConfig.ts";
import { modelKey } from "../../domain/model-identity.ts";
import { InvalidField, ModelNotFound, type NotAllowed } from "../../domain/errors.ts";
import type { ModelStatus } from "../../domain/model.ts";
import { takesConversations } from "../../engine/Engine.ts";
import type { PrefixUse } from "../../engine/PrefixUse.ts";
import type { ModelCache } from "../memory/ModelCache.ts";
import type { RoomLimits } from "../memory/plan-room.ts";
import type { Reservations } from "../memory/Reservations.ts";
import { nearestNames } from "../names/resolve-name.ts";
import type { Member } from "./members.ts";
import type { ModelSet } from "./ModelSet.ts";
import type { PoolUse } from "./PoolUse.ts";

interface CacheParts {
  readonly models: ModelSet;
  readonly reservations: Reservations;
  readonly use: PoolUse;
  readonly prefixUse: PrefixUse;
  readonly configured: ResidencySettings;
  readonly statusOf: (member: Member) => Effect.Effect<ModelStatus>;
}

export const makeModelCache = (parts: CacheParts): ModelCache => {
  const { models, reservations, use, prefixUse, configured, statusOf } = parts;
  const configuredLimits = roomLimits(configured);
  const statusesOf = (members: ReadonlyArray<Member>) => Effect.forEach(members, statusOf);

  return {
    usage: Effect.gen(function* () {
      const counts = use.byModel;
      const all = yield* Effect.forEach(models.known, (member) => {
        const { id } = member.entry.facts;
        return Effect.map(statusOf(member), (status) => ({ status, use: counts.get(id), prefixes: prefixUse.of(id) }));
      });
      const { loaded, reservedBytes } = reservations.totals;
      return {
        total: use.total,
        limits: roomLimits(reservations.limits),
        configured: configuredLimits,
        loaded,
        reservedBytes,
        prefixes: prefixUse.total,
        models: all.filter(({ status, ...counted }) => counted.use !== undefined || status.loadedAt !== undefined),
      };
    }),

    resize: Effect.fn("ModelCache.resize")(function* (changes) {
      const { budgetBytes = 0 } = changes;
      if (budgetBytes > configured.mostBytes) return yield* tooMuch(budgetBytes, configured.mostBytes);
      const before = roomLimits(reservations.limits);
      const members = models.known;
      const loaded = members.filter(({ slot }) => slot.engine !== undefined);
      reservations.resize(changes);
      const limits = roomLimits(reservations.limits);
      const evicted = loaded.filter(({ slot }) => slot.engine === undefined);
      const leavingSlots = new Set<unknown>(reservations.leavingWhenIdle);
      const leaving = members.filter(({ slot }) => leavingSlots.has(slot));
      const { isOverLimits } = reservations;
      yield* Effect.annotateLogs(Effect.logInfo("the limits of models in memory have changed"), { ...limits });
      yield* Effect.forEach(evicted, ({ slot }) => slot.afterUnloading, { concurrency: "unbounded" });
      return {
        before,
        limits,
        configured: configuredLimits,
        evicted: yield* statusesOf(evicted),
        leaving: yield* statusesOf(leaving),
        isOverLimits,
      };
    }),

    remove: Effect.fn("ModelCache.remove")(function* (key, options) {
      const member = yield* findByKey(models, key);
      const unloaded = yield* member.slot.unload(options);
      return { status: yield* statusOf(member), ...unloaded };
    }),

    clear: Effect.fn("ModelCache.clear")(function* (includePinned) {
      const results = yield* Effect.forEach(
        models.known,
        (member) => Effect.map(member.slot.unloadIdle(includePinned), (result) => ({ member, result })),
        { concurrency: "unbounded" },
      );
      let freedBytes = 0;
      const removed: ModelStatus[] = [];
      const kept: Array<{ readonly status: ModelStatus; readonly reason: string }> = [];
      for (const { member, result } of results) {
        const status = yield* statusOf(member);
        if (typeof result === "string") kept.push({ status, reason: result });
        else if (result.unloaded) {
          removed.push(status);
          freedBytes += result.freedBytes;
        }
      }
      return { removed, kept, freedBytes };
    }),

    clearPrefixes: Effect.fn("ModelCache.clearPrefixes")(function* (model, selection) {
      const members = model === undefined ? models.known : [yield* findByKey(models, model)];
      const cleared = yield* Effect.forEach(
        members,
        Effect.fnUntraced(function* (member) {
          const { engine } = member.slot;
          if (engine === undefined || takesConversations(engine)) return [];
          const { entries, bytes } = yield* engine.clearPrefixes(selection);
          return [{ status: yield* statusOf(member), entries, bytes }];
        }),
        { concurrency: "unbounded" },
      );
      return cleared.flat();
    }),
  };
};

/** A key counts before the names: the id of one model may be the key of another. */
const findByKey = (models: ModelSet, key: string): Effect.Effect<Member, ModelNotFound | NotAllowed> =>
  Effect.suspend(() => {
    const member = models.known.find(({ entry: { facts } }) => modelKey(facts.engine, facts.id) === key.trim());
    return member === undefined ? models.knownOf(key) : Effect.succeed(member);
  }).pipe(
    Effect.catchTag("UnknownBackend", () => {
      const facts = models.known.map(({ entry }) => entry.facts);
      return Effect.fail(new ModelNotFound({ model: key, nearest: nearestNames(facts, key) }));
    }),
  );

const roomLimits = ({ maxLoaded, budgetBytes }: RoomLimits): RoomLimits => ({ maxLoaded, budgetBytes });

const tooMuch = (bytes: number, mostBytes: number): InvalidField => {
  const most = Math.floor((mostBytes / gibibyte) * 100) / 100;
  const description = `${bytes / gibibyte} is more than the ${most} GiB that the GPU of this Mac may hold beside the system`;
  return new InvalidField({ violations: [{ field: "max_memory_gb", description }] });
};

const gibibyte = 1024 ** 3;
