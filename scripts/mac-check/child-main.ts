/** The process of one job: `node --expose-gc child-main.ts NAME INPUT`, the input as JSON. */
import { type JobName, jobs } from "./jobs.ts";

const [name = "", input = "{}"] = process.argv.slice(2);

const answer = async () => {
  try {
    const job = jobs[name as JobName] as (input: unknown) => unknown;
    return { type: "value", value: await job(JSON.parse(input)) };
  } catch (cause) {
    return { type: "problem", problem: cause instanceof Error ? cause.message : String(cause) };
  }
};

process.send?.(await answer(), () => process.exit(0));
