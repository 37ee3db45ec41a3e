/** A call did not begin or did not complete. */
import { Schema } from "effect";

import { ProgressSchema } from "./progress.ts";

/** The model's queue is full. */
export class QueueFull extends Schema.TaggedError<QueueFull>()("QueueFull", {
  /** Empty if the model is not known yet, because the request itself waits to be decoded. */
  model: Schema.String,
  limit: Schema.Number,
  retryAfterMs: Schema.Number,
}) {
  override get message(): string {
    const others = this.model === "" ? "calls already wait" : `generations already wait for model "${this.model}"`;
    return `${this.limit} ${others}; try again in ${this.retryAfterMs} ms`;
  }
}

/** `max_queue_wait` passed before the engine began. */
export class QueueTimeout extends Schema.TaggedError<QueueTimeout>()("QueueTimeout", {
  waitedMs: Schema.Number,
  /**
   * For its prompt to be prepared, for a place among the running generations, for the model to be loaded, or for room
   * in its engine.
   */
  waitedFor: Schema.Literals(["prompt", "place", "model", "engine"]),
  retryAfterMs: Schema.Number,
}) {
  override get message(): string {
    const what = {
      prompt: "for its prompt to be prepared",
      place: "for a place: too many run already",
      model: "for the model to be loaded",
      engine: "for room in the engine's batch and KV cache",
    }[this.waitedFor];
    return `it had not begun after ${this.waitedMs} ms of waiting, at last ${what}`;
  }
}

/** The service is shutting down. */
export class Draining extends Schema.TaggedError<Draining>()("Draining", { retryAfterMs: Schema.Number }) {
  override get message(): string {
    return "the server is shutting down; call another one or try again";
  }
}

/** The service shut down while the call's stream was running. */
export class ShutDown extends Schema.TaggedError<ShutDown>()("ShutDown", {
  progress: Schema.optionalKey(ProgressSchema),
}) {
  override get message(): string {
    return "the server shut down before the stream had ended; what was sent stands, the rest is lost";
  }
}

/** The call's deadline passed. */
export class DeadlineExceeded extends Schema.TaggedError<DeadlineExceeded>()("DeadlineExceeded", {
  progress: Schema.optionalKey(ProgressSchema),
}) {
  override get message(): string {
    return "the call's deadline passed";
  }
}

/** The reader of a stream did not read for too long. */
export class ClientStalled extends Schema.TaggedError<ClientStalled>()("ClientStalled", {
  stalledMs: Schema.Number,
  progress: Schema.optionalKey(ProgressSchema),
}) {
  override get message(): string {
    return `the stream was not read for ${this.stalledMs} ms`;
  }
}
