/** Jobs over a pipeline of a test. */
import { randomUUID } from "node:crypto";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Layer } from "effect";

import { Admission } from "../../src/service/admission/Admission.ts";
import { JobsConfig, type JobsSettings } from "../../src/service/config/JobsConfig.ts";
import { layer } from "../../src/service/jobs/stored-jobs.ts";

/** The store is made with the first job. */
export const testJobs = (settings: Partial<JobsSettings> = {}) =>
  layer.pipe(
    Layer.provide(Admission.layer),
    Layer.provide(
      Layer.succeed(JobsConfig, { store: join(tmpdir(), `mlxd-jobs-${randomUUID()}`), parallel: 8, ...settings }),
    ),
  );
