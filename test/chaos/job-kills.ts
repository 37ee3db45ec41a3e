/** `kill -9` of a service that keeps its jobs in a directory, again and again while it takes and runs them. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { startService } from "../support/running-service.ts";
import {
  type AskedJob,
  askFor,
  assertExactlyOnce,
  aWhile,
  kill,
  seededTasks,
  type Told,
  untilStarted,
} from "./killed-jobs.ts";

/** Of each life of the service. */
const itemsOfLife = 15;

export const killEmbedded = async (kills: number): Promise<Told> => {
  const directory = await mkdtemp(join(tmpdir(), "mlxd-kills-"));
  const start = () => startService({ MLXD_JOBS_STORE: join(directory, "store"), MLXD_LOG_LEVEL: "Error" });
  let service = await start();
  try {
    const jobs: AskedJob[] = [];
    for (let life = 0; life < kills; life++) {
      const job = { requestId: `life ${life}`, tasks: seededTasks(life * itemsOfLife, itemsOfLife) };
      jobs.push(job);
      const leave = askFor(job, service.url);
      // In every other life not before its items run: it may end sooner than it has opened its store.
      if (life % 2 === 1) await untilStarted(job, service.url);
      await aWhile(0, life % 2 === 1 ? 300 : 1_500);
      await kill(service);
      await leave();
      service = await start();
    }
    return await assertExactlyOnce(service.url, jobs);
  } finally {
    await service.stop();
    await rm(directory, { recursive: true, force: true });
  }
};
