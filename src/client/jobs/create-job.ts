import type { Client } from "@connectrpc/connect";
import type { BatchItem } from "../batch.ts";
import type { Attempt } from "../call.ts";
import { type Caller, checkOptions } from "../caller.ts";
import { checkFunctions, checkText } from "../check.ts";
import { isMlxdError } from "../errors.ts";
import type { CreateJobResponse, JobService } from "../gen/mlxd/v1/job_service_pb.ts";
import { jobOptionsToWire } from "./job-options.ts";
import { Appends } from "./appends.ts";
import { createPatiently } from "./create-patiently.ts";
import type { CreateJobOptions, Job } from "./jobs.ts";
import { jobFromWire } from "./jobs-from-wire.ts";
import { piecesOf } from "./task-pieces.ts";

/** Creates a job and adds all of its tasks, piece by piece. */
export const createJob = async (
  caller: Caller,
  raw: Client<typeof JobService>,
  tasks: Iterable<BatchItem> | AsyncIterable<BatchItem>,
  options: CreateJobOptions,
): Promise<Job> => {
  const { requestId, defaults, onProgress, signal, timeoutMs, headers, ...others } = checkOptions(options);
  const { priority, labels, expiresAfterMs, maxParallel, maxAttempts, retentionMs, ...more } = others;
  const wire = jobOptionsToWire({ priority, labels, expiresAfterMs, maxParallel, maxAttempts, retentionMs }, defaults);
  const call = { ...more, signal, timeoutMs, headers };
  if (onProgress !== undefined) checkFunctions({ onProgress }, "options", ["onProgress"]);
  const id = checkText(requestId ?? crypto.randomUUID(), "requestId");
  const { closings } = caller;
  let jobId = "";
  let isOpen = false;
  let sent = 0;
  const appends = new Appends();
  const stored = (count: number): void => onProgress?.(count);
  try {
    for await (const { items, isLast } of piecesOf(tasks, caller.model)) {
      if (jobId === "") {
        const request = { requestId: id, items, open: !isLast, options: wire };
        const create: Attempt<CreateJobResponse> = (connect) => raw.createJob(request, connect);
        const { job } = await (requestId === undefined
          ? createPatiently(caller, call, create)
          : caller.unary(call, create));
        const created = jobFromWire(job);
        jobId = created.jobId;
        isOpen = !created.sealed;
        sent = items.length;
        stored(sent);
      } else {
        const request = { jobId, offset: sent, items, seal: isLast };
        sent += items.length;
        const reached = sent;
        await appends.add(
          async () => {
            await caller.unary(call, (connect) => raw.appendJobItems(request, connect));
          },
          () => stored(reached),
        );
      }
    }
    await appends.end();
    return jobFromWire((await caller.unary(call, (connect) => raw.getJob({ jobId }, connect))).job);
  } catch (error) {
    // Without a request id nobody else knows of the job. With one it stays, unless it is a part that cannot be completed.
    const isOurs = jobId !== "" && (requestId === undefined || (isOpen && isFinal(error)));
    if (isOurs && caller.closings === closings) {
      const within = { headers, timeoutMs: deleteWithinMs };
      await caller.unary(within, (connect) => raw.deleteJob({ jobId }, connect)).catch(() => {});
    }
    throw error;
  }
};

/** Whether the same tasks would be refused again. */
const isFinal = (error: unknown): boolean =>
  isMlxdError(error) && (error.code === "INVALID_ARGUMENT" || error.reason === "MESSAGE_TOO_LARGE");

/** If the service is gone, the caller hears soon why the job was not created. */
const deleteWithinMs = 2_000;
