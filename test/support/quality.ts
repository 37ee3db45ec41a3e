/** How models are tried in tests: as by default, but for what a test says. */
import { Layer } from "effect";

import { QualityConfig, type QualitySettings } from "../../src/service/config/QualityConfig.ts";

export const quality = (settings: Partial<QualitySettings> = {}): Layer.Layer<QualityConfig> =>
  Layer.succeed(QualityConfig, {
    smokeQuestion: "한국어로 한 문장만 답해. 2+2는?",
    smokeAnswers: ["4", "네", "사"],
    smokeBlocksChat: true,
    retriesBroken: true,
    ...settings,
  });
