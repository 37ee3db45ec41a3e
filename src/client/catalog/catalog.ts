import type { CallOptions } from "../call.ts";
import type {
  BackendEntry as BackendEntryMessage,
  CatalogChange as CatalogChangeMessage,
  EntryDefaults,
  ModelEntry as ModelEntryMessage,
} from "../gen/mlxd/v1/catalog_service_pb.ts";
import type { Plain } from "../plain.ts";

/** A server that models run on: the keys of `backends.<name>` in mlxd.yaml, in camel case. */
export interface BackendEntry extends Optional<Omit<Plain<BackendEntryMessage>, "engine">> {
  /** The kind of server, e.g. `ollama` or `openai`. */
  readonly engine: string;
}

/** A model: the keys of `models.<id>` in mlxd.yaml, in camel case. */
export interface ModelEntry extends Optional<Omit<Plain<ModelEntryMessage>, "defaults">> {
  /** Defaults of requests. */
  readonly defaults?: Optional<Plain<EntryDefaults>> | undefined;
}

/** With every member left out as the caller likes. */
type Optional<T> = { readonly [K in keyof T]?: T[K] | undefined };

/** An entry of the catalog: a backend or a model. */
export type CatalogEntry = { readonly backend: BackendEntry } | { readonly model: ModelEntry };

/** The entry to delete, by its name. */
export type CatalogEntryName = { readonly backend: string } | { readonly model: string };

/** The models that a change of an entry concerned, by id. */
export type EntryChange = Plain<CatalogChangeMessage>;

/** Options of the calls of {@link CatalogClient}. */
export interface CatalogEntryOptions extends CallOptions {
  /**
   * Whether to change the configuration file as well.
   * @default false
   */
  readonly writeBack?: boolean | undefined;
}

/**
 * Backends and models of the service's catalog. What is changed here stays until the service ends; with `writeBack` it is
 * written to the configuration file as well. An entry is validated as one of the file is.
 */
export interface CatalogClient {
  /** Adds a backend or a model. Fails with `ENTRY_EXISTS` if its name is taken. */
  create(name: string, entry: CatalogEntry, options?: CatalogEntryOptions): Promise<EntryChange>;

  /** Replaces the whole entry of a backend or a model. Fails with `ENTRY_NOT_FOUND` if there is none. */
  update(name: string, entry: CatalogEntry, options?: CatalogEntryOptions): Promise<EntryChange>;

  /** Removes the entry of a backend or a model. Fails with `ENTRY_NOT_FOUND` if there is none. */
  delete(entry: CatalogEntryName, options?: CatalogEntryOptions): Promise<EntryChange>;
}
