/** The set of models by name: read from the catalog, and read again by reloads while the service runs. */
import { isDeepStrictEqual } from "node:util";
import { Effect, Fiber, Semaphore } from "effect";

import type { EngineSettings } from "../../config/EngineConfig.ts";
import type { ModelsSettings } from "../../config/ModelsConfig.ts";
import { type ConfigurationInvalid, ModelChanged } from "../../domain/errors.ts";
import type { ModelCondition, ModelFacts } from "../../domain/model.ts";
import type { Sandbox } from "../../sandbox/Sandbox.ts";
import type { CatalogEntry } from "../catalog/catalog.ts";
import type { ConversationDrivers } from "../catalog/declared-conversation-model.ts";
import { FolderReadings } from "../files/folder-readings.ts";
import { readFolder, readSandboxed } from "../files/read-sandboxed.ts";
import { assertUnchanged } from "../files/unchanged.ts";
import type { CatalogChange } from "../Models.ts";
import type { NameFailure } from "../names/resolve-name.ts";
import { cachedTools } from "../prompting/cached-tools.ts";
import { draftOf } from "./draft-of.ts";
import { changeOf, conditionsOf, findDefault, findMember, type Member, runsAlike } from "./members.ts";
import { asConfigurationInvalid, type CatalogFailure, readEntries } from "./read-entries.ts";
import { changedRetention, retentionOf } from "./retention-of.ts";
import type { SlotMaker } from "./SlotMaker.ts";

interface SetState {
  readonly settings: ModelsSettings;
  readonly members: ReadonlyArray<Member>;
  /** The model of an empty name. */
  readonly fallback: Member | undefined;
  /** Models that left the catalog and still finish what runs. */
  readonly retired: ReadonlyArray<Member>;
}

interface ModelSetParts {
  readonly sandbox: Sandbox["Service"];
  readonly engineConfig: EngineSettings;
  /** The idle time of models that have none of their own. */
  readonly idleTtlMs: number;
  readonly slots: SlotMaker;
  readonly drivers: ConversationDrivers;
  /** Runs work that continues when the call that started it has left. */
  readonly run: (effect: Effect.Effect<void>) => Fiber.Fiber<void>;
  /** Called whenever a model's condition may have changed. */
  readonly onConditions: (conditions: ReadonlyMap<string, ModelCondition>) => void;
}

export class ModelSet {
  private readonly parts: ModelSetParts;
  private state: SetState;
  private readonly oneAtATime = Semaphore.makeUnsafe(1);
  private readonly readings: FolderReadings;

  /** Empty until `read` has run. */
  constructor(settings: ModelsSettings, parts: ModelSetParts) {
    this.parts = parts;
    this.readings = new FolderReadings(readSandboxed(parts.sandbox));
    this.state = { settings, members: [], fallback: undefined, retired: [] };
  }

  get settings(): ModelsSettings {
    return this.state.settings;
  }

  get fallback(): Member | undefined {
    return this.state.fallback;
  }

  get conditions(): ReadonlyMap<string, ModelCondition> {
    return conditionsOf(this.state.members);
  }

  /** The catalog's models, then resident ones that left it, unless another model has their name now. */
  get known(): ReadonlyArray<Member> {
    const { members, retired } = this.state;
    const leaving = retired.filter(
      ({ entry: { facts }, slot }) => slot.isResident && !members.some((member) => member.entry.facts.id === facts.id),
    );
    return [...members, ...leaving];
  }

  publish(): void {
    this.parts.onConditions(this.conditions);
  }

  /** Reads the catalog for the first time. */
  readonly read: Effect.Effect<void, CatalogFailure> = Effect.suspend(() => {
    const { settings } = this.state;
    return Effect.asVoid(this.adopt(settings)).pipe(
      Effect.mapError((error) =>
        error._tag === "CatalogUnreadable" ? error : asConfigurationInvalid(error, settings),
      ),
    );
  });

  /** Reads the catalog that the settings describe and takes it over as a whole; if it cannot be read, nothing changes. */
  reload(settings: Effect.Effect<ModelsSettings, ConfigurationInvalid>) {
    return Effect.flatMap(settings, (now) =>
      Effect.mapError(this.adopt(now), (error) => asConfigurationInvalid(error, now)),
    ).pipe(
      Effect.tap(() => Effect.sync(() => this.publish())),
      // An interrupted change would leave a mixture of the old and the new catalog.
      Effect.uninterruptible,
      this.oneAtATime.withPermits(1),
      Effect.tap((changed) => Effect.annotateLogs(Effect.logInfo("catalog read anew"), joined(changed))),
      Effect.tapError((error) => staysAsItWas(error.message)),
    );
  }

  /** Reads a model's folder again. Continues when the call that noticed the change leaves or reaches its deadline. */
  refresh(facts: ModelFacts): Effect.Effect<void> {
    return Effect.flatMap(
      Effect.sync(() => this.parts.run(this.refreshNow(facts))),
      Fiber.join,
    );
  }

  /** As `refresh`, in the calling fiber. Does nothing if the catalog has other facts of the model by now. */
  refreshNow(facts: ModelFacts): Effect.Effect<void> {
    return Effect.suspend(() => {
      const member = this.state.members.find(({ entry }) => entry.facts === facts);
      if (member?.takes !== "tokens") return Effect.void;
      const changed = [facts.directory, member.entry.draft?.facts.directory];
      return this.adopt(this.state.settings, (directory) => !changed.includes(directory));
    }).pipe(
      Effect.tap(() => Effect.sync(() => this.publish())),
      Effect.uninterruptible,
      this.oneAtATime.withPermits(1),
      Effect.matchEffect({
        onSuccess: () => Effect.annotateLogs(Effect.logInfo("the files of a model have changed"), { model: facts.id }),
        onFailure: (error) => staysAsItWas(error.message),
      }),
    );
  }

