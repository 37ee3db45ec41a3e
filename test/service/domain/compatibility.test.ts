import { assert, describe, it } from "@effect/vitest";

import { compatibilityOf } from "../../../src/service/domain/compatibility.ts";
import type { Quality, SmokeTest } from "../../../src/service/domain/smoke-test.ts";
import { familyProfile } from "../../../src/service/models/catalog/families.ts";
import { modelStatus } from "../../support/listed-models.ts";
import { facts } from "../../support/tasks.ts";

const tried = (quality: Quality, reason: string): SmokeTest => ({
  quality,
  reason,
  answer: "4",
  testedAt: 1_700_000_000_000,
  durationMs: 7,
});
const model = (state: "available" | "active" | "draining" | "loading", engine: "mlx" = "mlx") => ({
  ...modelStatus("tiny", { state }),
  facts: facts({ id: "tiny", family: "gpt-oss", engine }),
  profile: familyProfile("gpt-oss"),
});

describe("a compatibility profile", () => {
  it("has all that a model is run with, under the engine's full name", () => {
    const { defaults } = model("active").facts;
    assert.deepStrictEqual(compatibilityOf(model("available"), undefined), {
      key: "local_mlx:tiny",
      modelId: "tiny",
      engine: "local_mlx",
      family: "gpt-oss",
      template: "gpt_oss",
      stopSequences: defaults.stopSequences,
      temperature: defaults.temperature,
      topP: defaults.topP,
      maxOutputTokens: defaults.maxOutputTokens,
      disableDraft: true,
      postprocess: ["trim_after_user_marker", "strip_role_tokens"],
      supportsSystem: true,
      supportsVision: false,
      preferredEngines: ["ollama", "llamacpp", "vllm", "local_mlx"],
      loaded: false,
      chatCompatible: false,
      qualityStatus: "unknown",
      lastTestError: undefined,
      validatedAt: undefined,
    });
  });

  it.each([
    [undefined, "unknown", false, undefined],
    [tried("ok", "ok"), "ok", true, undefined],
    [tried("degraded", "mild repetition"), "degraded", true, "mild repetition"],
    [tried("failed", "empty response"), "failed", false, "empty response"],
  ] as const)("says of %o that its quality is %s", (test, qualityStatus, chatCompatible, lastTestError) => {
    const profile = compatibilityOf(model("active"), test);
    assert.deepInclude(profile, { qualityStatus, chatCompatible, lastTestError, validatedAt: test?.testedAt });
  });

  it("says whether an engine holds the model", () => {
    const loaded = (["available", "loading", "active", "draining"] as const).map(
      (state) => compatibilityOf(model(state), undefined).loaded,
    );
    assert.deepStrictEqual(loaded, [false, false, true, true]);
  });
});
