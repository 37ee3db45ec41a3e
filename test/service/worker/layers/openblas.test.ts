import { assert, describe, it } from "@effect/vitest";

import { openBlasCore } from "../../../../src/service/config/EngineConfig.ts";
import { hasInPlaceKernels } from "../../../../src/service/worker/layers/openblas.ts";

describe("the kernels of OpenBLAS", () => {
  it("multiply small matrices in place with AVX-512 only", () => {
    for (const core of ["SkylakeX", "SKYLAKEX", "Cooperlake", "SapphireRapids"]) {
      assert.isTrue(hasInPlaceKernels(core), core);
    }
    for (const core of ["Haswell", "Zen", "Prescott", "NEOVERSEN1", "", undefined]) {
      assert.isFalse(hasInPlaceKernels(core), core ?? "unset");
    }
  });

  it("are those that the service names for the CPU", () => {
    assert.isTrue(hasInPlaceKernels(openBlasCore(new Set(["avx2", "avx512f"]))));
    assert.isFalse(hasInPlaceKernels(openBlasCore(new Set(["avx2"]))));
    assert.isFalse(hasInPlaceKernels(openBlasCore(new Set())));
  });
});
