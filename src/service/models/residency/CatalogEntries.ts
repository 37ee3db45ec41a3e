/** The catalog's entries: those of the configuration file, and those that are registered while the service runs. */
import { Effect, Result, Semaphore } from "effect";

import { keyRefusal } from "../../config/catalog-keys.ts";
import type { ModelsConfig } from "../../config/ModelsConfig.ts";
import { backendName } from "../../config/read-backends.ts";
import {
  type DeclaredEntries,
  isSameName,
  type RegisteredEntries,
  type RegisteredEntry,
  sections,
  withEntry,
  withoutEntry,
} from "../../config/registered-entries.ts";
import { type BackendPreset, backendPresets, isBackendEngine } from "../../domain/backend-presets.ts";
import { canonicalEngine } from "../../domain/engine-names.ts";
import { ConfigurationInvalid, EntryExists, EntryNotFound, InvalidField } from "../../domain/errors.ts";
import { nearest } from "../../domain/nearest.ts";
import type { CatalogChange, EntryChange } from "../Models.ts";
import { findMember } from "./members.ts";
import type { ModelSet } from "./ModelSet.ts";

type EntryFailure = ConfigurationInvalid | EntryExists | EntryNotFound | InvalidField;

export class CatalogEntries {
  private readonly config: ModelsConfig["Service"];
  private readonly models: ModelSet;
  private readonly oneAtATime = Semaphore.makeUnsafe(1);
  private registered: RegisteredEntries = [];

  constructor(config: ModelsConfig["Service"], models: ModelSet) {
    this.config = config;
    this.models = models;
  }

  /** Reads the configuration file and the model folder again. Registered entries stay. */
  get reload(): Effect.Effect<CatalogChange, ConfigurationInvalid> {
    return this.oneAtATime.withPermits(1)(Effect.suspend(() => this.adopt(this.registered, true)));
  }

  readonly change = (change: EntryChange): Effect.Effect<CatalogChange, EntryFailure> =>
    // Half of it would leave the file and the catalog different.
    this.oneAtATime.withPermits(1)(Effect.uninterruptible(this.applied(change)));

  private adopt(registered: RegisteredEntries, isReload = false): Effect.Effect<CatalogChange, ConfigurationInvalid> {
    const { entries, reread } = this.config;
    return this.models.reload(
      registered.length > 0 && entries !== undefined
        ? entries.read(registered, isReload)
        : (reread ?? Effect.succeed(this.config)),
    );
  }

  private applied({ how, kind, name: asked, declaration, writesBack }: EntryChange) {
    return Effect.gen({ self: this }, function* (): Effect.fn.Return<CatalogChange, EntryFailure> {
      const { entries } = this.config;
      if (entries === undefined) return yield* unchangeable(asked);
      const name = kind === "backend" ? backendName(asked) : asked;
      const entry: RegisteredEntry = { kind, name, declaration };
      const refusal = kind === "backend" && declaration !== undefined ? this.keyRefusal(declaration) : undefined;
      if (refusal !== undefined) {
        const violation = { field: "backend.api_key_variable", description: refusal };
        return yield* new InvalidField({ violations: [violation] });
      }
      const before = this.registered;
      const others = withoutEntry(before, entry);
      const { declared } = yield* entries.read(before);
      yield* Effect.fromResult(this.assertAsExpected(how, entry, declared));
      // Before any model changes: a model that has left memory could not be put back.
      if (writesBack) yield* entries.tryWrite(entry);
      // What only was registered leaves nothing behind.
      const isRemoved = how === "delete" && !(yield* hasEntry(entries.read(others), entry));
      const now = isRemoved ? others : withEntry(before, entry);
      if (!writesBack && now.length > mostRegistered) return yield* tooMany;
      const change = yield* Effect.mapError(this.adopt(now), (error) => asField(error, entry));
      this.registered = now;
      if (!writesBack) return change;
      yield* entries.write(entry).pipe(
        Effect.tapError(() => {
          this.registered = before;
          return Effect.ignore(this.adopt(before));
        }),
      );
      // The file has it now, and may say something else of it later.
      this.registered = others;
      return change;
    });
  }

  private keyRefusal(declaration: NonNullable<EntryChange["declaration"]>): string | undefined {
    const engine = canonicalEngine(String(declaration["engine"]));
    const preset: BackendPreset | undefined =
      engine !== undefined && isBackendEngine(engine) ? backendPresets[engine] : undefined;
    return keyRefusal(declaration, this.config.catalogKeys ?? [], preset?.keyVariable);
  }

  /** Whether the entry is there, or not, as it has to be for this. */
  private assertAsExpected(
    how: EntryChange["how"],
    { kind, name }: RegisteredEntry,
    declared: DeclaredEntries,
  ): Result.Result<void, EntryExists | EntryNotFound | InvalidField> {
    const names = Object.keys(declared[kind]);
    const key = names.find((other) => isSameName(kind, other, name));
    const named = kind === "model" ? findMember(this.models.known, name) : undefined;
    const model = named !== undefined && Result.isSuccess(named) ? named.success.entry.facts.id : undefined;
    if (how === "create") {
      const isFree = key === undefined && model === undefined;
      return isFree ? Result.void : Result.fail(new EntryExists({ kind, name: model ?? name }));
    }
    // A folder of the model folder is a model without an entry, which may get one.
    if (key === undefined && !(how === "update" && model === name)) {
      return Result.fail(new EntryNotFound({ kind, name, nearest: nearest(name, names) }));
    }
    const owned =
      key === undefined ? [] : keysOfTheFile.filter((each) => Object.hasOwn(declared[kind][key] ?? {}, each));
    if (how === "update" && owned.length > 0) {
      const description = `the entry in the file has ${owned.join(", ")}, which only the file can have: change it there`;
      return Result.fail(new InvalidField({ violations: [{ field: "name", description }] }));
    }
    return Result.void;
  }
}

/** Whether the settings have the entry. Those that cannot be read without it do. */
const hasEntry = <S extends { readonly declared: DeclaredEntries }>(
  settings: Effect.Effect<S, ConfigurationInvalid>,
  { kind, name }: RegisteredEntry,
): Effect.Effect<boolean> =>
  settings.pipe(
    Effect.map(({ declared }) => Object.keys(declared[kind]).some((other) => isSameName(kind, other, name))),
    Effect.orElseSucceed(() => true),
  );

/** Each of them is read with each change. Entries of the file do not count, and neither do those that were written there. */
const mostRegistered = 1_000;

const tooMany = Effect.fail(
  new InvalidField({
    violations: [
      {
        field: "name",
        description: `${mostRegistered} entries are registered, which is the most: delete some, or write this one to the file`,
      },
    ],
  }),
);

/** Keys that start programs or read files may only be set in the file. */
const keysOfTheFile = ["api_key_file", "managed", "command", "environment", "directory", "start_timeout_ms"];

/** An error in the entry itself is one of the request; others, as of a model on a backend that is removed, name their key. */
const asField = (error: ConfigurationInvalid, { kind, name }: RegisteredEntry): ConfigurationInvalid | InvalidField => {
  const own = `${sections[kind]}.${name}`;
  if (error.key !== own && !error.key.startsWith(`${own}.`)) return error;
  const key = error.key.slice(own.length);
  const field = key === "" ? "name" : `${kind}${key}`;
  return new InvalidField({ violations: [{ field, description: error.problem }] });
};

const unchangeable = (name: string): Effect.Effect<never, ConfigurationInvalid> =>
  Effect.fail(
    new ConfigurationInvalid({
      file: "",
      line: 0,
      key: name,
      problem: "the configuration of this service cannot change",
    }),
  );
