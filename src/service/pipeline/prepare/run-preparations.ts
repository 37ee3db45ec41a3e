/** Runs the stages of a preparation in order: resolve, check the engine, download, load, test. */
import { Clock, Effect, Layer, Option, Queue, Result, Stream } from "effect";

import { QualityConfig } from "../../config/QualityConfig.ts";
import { compatibilityOf } from "../../domain/compatibility.ts";
import type { ConversationOption } from "../../domain/conversation-options.ts";
import type { ServiceError } from "../../domain/errors.ts";
import type { ModelFacts, ModelStatus } from "../../domain/model.ts";
import { identityAfterLoad, type ModelIdentity } from "../../domain/model-identity.ts";
import type { LoadRequest, PrepareEvent, PrepareReport } from "../../domain/preparation.ts";
import { Engines, type FetchProgress } from "../../engine/Engines.ts";
import { Downloads, type RemoteModel } from "../../models/download/Downloads.ts";
import { Models } from "../../models/Models.ts";
import { makeSharedRuns } from "../../models/download/shared-runs.ts";
import { SmokeTests } from "../../models/smoke/SmokeTests.ts";
import { Embeddings } from "../Embeddings.ts";
import { Generations } from "../Generations.ts";
import { describeOutcome, type PreparationState } from "./describe-outcome.ts";
import { Journal } from "./Journal.ts";
import { type HubLocation, locateHere, locateModel, type ModelLocation } from "./locate-model.ts";
import { Preparations } from "./Preparations.ts";
import { smokeTest } from "./smoke-test.ts";
import { vectorTest } from "./vector-test.ts";

type Needs = Engines | Models | Downloads | Generations | Embeddings | SmokeTests | QualityConfig;

