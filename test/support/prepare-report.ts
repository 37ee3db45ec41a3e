/** Reports of preparations, for tests of what is done with them. */
import type { PrepareReport } from "../../src/service/domain/preparation.ts";

export const prepareReport = (report: Partial<PrepareReport> = {}): PrepareReport => ({
  type: "report",
  stage: "ready",
  status: "ok",
  resolution: undefined,
  model: undefined,
  current: "",
  message: "",
  downloaded: false,
  loaded: false,
  readyToChat: true,
  compatibilityStatus: "unknown",
  smokeTest: undefined,
  timings: [],
  error: undefined,
  stageLogs: [],
  installResult: undefined,
  downloadResult: undefined,
  ...report,
});
