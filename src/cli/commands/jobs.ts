import { Option } from "@commander-js/extra-typings";
import type { Job, JobOptions } from "../../client/node.ts";
import { CalledWrongly, CommandFailed } from "../failures.ts";
import { formatCount, formatDuration } from "../format.ts";
import { contentId, countTasks, readTasks } from "../jobs/tasks-file.ts";
import { endLine, eventLine, itemLine, jobColumns, jobPairs, jobRow } from "../jobs/describe-job.ts";
import { followResults, JobProgress } from "../jobs/follow-job.ts";
import * as shared from "../options.ts";
import { repeated, wholeNumber } from "../parse-values.ts";
import { note, print, printJson, printPairs, printTable } from "../print.ts";
import { examples, type Program } from "../program.ts";
import { StatusLine } from "../status-line.ts";
import { withClient } from "../with-client.ts";

/** `mlxd jobs`: many tasks that the service runs in the background. */
export const addJobs = (mlxd: Program): void => {
  const jobs = mlxd
    .command("jobs")
    .description("Durable jobs: many tasks that the service runs in the background, across restarts.")
    .addHelpText("after", examples("mlxd jobs submit questions.jsonl -o answers.jsonl", "mlxd jobs list"));
  addSubmit(jobs);
  addList(jobs);
  addShow(jobs);
  addWatch(jobs);
  addResults(jobs);
  addEnd(jobs);
};

type Jobs = ReturnType<typeof parentOf>;
const parentOf = (mlxd: Program) => mlxd.command("jobs");

const label = new Option("--label <key=value>", "a label of the job; may be repeated").argParser(repeated);

const labelsOf = (labels: readonly string[] = []): Record<string, string> =>
  Object.fromEntries(
    labels.map((text) => {
      const at = text.indexOf("=");
      if (at <= 0) throw new CalledWrongly("--label takes a key and a value, such as run=nightly");
      return [text.slice(0, at), text.slice(at + 1)];
    }),
  );

const wholeNumberOrNegative = (text: string): number => {
  if (text.startsWith("-")) return -wholeNumber(text.slice(1));
  return wholeNumber(text);
};

const addSubmit = (jobs: Jobs): void => {
  shared
    .addAnswering(jobs, "submit")
    .description(
      "Makes a job of the tasks in a file of JSON lines, and prints each result as a line of JSON when it is there. Called " +
        "again after Ctrl-C with the same file and options, it continues with the same job.",
    )
    .argument("<file>", 'each line is a text, or an object such as {"input": "What is 2+2?"}; - is standard input')
    .option("-o, --output <file>", "write the results to this file instead of standard output")
    .option("--detach", "print the job's id and do not wait for results")
    .option("--new", "make a new job even if one exists for this file and these options")
    .addOption(
      new Option(
        "--request-id <id>",
        "identifies the job when the command is repeated; default: derived from the file and the options",
      ).conflicts("new"),
    )
    .addOption(label)
    .addOption(
      new Option("--priority <number>", "-100 to 100; among your jobs, higher ones go first").argParser(
        wholeNumberOrNegative,
      ),
    )
    .addOption(
      new Option("--parallel <count>", "how many tasks run at once, on all hosts together").argParser(wholeNumber),
    )
    .addOption(new Option("--attempts <count>", "the most attempts per task, 1 to 10").argParser(wholeNumber))
    .addOption(
      new Option("--expires <seconds>", "give up tasks without a result after this time; default: a day").argParser(
        durationSeconds,
      ),
    )
    .addOption(
      new Option("--keep <seconds>", "how long to keep the job after its end; default: 7 days").argParser(
        durationSeconds,
      ),
    )
    .addHelpText(
      "after",
      examples(
        "mlxd jobs submit questions.jsonl -o answers.jsonl",
        "mlxd jobs submit questions.jsonl --detach --label run=nightly --max-output-tokens 64",
        "jq -c .question questions.json | mlxd jobs submit - | jq -r .text",
      ),
    )
    .action(async (file, own, command) => {
      const options = command.optsWithGlobals();
      const defaults = shared.generationParameters(own);
      const jobOptions: JobOptions = {
        priority: own.priority,
        labels: labelsOf(own.label),
        expiresAfterMs: own.expires,
        maxParallel: own.parallel,
        maxAttempts: own.attempts,
        retentionMs: own.keep,
      };
      const isNew = own.new === true || file === "-";
      const content = JSON.stringify([defaults, jobOptions]);
      const requestId = own.requestId ?? (isNew ? undefined : await contentId(file, content));
      await withClient(options, async (client, signal) => {
        const job = await submit(file, (tasks, onProgress) =>
          client.jobs.create(tasks, { ...jobOptions, defaults, requestId, signal, onProgress }),
        );
        if (own.detach) return print(job.jobId);
        note(`job ${job.jobId} has ${formatCount(job.counts.total)} tasks`);
        await followResults(client, job.jobId, { output: own.output, signal });
        tellEnd(await client.jobs.get(job.jobId, { signal }));
      });
    });
};

/** Seconds of any length, converted to milliseconds; the service checks the bounds. */
const durationSeconds = (text: string): number => wholeNumber(text) * 1000;

