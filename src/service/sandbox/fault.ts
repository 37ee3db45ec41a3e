/** Whose fault it is that a job failed, as a caller reads it. */
import { InvalidField, ModelBroken, QueueFull, SandboxLost } from "../domain/errors.ts";
import type { JobFailed } from "./JobFailed.ts";
import { smallInputBytes } from "./Sandbox.ts";
import { maxWaitingOfShare } from "./WaitingJobs.ts";

export interface BlamedField {
  /** Path in the request message. */
  readonly field: string;
  /** Bytes of it. */
  readonly bytes: number;
  /** Id of the model that is asked. */
  readonly model: string;
  /** What is done with it, in the third person: "tokenising it". */
  readonly work: string;
}

/** Of a job that works with the caller's input alone, e.g. a schema. */
export const callersFault = (
  failed: JobFailed,
  { field, bytes, model, work }: BlamedField,
): InvalidField | QueueFull | SandboxLost => {
  if (failed.reason === "killed") return sandboxLost(model, `${work} ${failed.cause}`);
  if (failed.reason === "queue-full") return queueFull(model);
  const description = `it has ${bytes} bytes, and ${work} ${failed.cause}`;
  return new InvalidField({ violations: [{ field, description }] });
};

/** Of a job with the model's own files: what is slow on a small input is the files' fault. */
export const fault = (failed: JobFailed, blamed: BlamedField): InvalidField | ModelBroken | QueueFull | SandboxLost => {
  if (failed.reason === "queue-full" || failed.reason === "killed" || blamed.bytes > smallInputBytes)
    return callersFault(failed, blamed);
  const { model, bytes, work } = blamed;
  return new ModelBroken({ model, cause: `${work} ${failed.cause}, with ${bytes} bytes of input` });
};

/** @param cause a sentence without its end */
export const sandboxLost = (model: string, cause: string): SandboxLost =>
  new SandboxLost({ model, cause, retryAfterMs: 1000 });

const queueFull = (model: string) => new QueueFull({ model, limit: maxWaitingOfShare, retryAfterMs: 1000 });
