/** An engine or a sandbox process is not running, or ended during a request. */
import { Schema } from "effect";

import { ProgressSchema } from "./progress.ts";

/** The engine's process ended while it loaded the model, or took too long. */
export class EngineStartFailed extends Schema.TaggedError<EngineStartFailed>()("EngineStartFailed", {
  model: Schema.String,
  cause: Schema.String,
  retryAfterMs: Schema.Number,
}) {
  override get message(): string {
    return `the engine of model "${this.model}" did not start: ${this.cause}; try again in ${this.retryAfterMs} ms`;
  }
}

/** Something that the model's engine requires is missing on this machine. */
export class EngineUnavailable extends Schema.TaggedError<EngineUnavailable>()("EngineUnavailable", {
  model: Schema.String,
  engine: Schema.String,
  cause: Schema.String,
}) {
  override get message(): string {
    return `model "${this.model}" cannot be loaded: the engine "${this.engine}" does not run on this machine: ${this.cause}`;
  }
}

/**
 * A sandbox process that worked on the request was killed from outside. Neither the caller nor the model is at fault.
 */
export class SandboxLost extends Schema.TaggedError<SandboxLost>()("SandboxLost", {
  model: Schema.String,
  cause: Schema.String,
  retryAfterMs: Schema.Number,
}) {
  override get message(): string {
    return `model "${this.model}" was not asked, as ${this.cause}; try again in ${this.retryAfterMs} ms`;
  }
}

/** The engine is restarting, and nothing of this generation has been sent yet. */
export class EngineRestarting extends Schema.TaggedError<EngineRestarting>()("EngineRestarting", {
  model: Schema.String,
  retryAfterMs: Schema.Number,
}) {
  override get message(): string {
    return `the engine of model "${this.model}" is restarting; try again in ${this.retryAfterMs} ms`;
  }
}

/** The engine died or made no progress with this generation. */
export class EngineLost extends Schema.TaggedError<EngineLost>()("EngineLost", {
  model: Schema.String,
  /** @default "died" */
  how: Schema.optionalKey(Schema.Literals(["died", "stalled"])),
  /** Why, if it is known: a clause. */
  reason: Schema.optionalKey(Schema.String),
  /** How many engine processes died while computing the request. After the second the request is the likely cause. */
  deaths: Schema.optionalKey(Schema.Number),
  /** Whether the caller has received part of the output. */
  delivered: Schema.optionalKey(Schema.Boolean),
  progress: Schema.optionalKey(ProgressSchema),
}) {
  override get message(): string {
    const { model, how: verb = "died", reason, deaths = 0, delivered } = this;
    const how = reason === undefined ? verb : `${verb} (${reason})`;
    if (delivered === true) {
      return `the engine of model "${model}" ${how} during this generation; the output so far stands, the rest is lost`;
    }
    return deaths > 1
      ? `the engine of model "${model}" ${how} ${deaths} times while it computed this request, which is likely the cause; no output was sent, and it is not tried again`
      : `the engine of model "${model}" ${how} during this request; no output was sent: ask again`;
  }
}

/** A call forced the model's unloading while this generation was running. */
export class ModelUnloaded extends Schema.TaggedError<ModelUnloaded>()("ModelUnloaded", {
  model: Schema.String,
  /** Whether the caller has received part of the output. */
  delivered: Schema.optionalKey(Schema.Boolean),
  progress: Schema.optionalKey(ProgressSchema),
}) {
  override get message(): string {
    return this.delivered === true
      ? `model "${this.model}" was unloaded during this generation; the output so far stands, the rest is lost`
      : `model "${this.model}" was unloaded during this request; no output was sent: ask again, and it is loaded anew`;
  }
}
