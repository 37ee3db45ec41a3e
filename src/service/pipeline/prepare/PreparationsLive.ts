/** The preparation, one stage after the other: resolve, look at the engine, download, load, try. */
import { basename } from "node:path";
import { Clock, Effect, Layer, Option, Queue, Result, Stream } from "effect";

import { QualityConfig } from "../../config/QualityConfig.ts";
import { versions } from "../../config/versions.ts";
import { ModelRevisionMismatch, type ServiceError } from "../../domain/errors.ts";
import type { HubModel, ModelStatus } from "../../domain/model.ts";
import type { PrepareEvent, PrepareReport, PrepareRequest, SmokeTest } from "../../domain/preparation.ts";
import { Downloads, type RemoteModel } from "../../models/download/Downloads.ts";
import { checkRepository, checkRevision, folderOf } from "../../models/download/repository.ts";
import { Models } from "../../models/Models.ts";
import { makeSharedRuns } from "../../models/shared-runs.ts";
import { SmokeTests } from "../../models/smoke/SmokeTests.ts";
import { Generations } from "../Generations.ts";
import { Journal } from "./Journal.ts";
import { Preparations } from "./Preparations.ts";
import { smokeTest } from "./smoke-test.ts";

/** Where a model is to be had: under this id here, or in a repository. */
type Place = { readonly type: "here"; readonly id: string } | HubPlace;

interface HubPlace extends HubModel {
  readonly type: "hub";
  readonly id: string;
  /** Whether the catalog has a model of this id; its files may not be here yet. */
  readonly isKnown: boolean;
}

/** What a preparation has come to; the report tells it also where the rest failed. */
interface Reached {
  downloaded: boolean;
  loaded: boolean;
  id: string;
}

type Needs = Models | Downloads | Generations | SmokeTests | QualityConfig;

