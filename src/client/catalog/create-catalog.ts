import { type DescMessage, fromJson, type MessageShape } from "@bufbuild/protobuf";
import { createClient, type Transport } from "@connectrpc/connect";
import { type Caller, checkOptions } from "../caller.ts";
import { checkFlag, checkJson, checkKeys, checkObject, checkText } from "../check.ts";
import { invalidField } from "../errors.ts";
import {
  BackendEntrySchema,
  CatalogChangeSchema,
  CatalogService,
  type CatalogChange,
  ModelEntrySchema,
} from "../gen/mlxd/v1/catalog_service_pb.ts";
import { toPlain } from "../plain.ts";
import type { CatalogClient, EntryChange } from "./catalog.ts";

/** The calls of the CatalogService. */
export const createCatalogClient = (caller: Caller, transport: Transport): CatalogClient => {
  const raw = createClient(CatalogService, transport);
  return {
    create: async (name, entry, options = {}) => {
      const { writeBack = false, ...call } = checkOptions(options);
      const request = {
        name: checkText(name, "name"),
        entry: entryToWire(entry),
        writeBack: checkFlag(writeBack, "writeBack"),
      };
      return changeFrom(await caller.unary(call, (connect) => raw.createEntry(request, connect)));
    },

    update: async (name, entry, options = {}) => {
      const { writeBack = false, ...call } = checkOptions(options);
      const request = {
        name: checkText(name, "name"),
        entry: entryToWire(entry),
        writeBack: checkFlag(writeBack, "writeBack"),
      };
      return changeFrom(await caller.unary(call, (connect) => raw.updateEntry(request, connect)));
    },

    delete: async (entry, options = {}) => {
      const { writeBack = false, ...call } = checkOptions(options);
      const [kind, name] = kindOf(entry);
      const request = {
        entry: { case: kind, value: checkText(name, kind) },
        writeBack: checkFlag(writeBack, "writeBack"),
      };
      return changeFrom(await caller.unary(call, (connect) => raw.deleteEntry(request, connect)));
    },
  };
};

const entryToWire = (entry: unknown) => {
  const [kind, value] = kindOf(entry);
  return kind === "backend"
    ? { case: kind, value: messageFrom(BackendEntrySchema, value, kind) }
    : { case: kind, value: messageFrom(ModelEntrySchema, value, kind) };
};

const kindOf = (entry: unknown): readonly [kind: "backend" | "model", value: unknown] => {
  const given = checkObject(entry, "entry");
  checkKeys(given, "entry", ["backend", "model"], "entry");
  const { backend, model } = given;
  if ((backend === undefined) === (model === undefined))
    throw invalidField("entry", "exactly one of backend and model");
  return backend === undefined ? ["model", model] : ["backend", backend];
};

/** Refuses keys that there are not, and values of another type. */
const messageFrom = <Schema extends DescMessage>(
  schema: Schema,
  value: unknown,
  name: string,
): MessageShape<Schema> => {
  const given = checkObject(value, name);
  checkKeys(
    given,
    name,
    schema.fields.map(({ localName }) => localName),
    "key",
  );
  const json = checkJson(given, name);
  try {
    return fromJson(schema, json as Parameters<typeof fromJson>[1]);
  } catch (cause) {
    throw invalidField(name, cause instanceof Error ? cause.message : "it is not an entry");
  }
};

const changeFrom = ({ change }: { readonly change?: CatalogChange | undefined }): EntryChange =>
  change === undefined ? { added: [], removed: [], changed: [] } : toPlain(CatalogChangeSchema, change);
