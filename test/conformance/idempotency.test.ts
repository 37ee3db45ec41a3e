import { MethodOptions_IdempotencyLevel as Level } from "@bufbuild/protobuf/wkt";
import { expect, it } from "vitest";

import { GenerationService } from "../../src/client/gen/mlxd/v1/generation_service_pb.ts";
import { apiServices } from "../../src/service/rpc/routes.ts";

it("calls that may be repeated say so to whoever reads the API", () => {
  expect(GenerationService.method.cancelGeneration.idempotency).toBe(Level.IDEMPOTENT);
  const methods = apiServices.flatMap(({ methods }) => methods);
  const reads = methods.filter(({ name }) => /^(Get|List)/.test(name));
  expect(reads.length).toBeGreaterThan(4);
  for (const { idempotency, name } of reads) expect(idempotency, name).toBe(Level.NO_SIDE_EFFECTS);
});
