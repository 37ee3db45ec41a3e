/** Two services on one Postgres share the work, while either of them and Postgres itself are killed. */
import { type Postgres } from "../support/postgres.ts";
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

const itemsOfTurn = 40;

export const killHosts = async (postgres: Postgres, kills: number): Promise<Told> => {
  const start = () => startService({ MLXD_JOBS_STORE: postgres.url, MLXD_LOG_LEVEL: "Error" });
  const hosts = await Promise.all([start(), start()]);
  try {
    const jobs: AskedJob[] = [];
    for (let turn = 0; turn < kills; turn++) {
      const job = { requestId: `turn ${turn}`, tasks: seededTasks(turn * itemsOfTurn, itemsOfTurn) };
      jobs.push(job);
      const leave = askFor(job, hosts[turn % 2 === 0 ? 0 : 1].url);
      await untilStarted(job, hosts[turn % 2 === 0 ? 0 : 1].url);
      await aWhile(0, 1_000);
      const victim = ([1, "postgres", 0, "postgres", 0, 1] as const)[turn % 6] ?? 0;
      if (victim === "postgres") {
        await postgres.kill();
        await aWhile(0, 1_500);
        await postgres.start();
      } else {
        await kill(hosts[victim]);
        hosts[victim] = await start();
      }
      await leave();
    }
    return await assertExactlyOnce(hosts[1].url, jobs);
  } finally {
    for (const host of hosts) await host.stop();
  }
};
