import { toJson } from "@bufbuild/protobuf";
import type { ServiceImpl } from "@connectrpc/connect";
import { Effect, Result } from "effect";

import {
  type BackendEntry,
  BackendEntrySchema,
  type CatalogService,
  type CreateEntryRequest,
  type ModelEntry,
  ModelEntrySchema,
} from "../../client/gen/mlxd/v1/catalog_service_pb.ts";
import { type BackendPreset, backendPresets } from "../domain/backend-presets.ts";
import { canonicalEngine } from "../domain/engine-names.ts";
import type { InvalidField } from "../domain/errors.ts";
import { type CatalogChange, type EntryChange, Models } from "../models/Models.ts";
import { Bridge } from "./Bridge.ts";
import { invalidField } from "./invalid-field.ts";

export const makeCatalogService = Effect.gen(function* () {
  const bridge = yield* Bridge;
  const models = yield* Models;
  const change = (entry: Result.Result<EntryChange, InvalidField>) =>
    Effect.map(Effect.flatMap(Effect.fromResult(entry), models.changeEntry), (changed) => ({
      change: changeToWire(changed),
    }));
  return {
    createEntry: (received, context) =>
      bridge.unary(received, context, (request) => change(entryFromWire("create", request))),
    updateEntry: (received, context) =>
      bridge.unary(received, context, (request) => change(entryFromWire("update", request))),
    deleteEntry: (received, context) =>
      bridge.unary(received, context, ({ entry, writeBack }) =>
        change(
          entry.case === undefined
            ? Result.fail(unset)
            : Result.succeed({
                how: "delete",
                kind: entry.case,
                name: entry.value.trim(),
                declaration: undefined,
                writesBack: writeBack,
              }),
        ),
      ),
  } satisfies ServiceImpl<typeof CatalogService>;
});

const unset = invalidField("entry", "exactly one of backend and model must be set");

const entryFromWire = (
  how: "create" | "update",
  { name, entry, writeBack }: Pick<CreateEntryRequest, "name" | "entry" | "writeBack">,
): Result.Result<EntryChange, InvalidField> => {
  const to = (kind: "backend" | "model", declaration: Readonly<Record<string, unknown>>) =>
    Result.succeed({ how, kind, name: name.trim(), declaration, writesBack: writeBack });
  switch (entry.case) {
    case "backend":
      return Result.flatMap(backendFromWire(entry.value), (declaration) => to("backend", declaration));
    case "model":
      return to("model", modelFromWire(entry.value));
    case undefined:
      return Result.fail(unset);
  }
};

/** The fields of an entry have the names of the keys in mlxd.yaml, by which they are checked as those are. */
const backendFromWire = (entry: BackendEntry): Result.Result<Readonly<Record<string, unknown>>, InvalidField> => {
  const problem = keyProblem(entry);
  return problem === undefined
    ? Result.succeed(toJson(BackendEntrySchema, entry, byKeys) as Readonly<Record<string, unknown>>)
    : Result.fail(invalidField("backend.api_key_variable", problem));
};

/** Why the key in its variable may not be sent where the entry says; undefined if it may. */
const keyProblem = ({ engine, baseUrl, apiKeyVariable }: BackendEntry): string | undefined => {
  if (apiKeyVariable === undefined) return undefined;
  if (ownVariable.test(apiKeyVariable)) return "the service's own variables are not sent to other servers";
  const owner = Object.entries<BackendPreset>(backendPresets).find(
    ([, preset]) => preset.keyVariable === apiKeyVariable,
  );
  if (owner === undefined || (owner[0] === canonicalEngine(engine) && baseUrl === undefined)) return undefined;
  return `a key of ${owner[0]} is sent to no other server: configure such a backend in the file`;
};

const modelFromWire = (entry: ModelEntry): Readonly<Record<string, unknown>> =>
  toJson(ModelEntrySchema, entry, byKeys) as Readonly<Record<string, unknown>>;

/** A message is an object in JSON. */
const byKeys = { useProtoFieldName: true } as const;

/** mlxd's, the hub's token, and what is sent to the receiver of traces. */
const ownVariable = /^(?:MLXD_|HF_|HUGGING_FACE_|OTEL_)/i;

const changeToWire = ({ added, removed, changed }: CatalogChange) => ({
  added: [...added],
  removed: [...removed],
  changed: [...changed],
});
