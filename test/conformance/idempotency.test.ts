import { MethodOptions_IdempotencyLevel as Level } from "@bufbuild/protobuf/wkt";
import { assert, it } from "vitest";

import { GenerationService } from "../../src/client/gen/mlxd/v1/generation_service_pb.ts";
import { apiServices } from "../../src/service/rpc/routes.ts";

it("calls that may be repeated say so to whoever reads the API", () => {
  assert.strictEqual(GenerationService.method.cancelGeneration.idempotency, Level.IDEMPOTENT);
  const methods = apiServices.flatMap(({ methods }) => methods);
  const reads = methods.filter(({ name }) => /^(Get|List)/.test(name));
  assert.isAbove(reads.length, 4);
  for (const { idempotency, name } of reads) assert.strictEqual(idempotency, Level.NO_SIDE_EFFECTS, name);
});