  /** The model of the catalog with this name. */
  memberOf(name: string): Effect.Effect<Member, NameFailure> {
    return Effect.suspend(() => this.find(this.state.members, name));
  }

  /** As `memberOf`, including models that left the catalog and are still in memory. */
  knownOf(name: string): Effect.Effect<Member, NameFailure> {
    return Effect.suspend(() => this.find(this.known, name));
  }

  /** Runs `use`, and again with the new files if they have changed since the model was read. */
  withUsable<A, E, R>(name: string, use: (member: Member) => Effect.Effect<A, E | ModelChanged, R>) {
    return Effect.flatMap(this.usable(name), (member) =>
      Effect.tapError(use(member), (error) =>
        error instanceof ModelChanged && member.takes === "tokens" ? this.refresh(member.entry.facts) : Effect.void,
      ),
    ).pipe(Effect.retry({ times: 2, while: (error) => error instanceof ModelChanged }));
  }

  /** A model that could not be used may have been repaired: if its files have changed, they are read again. */
  private usable(name: string): Effect.Effect<Member, NameFailure> {
    return Effect.gen({ self: this }, function* () {
      const member = yield* this.memberOf(name);
      if (member.takes === "conversations") return member;
      const { problem, problemIs, facts, download } = member.entry;
      if (problem === undefined || download !== undefined) return member;
      if (problemIs !== "unread" && (yield* this.stampOf(facts)) === member.stamp) return member;
      yield* this.refresh(facts);
      return yield* this.memberOf(name);
    });
  }

  private find(members: ReadonlyArray<Member>, name: string): Effect.Effect<Member, NameFailure> {
    const { fallback } = this.state;
    return name.trim() === "" && fallback !== undefined
      ? Effect.succeed(fallback)
      : Effect.fromResult(findMember(members, name));
  }

  /**
   * Replaces the set of models. All changes of the set come through here.
   *
   * @param isKnown folders that need not be read again
   */
  private adopt(
    settings: ModelsSettings,
    isKnown: (directory: string) => boolean = () => false,
  ): Effect.Effect<CatalogChange, CatalogFailure> {
    return Effect.gen({ self: this }, function* () {
      const { idleTtlMs } = this.parts;
      const { read, commit } = this.readings.begin(isKnown);
      const entries = yield* readEntries(settings, read, this.parts.drivers);
      commit();
      const members = yield* Effect.forEach(entries, (entry) => this.makeMember(entry));
      const fallback = yield* Effect.fromResult(findDefault(members, settings.defaultModel, this.state.fallback));
      const before = this.state.members;
      const gone = before.filter(({ slot }) => !members.some((member) => member.slot === slot));
      const retired = [...this.state.retired.filter(({ slot }) => slot.isResident), ...gone];
      this.state = { settings, members, fallback, retired };
      for (const { entry, slot } of members) {
        const known = before.find((member) => member.slot === slot);
        if (known === undefined) continue;
        slot.forgetFailure();
        const [was, is] = [known, { entry }].map((each) => retentionOf(each.entry.policy, idleTtlMs));
        if (was !== undefined && is !== undefined) slot.changeRetention(changedRetention(was, is));
      }
      for (const { slot } of gone) slot.retire();
      return changeOf(before, members);
    });
  }

  /** An unchanged model keeps its engine and prompt tools; one that changed in names or defaults keeps its engine. */
  private makeMember(entry: CatalogEntry): Effect.Effect<Member> {
    return Effect.gen({ self: this }, function* () {
      const { sandbox, engineConfig, slots, drivers } = this.parts;
      const before = this.state.members.find((member) => member.entry.facts.id === entry.facts.id);
      if (before !== undefined && isDeepStrictEqual(before.entry, entry)) return before;
      const keptSlot = before !== undefined && runsAlike(before.entry, entry) ? before.slot : undefined;
      if (entry.takes === "conversations") {
        const driver = drivers[entry.facts.engine];
        // The catalog refuses models whose engine has no driver.
        if (driver === undefined) return yield* Effect.die(`no driver of ${entry.facts.engine}`);
        const { takes } = entry;
        return { takes, entry, driver, slot: keptSlot ?? slots.makeForConversations(entry, driver) };
      }
      const { facts } = entry;
      for (const note of entry.notes) yield* Effect.annotateLogs(Effect.logWarning(note), { model: facts.id });
      const draft = draftOf(entry, engineConfig);
      const unchanged = assertUnchanged(sandbox, facts, draft?.problem === undefined ? draft?.facts : undefined);
      // The retry of `withUsable` then finds the new files.
      const tools = yield* cachedTools(
        entry,
        sandbox,
        Effect.tapError(unchanged, () => this.refresh(facts)),
      );
      const stamp = entry.problem === undefined ? undefined : yield* this.stampOf(facts);
      return { takes: "tokens", entry, tools, stamp, slot: keptSlot ?? slots.make(entry, tools, unchanged) };
    });
  }

  private stampOf({ directory }: ModelFacts): Effect.Effect<string | undefined> {
    return Effect.map(readFolder(this.parts.sandbox, "readStamp", directory), (stamp) =>
      typeof stamp === "string" ? stamp : undefined,
    );
  }
}

const staysAsItWas = (cause: string): Effect.Effect<void> =>
  Effect.annotateLogs(Effect.logError("the catalog stays as it was"), { cause });

const joined = (change: CatalogChange): Readonly<Record<string, string>> =>
  Object.fromEntries(Object.entries(change).map(([key, ids]) => [key, (ids as ReadonlyArray<string>).join(" ")]));