export const layer: Layer.Layer<Preparations, never, Needs> = Layer.effect(
  Preparations,
  Effect.gen(function* () {
    const engines = yield* Engines;
    const models = yield* Models;
    const downloads = yield* Downloads;
    const generations = yield* Generations;
    const embeddings = yield* Embeddings;
    const smokeTests = yield* SmokeTests;
    const quality = yield* QualityConfig;
    const runs = yield* makeSharedRuns<PrepareEvent, PrepareReport, never>(
      (last, next) => last.type === "progress" && next.type === "progress",
    );

    const bring = Effect.fnUntraced(function* (
      { id, isKnown }: HubLocation,
      remote: RemoteModel,
      journal: Journal,
      reached: PreparationState,
    ) {
      if (!isKnown) reached.id = remote.id;
      if (!remote.isPresent) {
        const { repository, commit: revision, isCached: fromCache } = remote;
        journal.enter("downloading");
        if (isKnown) yield* models.showDownload(id);
        const bytes = remote.files.reduce((sum, { size }) => sum + size, 0);
        const result = { repository, revision, files: remote.files.length, bytes, fromCache };
        const what = `${result.files} files of ${repository} at ${revision}`;
        journal.log(fromCache ? `taking ${what} from the hub's cache on this machine` : `fetching ${what}`, {
          repository,
          revision,
          files: String(result.files),
          bytes: String(bytes),
        });
        yield* downloads.download(remote, (progress) => journal.progress(progress));
        reached.downloaded = true;
        reached.downloadResult = result;
      }
      yield* models.rescan;
    }, Effect.scoped);

    const tried = Effect.fnUntraced(function* ({ facts, files }: ModelStatus, retest: boolean, journal: Journal) {
      journal.enter("smoke-test");
      const known = smokeTests.of(facts);
      if (known !== undefined && known.quality !== "failed" && !retest) {
        const testedAt = new Date(known.testedAt).toISOString();
        journal.log(`it was tried at this revision before, on ${testedAt}`, { testedAt, quality: known.quality });
        return known;
      }
      const test = yield* ask(facts.id, files);
      yield* smokeTests.remember(facts, test);
      return test;
    });

    const ask = Effect.fnUntraced(function* (id: string, files: ModelFacts | undefined) {
      if (files?.embedding.trained === true) return yield* vectorTest(id, quality, embeddings);
      const model = yield* models.use(id);
      const supports = (option: ConversationOption): boolean => {
        if (option === "chat.template_options") {
          return model.takes === "tokens" && model.template.options.includes("enable_thinking");
        }
        return model.takes === "tokens" || model.options.has(option);
      };
      return yield* smokeTest(id, supports, quality, generations);
    });

    /** Fetches the model through its engine, if that engine stores its models itself. */
    const fetched = Effect.fnUntraced(function* (reached: PreparationState, journal: Journal) {
      let last: FetchProgress | undefined;
      reached.downloaded = yield* models.fetch(reached.id, (progress) => {
        last = progress;
        journal.reach("downloading");
        journal.progress(progress);
      });
      if (!reached.downloaded) return;
      const { facts } = yield* models.get(reached.id);
      const { filesTotal: files = 0, bytesTotal: bytes = 0 } = last ?? {};
      reached.downloadResult = { repository: facts.source, revision: "", files, bytes, fromCache: false };
    });

    const loaded = Effect.fnUntraced(function* (id: string, journal: Journal) {
      const hasStages = yield* models.followStart(id, (stage) => journal.reach(stage));
      if (!hasStages) journal.enter("model-loading");
      const model = yield* models.load(id, { pinned: undefined, idleTtlMs: undefined });
      journal.reach("model-loading");
      return model;
    }, Effect.scoped);

    const walk = Effect.fnUntraced(function* (
      place: ModelLocation,
      retest: boolean,
      journal: Journal,
      reached: PreparationState,
    ) {
      journal.enter("resolving");
      const remote = place.type === "hub" ? yield* downloads.resolve(place.repository, place.revision) : undefined;
      journal.enter("engine-check");
      const { engine } = place.resolution;
      const version = engines.versionOf(engine);
      reached.installResult = { engine, version, installed: false };
      journal.log(["engine", engine, version].filter(Boolean).join(" "), { engine, version });
      if (place.type === "hub" && remote !== undefined) yield* bring(place, remote, journal, reached);
      if (place.type === "here") yield* fetched(reached, journal);
      const model = yield* loaded(reached.id, journal);
      reached.loaded = true;
      return yield* tried(model, retest, journal);
    });

    const run = Effect.fn("Preparations.prepare")(function* (
      place: ModelLocation,
      retest: boolean,
      emit: (event: PrepareEvent) => void,
    ) {
      const clock = yield* Clock.Clock;
      const journal = new Journal(emit, () => clock.currentTimeMillisUnsafe());
      const reached = reachedNothing(place.id);
      const result = yield* Effect.result(walk(place, retest, journal, reached));
      const found = yield* Effect.option(models.get(reached.id));
      // It may also be a name of another model.
      const model = Option.getOrUndefined(Option.filter(found, ({ facts }) => facts.id === reached.id));
      const outcome = describeOutcome(result, reached, model, model && smokeTests.of(model.facts));
      const { stage, error, downloaded, loaded } = outcome;
      const cause = error?.message ?? outcome.smokeTest?.reason ?? "";
      yield* Effect.annotateLogs(Effect.logInfo("preparation ended"), {
        model: reached.id,
        stage,
        cause,
        downloaded,
        loaded,
      });
      return journal.report(outcome);
    });

    /** Callers for the same model share one preparation, each under the name that it used. */
    const join = (place: ModelLocation, revision: string, retest: boolean, onEvent: (event: PrepareEvent) => void) =>
      Effect.map(
        runs.join(
          // A model that was downloaded meanwhile has another location now, but is still the same model.
          `${place.id.toLowerCase()}@${revision}${retest ? "!" : ""}`,
          (emit) => run(place, retest, emit),
          (event) => onEvent(event.type === "report" ? named(event, place.resolution) : event),
        ),
        (report) => named(report, place.resolution),
      );

    const joinHere = (name: string) =>
      Effect.flatMap(locateHere(models, name), (place) => join(place, "", false, () => {}));

    const load = Effect.fn("Preparations.load")(function* ({ model: name, pinned, idleTtlMs }: LoadRequest) {
      const report = yield* joinHere(name);
      if (report.error !== undefined && report.current === "") return yield* report.error;
      // Not part of what callers share, because each has options of its own.
      const keeps = pinned !== undefined || idleTtlMs !== undefined;
      const model = keeps ? yield* models.load(name, { pinned, idleTtlMs }) : yield* models.get(name);
      return { model, report };
    });

    return Preparations.of({
      prepare: ({ model, revision, retest }) =>
        Stream.unwrap(
          Effect.map(locateModel(models, model, revision), (place) =>
            // The queue needs no bound: progress comes a few times per second, other events once per stage.
            Stream.callback<PrepareEvent>((queue) =>
              Effect.andThen(
                join(place, revision.trim(), retest, (event) => void Queue.offerUnsafe(queue, event)),
                Queue.end(queue),
              ),
            ),
          ),
        ),
      load,
      preload: (names) =>
        Stream.mapEffect(Stream.fromIterable(names.entries()), ([index, name]) =>
          Effect.match(joinHere(name), {
            onSuccess: (report) => ({ index, name, report }),
            onFailure: (error) => ({ index, name, report: notBegun(error) }),
          }),
        ),
      compatibilityOf: (model) => compatibilityOf(model, smokeTests.of(model.facts)),
      smokeTestOf: smokeTests.of,
      refusesChat: (model) => smokeTests.blocking(model) !== undefined,
    });
  }),
);

const named = (report: PrepareReport, identity: ModelIdentity): PrepareReport => ({
  ...report,
  resolution: identityAfterLoad(identity, report.current),
});

/** The report for a name with which the preparation could not begin. */
const notBegun = (error: ServiceError): PrepareReport => {
  const journal = new Journal(
    () => {},
    () => 0,
  );
  journal.enter("resolving");
  return journal.report(describeOutcome(Result.fail(error), reachedNothing(""), undefined, undefined));
};

const reachedNothing = (id: string): PreparationState => ({
  id,
  downloaded: false,
  loaded: false,
  installResult: undefined,
  downloadResult: undefined,
});
