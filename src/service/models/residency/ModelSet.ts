/** The models that there are, by their names: read from the catalog, and read anew while they are served. */
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
  /** What an empty name means. */
  readonly fallback: Member | undefined;
  /** No longer of the catalog; they may still finish what runs. */
  readonly retired: ReadonlyArray<Member>;
}

interface ModelSetParts {
  readonly sandbox: Sandbox["Service"];
  readonly engineConfig: EngineSettings;
  /** Of models that have no time of their own. */
  readonly idleTtlMs: number;
  readonly slots: SlotMaker;
  readonly drivers: ConversationDrivers;
  /** Runs what goes on when the call that began it has left. */
  readonly run: (effect: Effect.Effect<void>) => Fiber.Fiber<void>;
  /** Called whenever a model's condition may have changed. */
  readonly onConditions: (conditions: ReadonlyMap<string, ModelCondition>) => void;
}

export class ModelSet {
  private readonly parts: ModelSetParts;
  private state: SetState;
  private readonly oneAtATime = Semaphore.makeUnsafe(1);
  private readonly readings: FolderReadings;

  /** Empty until its catalog is `read`. */
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

  /** Those of the catalog; then those that have gone from it and whose names are no other model's. */
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

  /** For the first time. */
  readonly read: Effect.Effect<void, CatalogFailure> = Effect.suspend(() =>
    Effect.asVoid(this.adopt(this.state.settings)),
  );

  /** Takes over what the settings lead to now, as a whole or not at all. */
  reload(settings: Effect.Effect<ModelsSettings, ConfigurationInvalid>) {
    return Effect.flatMap(settings, (now) =>
      Effect.mapError(this.adopt(now), (error) => asConfigurationInvalid(error, now)),
    ).pipe(
      Effect.tap(() => Effect.sync(() => this.publish())),
      // A catalog that was taken over in part would be neither the old nor the new one.
      Effect.uninterruptible,
      this.oneAtATime.withPermits(1),
      Effect.tap((changed) => Effect.annotateLogs(Effect.logInfo("catalog read anew"), joined(changed))),
      Effect.tapError((error) => staysAsItWas(error.message)),
    );
  }

  /** Reads a model's folder anew. Goes on when the call that has noticed leaves, or comes to its deadline. */
  refresh(facts: ModelFacts): Effect.Effect<void> {
    return Effect.flatMap(
      Effect.sync(() => this.parts.run(this.refreshNow(facts))),
      Fiber.join,
    );
  }

  /** The same where the catalog still has the model as these facts tell it. */
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

  /** The model of the catalog that goes by the name. */
  memberOf(name: string): Effect.Effect<Member, NameFailure> {
    return Effect.suspend(() => this.find(this.state.members, name));
  }

  /** Also one that has gone from the catalog and is still in memory. */
  knownOf(name: string): Effect.Effect<Member, NameFailure> {
    return Effect.suspend(() => this.find(this.known, name));
  }

  /** Where its files changed since the model was read: once more with what is there now. */
  withUsable<A, E, R>(name: string, use: (member: Member) => Effect.Effect<A, E | ModelChanged, R>) {
    return Effect.flatMap(this.usable(name), (member) =>
      Effect.tapError(use(member), (error) =>
        error instanceof ModelChanged && member.takes === "tokens" ? this.refresh(member.entry.facts) : Effect.void,
      ),
    ).pipe(Effect.retry({ times: 2, while: (error) => error instanceof ModelChanged }));
  }

  /** A model that could not be used may have been mended: its files are looked at, and read anew if they changed. */
  private usable(name: string): Effect.Effect<Member, NameFailure> {
    return Effect.gen({ self: this }, function* () {
      const member = yield* this.memberOf(name);
      if (member.takes === "conversations") return member;
      const { problem, problemIs, facts, download } = member.entry;
      if (problem === "" || download !== undefined) return member;
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
   * The one way in which the set of models changes.
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

  /** What stays as it is keeps its engine, and its prompt tools where nothing at all changed. */
  private makeMember(entry: CatalogEntry): Effect.Effect<Member> {
    return Effect.gen({ self: this }, function* () {
      const { sandbox, engineConfig, slots, drivers } = this.parts;
      const before = this.state.members.find((member) => member.entry.facts.id === entry.facts.id);
      if (before !== undefined && isDeepStrictEqual(before.entry, entry)) return before;
      const keptSlot = before !== undefined && runsAlike(before.entry, entry) ? before.slot : undefined;
      if (entry.takes === "conversations") {
        const driver = drivers[entry.facts.engine];
        // The catalog has none whose engine has no driver.
        if (driver === undefined) return yield* Effect.die(`no driver of ${entry.facts.engine}`);
        const { takes } = entry;
        return { takes, entry, driver, slot: keptSlot ?? slots.makeForConversations(entry, driver) };
      }
      const { facts } = entry;
      for (const note of entry.notes) yield* Effect.annotateLogs(Effect.logWarning(note), { model: facts.id });
      const draft = draftOf(entry, engineConfig);
      const unchanged = assertUnchanged(sandbox, facts, draft?.problem === "" ? draft.facts : undefined);
      // Who asks for its prompts asks again, and finds what is there now.
      const tools = yield* cachedTools(
        entry,
        sandbox,
        Effect.tapError(unchanged, () => this.refresh(facts)),
      );
      const stamp = entry.problem === "" ? undefined : yield* this.stampOf(facts);
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