export const layer: Layer.Layer<Preparations, never, Needs> = Layer.effect(
  Preparations,
  Effect.gen(function* () {
    const models = yield* Models;
    const downloads = yield* Downloads;
    const generations = yield* Generations;
    const smokeTests = yield* SmokeTests;
    const quality = yield* QualityConfig;
    const runs = yield* makeSharedRuns<PrepareEvent, void, never>(
      (last, next) => last.type === "progress" && next.type === "progress",
    );

    /** What needs no request to the hub is refused before the preparation begins. */
    const locate = Effect.fnUntraced(function* (request: PrepareRequest) {
      const [model, revision] = [request.model.trim(), request.revision.trim()];
      if (revision !== "") yield* Effect.fromResult(checkRevision(revision));
      const known = yield* Effect.result(models.get(model));
      if (Result.isFailure(known)) {
        // A name without a slash was meant for a model that is here.
        if (!model.includes("/")) return yield* known.failure;
        const repository = yield* Effect.fromResult(checkRepository(model));
        return { type: "hub", id: folderOf(repository), isKnown: false, repository, revision } satisfies Place;
      }
      const { facts, download } = known.success;
      if (download !== undefined) {
        const asked = revision === "" ? download.revision : revision;
        return { type: "hub", id: facts.id, isKnown: true, ...download, revision: asked } satisfies Place;
      }
      if (revision === "" || revision === facts.revision) return { type: "here", id: facts.id } satisfies Place;
      // It cannot be replaced, and a download would become another model beside it.
      if (Result.isFailure(checkRepository(facts.source)) || basename(facts.directory) !== folderOf(facts.source)) {
        return yield* new ModelRevisionMismatch({ model: facts.id, asked: revision, loaded: facts.revision });
      }
      return { type: "hub", id: facts.id, isKnown: true, repository: facts.source, revision } satisfies Place;
    });

    const bring = Effect.fnUntraced(function* (
      { id, isKnown }: HubPlace,
      remote: RemoteModel,
      journal: Journal,
      reached: Reached,
    ) {
      if (!isKnown) reached.id = remote.id;
      if (!remote.isPresent) {
        journal.enter("downloading");
        if (isKnown) yield* models.showDownload(id);
        const what = `${remote.files.length} files of ${remote.repository} at ${remote.commit}`;
        journal.log(remote.isCached ? `taking ${what} from the hub's cache on this machine` : `fetching ${what}`);
        yield* downloads.download(remote, (progress) => journal.progress(progress));
        reached.downloaded = true;
      }
      yield* models.rescan;
    }, Effect.scoped);

    const tried = Effect.fnUntraced(function* ({ facts }: ModelStatus, retest: boolean, journal: Journal) {
      journal.enter("smoke-test");
      const known = smokeTests.of(facts);
      if (known !== undefined && known.quality !== "failed" && !retest) {
        journal.log(`it was tried at this revision before, on ${new Date(known.testedAt).toISOString()}`);
        return known;
      }
      const { mentions } = yield* models.promptTools(facts.id);
      const test = yield* smokeTest(facts.id, mentions("enable_thinking"), quality, generations);
      yield* smokeTests.remember(facts, test);
      return test;
    });

    const walk = Effect.fnUntraced(function* (place: Place, retest: boolean, journal: Journal, reached: Reached) {
      journal.enter("resolving");
      const remote = place.type === "hub" ? yield* downloads.resolve(place.repository, place.revision) : undefined;
      journal.enter("engine-check");
      journal.log(`engine mlx ${versions.mlx}`);
      if (place.type === "hub" && remote !== undefined) yield* bring(place, remote, journal, reached);
      journal.enter("model-loading");
      const model = yield* models.load(reached.id, { pinned: undefined, idleTtlMs: undefined });
      reached.loaded = true;
      return yield* tried(model, retest, journal);
    });

    const prepare = Effect.fn("Preparations.prepare")(function* (
      place: Place,
      retest: boolean,
      emit: (event: PrepareEvent) => void,
    ) {
      const clock = yield* Clock.Clock;
      const journal = new Journal(emit, () => clock.currentTimeMillisUnsafe());
      const reached: Reached = { downloaded: false, loaded: false, id: place.id };
      const result = yield* Effect.result(walk(place, retest, journal, reached));
      const found = yield* Effect.option(models.get(reached.id));
      // It may also be a name of another model.
      const model = Option.filter(found, ({ facts }) => facts.id === reached.id);
      const { downloaded, loaded } = reached;
      const end = ending(result);
      journal.report({ ...end, model: Option.getOrUndefined(model), downloaded, loaded });
      const cause = end.error?.message ?? end.smokeTest?.reason ?? "";
      yield* Effect.annotateLogs(Effect.logInfo("preparation ended"), {
        model: reached.id,
        stage: end.stage,
        cause,
        downloaded,
        loaded,
      });
    });

    return Preparations.of({
      prepare: (request) =>
        Stream.unwrap(
          Effect.map(locate(request), (place) => {
            // A model that was downloaded meanwhile is in another place by now, and still the same.
            const key = `${place.id.toLowerCase()}@${request.revision}`;
            const start = (emit: (event: PrepareEvent) => void) => prepare(place, request.retest, emit);
            // The queue needs no bound of its own: progress comes some times a second, the rest once for each stage.
            return Stream.callback<PrepareEvent>((queue) =>
              Effect.andThen(
                runs.join(key, start, (event) => void Queue.offerUnsafe(queue, event)),
                Queue.end(queue),
              ),
            );
          }),
        ),
      smokeTestOf: smokeTests.of,
      refusesChat: (model) => smokeTests.blocking(model) !== undefined,
    });
  }),
);

const ending = (
  result: Result.Result<SmokeTest, ServiceError>,
): Pick<PrepareReport, "stage" | "smokeTest" | "error"> => {
  if (Result.isFailure(result)) return { stage: "failed", smokeTest: undefined, error: result.failure };
  const { quality } = result.success;
  return { stage: quality === "ok" ? "ready" : quality, smokeTest: result.success, error: undefined };
};
