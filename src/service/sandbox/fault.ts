/** Turns a failed job into the error that its caller sees, which depends on whose fault the failure is. */
import { InvalidField, ModelBroken, QueueFull, SandboxLost } from "../domain/errors.ts";
import type { JobFailed } from "./JobFailed.ts";
import { smallInputBytes } from "./Sandbox.ts";
import { maxWaitingOfShare } from "./WaitingJobs.ts";

export interface BlamedField {
  /** Path in the request message. */
  readonly field: string;
  /** The field's size in bytes. */
  readonly bytes: number;
  /** Id of the model that the request names. */
  readonly model: string;
  /** What the job does with the field, in the third person: "tokenising it". */
  readonly work: string;
}

/** The error for a job that works with the caller's input only, e.g. a schema. */
export const callersFault = (
  failed: JobFailed,
  { field, bytes, model, work }: BlamedField,
): InvalidField | QueueFull | SandboxLost => {
  if (failed.reason === "killed") return sandboxLost(model, `${work} ${failed.cause}`);
  if (failed.reason === "queue-full") return queueFull(model);
  const description = `it has ${bytes} bytes, and ${work} ${failed.cause}`;
  return new InvalidField({ violations: [{ field, description }] });
};

/**
 * The error for a job that also uses the model's files: if a small input exceeds the limits, the files are at fault.
 */
export const fault = (failed: JobFailed, blamed: BlamedField): InvalidField | ModelBroken | QueueFull | SandboxLost => {
  if (failed.reason === "queue-full" || failed.reason === "killed" || blamed.bytes > smallInputBytes)
    return callersFault(failed, blamed);
  const { model, bytes, work } = blamed;
  return new ModelBroken({ model, cause: `${work} ${failed.cause}, with ${bytes} bytes of input` });
};

/** @param cause a sentence without its full stop */
export const sandboxLost = (model: string, cause: string): SandboxLost =>
  new SandboxLost({ model, cause, retryAfterMs: 1000 });

const queueFull = (model: string) => new QueueFull({ model, limit: maxWaitingOfShare, retryAfterMs: 1000 });
