/** Every RPC of the API has its line: a new one fails here until somebody has thought about who may call it. */
import { assert, describe, it } from "vitest";

import { rpcNeeds, spendsTokens } from "../../../src/service/rpc/rpc-needs.ts";
import { apiServices } from "../../../src/service/rpc/routes.ts";

const everybody = "inference, models, jobs, admin";
const expected: Readonly<Record<string, string>> = {
  "GenerationService/Generate": "inference",
  "GenerationService/StreamGenerate": "inference",
  "GenerationService/BatchGenerate": "inference",
  "GenerationService/CancelGeneration": "inference, admin",
  "EmbeddingService/Embed": "inference",
  "TokenizerService/Tokenize": "inference",
  "TokenizerService/Detokenize": "inference",
  "TokenizerService/CountTokens": "inference",
  "ModelService/ListModels": everybody,
  "ModelService/ListLoadedModels": everybody,
  "ModelService/ListCompatibilityProfiles": everybody,
  "ModelService/GetModel": everybody,
  "ModelService/LoadModel": "models, admin",
  "ModelService/PreloadModels": "models, admin",
  "ModelService/UnloadModel": "models, admin",
  "ModelService/UnloadAllModels": "models, admin",
  "ModelService/PinModel": "models, admin",
  "ModelService/PrepareModel": "models, admin",
  "ModelService/ReloadCatalog": "admin",
  "CacheService/GetCacheStats": "admin",
  "CacheService/ListCachedModels": everybody,
  "CacheService/RemoveCachedModel": "models, admin",
  "CacheService/ResizeCache": "admin",
  "CacheService/ClearCache": "models, admin",
  "CacheService/ClearPrefixCaches": "admin",
  "CatalogService/CreateEntry": "admin",
  "CatalogService/UpdateEntry": "admin",
  "CatalogService/DeleteEntry": "admin",
  "DiagnosticsService/ListSupportedTasks": everybody,
  "DiagnosticsService/GetPartsHealth": "admin",
  "ServerService/GetServerInfo": everybody,
  "JobService/CreateJob": "jobs",
  "JobService/AppendJobItems": "jobs",
  "JobService/SealJob": "jobs",
  "JobService/GetJob": "jobs, admin",
  "JobService/ListJobs": "jobs, admin",
  "JobService/ListJobItems": "jobs, admin",
  "JobService/StreamJobResults": "jobs, admin",
  "JobService/CancelJob": "jobs, admin",
  "JobService/DeleteJob": "jobs, admin",
  "JobService/WatchJob": "jobs, admin",
  "ServerService/GetStats": "admin",
  "ServerService/GetLoad": everybody,
  "ServerService/WatchLoad": everybody,
};

describe("rpcNeeds", () => {
  it("says of every RPC of the API which roles it takes", () => {
    const all = apiServices.flatMap(({ typeName, methods }) =>
      methods.map(({ name, localName }) => [
        `${typeName.replace("mlxd.v1.", "")}/${name}`,
        rpcNeeds(typeName, localName).roles.join(", "),
      ]),
    );
    assert.deepEqual(Object.fromEntries(all), expected);
  });

  it("knows which of them spend tokens", () => {
    const spending = apiServices.flatMap(({ methods }) => methods.filter(spendsTokens).map(({ name }) => name));
    assert.sameMembers(spending, ["Generate", "StreamGenerate", "BatchGenerate", "Embed"]);
  });

  it("keeps what it does not know for admins", () => {
    assert.deepEqual(rpcNeeds("mlxd.v1.NewService", "new").roles, ["admin"]);
    assert.deepEqual(rpcNeeds("mlxd.v1.ServerService", "toString").roles, ["admin"]);
  });
});
