/**
 * The roles that each RPC requires. An RPC without a line here does not compile; one of a service without a table
 * requires `admin`.
 */
import type { DescMethod } from "@bufbuild/protobuf";

import { CacheService } from "../../client/gen/mlxd/v1/cache_service_pb.ts";
import { CatalogService } from "../../client/gen/mlxd/v1/catalog_service_pb.ts";
import { DiagnosticsService } from "../../client/gen/mlxd/v1/diagnostics_service_pb.ts";
import { EmbeddingService } from "../../client/gen/mlxd/v1/embedding_service_pb.ts";
import { GenerationService } from "../../client/gen/mlxd/v1/generation_service_pb.ts";
import { JobService } from "../../client/gen/mlxd/v1/job_service_pb.ts";
import { ModelService } from "../../client/gen/mlxd/v1/model_service_pb.ts";
import { ServerService } from "../../client/gen/mlxd/v1/server_service_pb.ts";
import { TokenizerService } from "../../client/gen/mlxd/v1/tokenizer_service_pb.ts";
import type { Requirement } from "../access/Access.ts";
import { everyRole, type Role } from "../domain/Caller.ts";

type RolesOf<Service extends { readonly method: object }> = Readonly<
  Record<keyof Service["method"], ReadonlyArray<Role>>
>;

const inference: ReadonlyArray<Role> = ["inference"];
const models: ReadonlyArray<Role> = ["models", "admin"];
const admin: ReadonlyArray<Role> = ["admin"];

const generation: RolesOf<typeof GenerationService> = {
  generate: inference,
  streamGenerate: inference,
  batchGenerate: inference,
  cancelGeneration: ["inference", "admin"],
};

const embedding: RolesOf<typeof EmbeddingService> = { embed: inference };

const tokenizer: RolesOf<typeof TokenizerService> = {
  tokenize: inference,
  detokenize: inference,
  countTokens: inference,
};

const model: RolesOf<typeof ModelService> = {
  listModels: everyRole,
  listLoadedModels: everyRole,
  listCompatibilityProfiles: everyRole,
  getModel: everyRole,
  loadModel: models,
  preloadModels: models,
  unloadModel: models,
  unloadAllModels: models,
  pinModel: models,
  prepareModel: models,
  reloadCatalog: admin,
};

const jobs: ReadonlyArray<Role> = ["jobs", "admin"];

const job: RolesOf<typeof JobService> = {
  createJob: ["jobs"],
  appendJobItems: ["jobs"],
  sealJob: ["jobs"],
  getJob: jobs,
  listJobs: jobs,
  listJobItems: jobs,
  streamJobResults: jobs,
  cancelJob: jobs,
  deleteJob: jobs,
  watchJob: jobs,
};

/** Statistics name the partitions of every tenant, and limits are everybody's. */
const cache: RolesOf<typeof CacheService> = {
  getCacheStats: admin,
  listCachedModels: everyRole,
  removeCachedModel: models,
  resizeCache: admin,
  clearCache: models,
  clearPrefixCaches: admin,
};

/** What models run on, and with which keys, is the operator's. */
const catalog: RolesOf<typeof CatalogService> = { createEntry: admin, updateEntry: admin, deleteEntry: admin };

const diagnostics: RolesOf<typeof DiagnosticsService> = {
  listSupportedTasks: everyRole,
  getPartsHealth: admin,
};

const server: RolesOf<typeof ServerService> = {
  getServerInfo: everyRole,
  getStats: admin,
  getLoad: everyRole,
  watchLoad: everyRole,
};

const tables: ReadonlyArray<readonly [string, Readonly<Record<string, ReadonlyArray<Role>>>]> = [
  [GenerationService.typeName, generation],
  [EmbeddingService.typeName, embedding],
  [TokenizerService.typeName, tokenizer],
  [ModelService.typeName, model],
  [JobService.typeName, job],
  [CacheService.typeName, cache],
  [CatalogService.typeName, catalog],
  [DiagnosticsService.typeName, diagnostics],
  [ServerService.typeName, server],
];

const roles: ReadonlyMap<string, ReadonlyArray<Role>> = new Map(
  tables.flatMap(([service, table]) => Object.entries(table).map(([name, taken]) => [`${service}/${name}`, taken])),
);

/** Whether a call of it changes or shows what all tenants use, and so belongs to the audit. */
export const isAdministrative = ({ roles: taken }: Requirement): boolean =>
  !taken.includes("inference") && !taken.includes("jobs");

/** RPCs that cannot be answered without spending the tenant's tokens. */
const spending: ReadonlyArray<DescMethod> = [
  GenerationService.method.generate,
  GenerationService.method.streamGenerate,
  GenerationService.method.batchGenerate,
  EmbeddingService.method.embed,
];

export const spendsTokens = (method: DescMethod): boolean => spending.includes(method);

/** @param localName the method's name in lower camel case */
export const rpcNeeds = (service: string, localName: string): Requirement => ({
  roles: roles.get(`${service}/${localName}`) ?? admin,
});