const submit = async (
  file: string,
  create: (tasks: ReturnType<typeof readTasks>, onProgress: (count: number) => void) => Promise<Job>,
): Promise<Job> => {
  using line = new StatusLine();
  // A mistake in the file is found before there is a part of a job. Standard input can be read only once.
  const total = file === "-" ? "" : ` of ${formatCount(await countTasks(file))}`;
  const began = performance.now();
  const wait = setInterval(() => {
    const time = formatDuration(performance.now() - began);
    line.show(`submitting ... no answer for ${time}: with its first job the service opens its store of jobs`);
  }, waitMs);
  try {
    return await create(readTasks(file), (count) => {
      clearInterval(wait);
      line.show(`submitting ... ${formatCount(count)}${total} tasks`);
    });
  } finally {
    clearInterval(wait);
  }
};

const waitMs = 1_000;

const tellEnd = (job: Job): void => {
  const { total, failed } = job.counts;
  if (job.state !== "completed") throw new CommandFailed(endLine(job));
  if (failed > 0) note(`${formatCount(failed)} of ${formatCount(total)} tasks failed`);
};

const addList = (jobs: Jobs): void => {
  jobs
    .command("list")
    .description("Lists jobs, newest first.")
    .addOption(label)
    .option(
      "--state <state>",
      "pending, in_progress, completed, failed, cancelled or expired; may be repeated",
      repeated,
    )
    .addOption(shared.jsonLines)
    .addHelpText("after", examples("mlxd jobs list", "mlxd jobs list --state in_progress --label run=nightly"))
    .action(async ({ label: labels, state: states = [] }, command) => {
      const options = command.optsWithGlobals();
      await withClient(options, async (client, signal) => {
        const all: Job[] = [];
        // The client reports an invalid state.
        const asked = { labels: labelsOf(labels), states: states as "pending"[], signal };
        for await (const job of client.jobs.list(asked)) {
          if (options.json) print(JSON.stringify(job));
          else all.push(job);
        }
        if (options.json) return;
        if (all.length === 0) print("There are no jobs.");
        else printTable(jobColumns, all.map(jobRow));
      });
    });
};

const addShow = (jobs: Jobs): void => {
  jobs
    .command("show")
    .description("Shows a job's progress and, with --items, the state of each task.")
    .argument("<job>", "the job's id")
    .option("--items", "a line for each task: its state, and why its attempts ended")
    .addOption(shared.json)
    .addHelpText("after", examples("mlxd jobs show 8b6a2f0e-...", "mlxd jobs show 8b6a2f0e-... --items"))
    .action(async (jobId, { items }, command) => {
      const options = command.optsWithGlobals();
      await withClient(options, async (client, signal) => {
        const job = await client.jobs.get(jobId, { signal });
        if (!items) return options.json ? printJson(job) : printPairs(jobPairs(job));
        for await (const item of client.jobs.items(jobId, { signal })) {
          print(options.json ? JSON.stringify(item) : itemLine(item));
        }
      });
    });
};

const addWatch = (jobs: Jobs): void => {
  jobs
    .command("watch")
    .description(
      "Prints the events of a job until it is over; for a job with one task, also the output of its generation.",
    )
    .argument("<job>", "the job's id")
    .addOption(new Option("--after <sequence>", "only events after this one").argParser(wholeNumber))
    .addOption(shared.jsonLines)
    .addHelpText("after", examples("mlxd jobs watch 8b6a2f0e-...", "mlxd jobs watch 8b6a2f0e-... --after 17 --json"))
    .action(async (jobId, { after }, command) => {
      const options = command.optsWithGlobals();
      await withClient(options, async (client, signal) => {
        using progress = new JobProgress(client, jobId);
        for await (const event of client.jobs.watch(jobId, { after, signal })) {
          progress.clear();
          print(options.json ? JSON.stringify(event) : eventLine(event));
        }
      });
    });
};

const addResults = (jobs: Jobs): void => {
  jobs
    .command("results")
    .description(
      "Prints each result of a job as a line of JSON, in the order of the tasks, and waits for those that are not done.",
    )
    .argument("<job>", "the job's id")
    .option("-o, --output <file>", "write them to this file instead of standard output")
    .option("--available", "only the results that exist now, in the order in which they finished")
    .addHelpText("after", examples("mlxd jobs results 8b6a2f0e-... | jq -r .text"))
    .action(async (jobId, { output, available }, command) => {
      const options = command.optsWithGlobals();
      await withClient(options, async (client, signal) => {
        if (available) {
          return followResults(client, jobId, { output, order: "finished", availableOnly: true, signal });
        }
        await followResults(client, jobId, { output, signal });
        tellEnd(await client.jobs.get(jobId, { signal }));
      });
    });
};

const addEnd = (jobs: Jobs): void => {
  jobs
    .command("cancel")
    .description("Cancels a job: waiting tasks never start, running tasks stop, and existing results are kept.")
    .argument("<job>", "the job's id")
    .addHelpText("after", examples("mlxd jobs cancel 8b6a2f0e-..."))
    .action(async (jobId, _, command) => {
      await withClient(command.optsWithGlobals(), async (client, signal) => {
        print(endLine(await client.jobs.cancel(jobId, { signal })));
      });
    });
  jobs
    .command("delete")
    .description("Deletes a job with all its results; a running job is cancelled first.")
    .argument("<job>", "the job's id")
    .addHelpText("after", examples("mlxd jobs delete 8b6a2f0e-..."))
    .action(async (jobId, _, command) => {
      await withClient(command.optsWithGlobals(), (client, signal) => client.jobs.delete(jobId, { signal }));
      print("deleted");
    });
};
