/**
 * Everything that can go wrong and that a caller can react to. Each class holds data; its message is one sentence with
 * the received value and the bound. The code on the wire is decided in one table, rpc/error-table.ts.
 */
import { Schema } from "effect";

import { UsageSchema } from "./usage.ts";

const FieldViolationSchema = Schema.Struct({
  /** Path in the request message, e.g. `task.sampling.temperature`. */
  field: Schema.String,
  description: Schema.String,
});
export type FieldViolation = typeof FieldViolationSchema.Type;

const ProgressSchema = Schema.Struct({
  generationId: Schema.String,
  usage: UsageSchema,
});
/** How far a generation had come when it failed. */
export type Progress = typeof ProgressSchema.Type;

/** A field is out of its bounds. */
export class InvalidField extends Schema.TaggedError<InvalidField>()("InvalidField", {
  violations: Schema.Array(FieldViolationSchema),
}) {
  override get message(): string {
    return this.violations.map(({ field, description }) => `${field}: ${description}`).join("; ");
  }
}

/** The bytes of a request are no message of the API. */
export class RequestMalformed extends Schema.TaggedError<RequestMalformed>()("RequestMalformed", {
  /** Path in the request message; empty where it is the whole. */
  field: Schema.String,
  description: Schema.String,
}) {
  override get message(): string {
    return this.field === "" ? this.description : `${this.field}: ${this.description}`;
  }
}

/** An option that this model or engine does not have. */
export class UnsupportedParameter extends Schema.TaggedError<UnsupportedParameter>()("UnsupportedParameter", {
  field: Schema.String,
  model: Schema.String,
  hint: Schema.String,
}) {
  override get message(): string {
    return `${this.field} is not supported by model "${this.model}": ${this.hint}`;
  }
}

/** The model does not do this kind of task. */
export class UnsupportedTask extends Schema.TaggedError<UnsupportedTask>()("UnsupportedTask", {
  task: Schema.String,
  model: Schema.String,
  /** Why not, where there is more to say. */
  hint: Schema.optionalKey(Schema.String),
}) {
  override get message(): string {
    const hint = this.hint ?? "ListModels tells what each model can do";
    return `model "${this.model}" does not do ${this.task}; ${hint}`;
  }
}

/** Prompt and output do not fit the context. */
export class ContextLengthExceeded extends Schema.TaggedError<ContextLengthExceeded>()("ContextLengthExceeded", {
  promptTokens: Schema.Number,
  /** 0: none are wanted, a vector is. */
  maxOutputTokens: Schema.Number,
  contextLength: Schema.Number,
  /** The prompt was too long to be tokenised at all: promptTokens is a lower bound. */
  estimated: Schema.Boolean,
}) {
  override get message(): string {
    const prompt = `${this.estimated ? "at least " : ""}${this.promptTokens}`;
    if (this.maxOutputTokens === 0) {
      return `${prompt} tokens exceed the context of ${this.contextLength}: shorten the text, or set truncate`;
    }
    return (
      `${prompt} prompt tokens and ${this.maxOutputTokens} output tokens exceed the context of ${this.contextLength}: ` +
      "shorten the conversation or lower stop.max_output_tokens"
    );
  }
}

/** No model of that name. */
export class ModelNotFound extends Schema.TaggedError<ModelNotFound>()("ModelNotFound", {
  model: Schema.String,
  nearest: Schema.Array(Schema.String),
}) {
  override get message(): string {
    const hint =
      this.nearest.length > 0 ? `did you mean ${this.nearest.join(", ")}?` : "ListModels tells what there is";
    return `no model is called "${this.model}"; ${hint}`;
  }
}

/** The model has no adapter of that id. */
export class AdapterNotFound extends Schema.TaggedError<AdapterNotFound>()("AdapterNotFound", {
  adapter: Schema.String,
  model: Schema.String,
  /** Those that it has. */
  known: Schema.Array(Schema.String),
}) {
  override get message(): string {
    const known = this.known.length > 0 ? `it has ${this.known.join(", ")}` : "it has none";
    return `model "${this.model}" has no adapter "${this.adapter}"; ${known}`;
  }
}

/** The adapter cannot be applied to the model as its files are. */
export class AdapterBroken extends Schema.TaggedError<AdapterBroken>()("AdapterBroken", {
  adapter: Schema.String,
  model: Schema.String,
  cause: Schema.String,
}) {
  override get message(): string {
    return `adapter "${this.adapter}" of model "${this.model}" cannot be applied: ${this.cause}`;
  }
}

/** The name asks for an engine that no model here runs on. */
export class UnknownBackend extends Schema.TaggedError<UnknownBackend>()("UnknownBackend", {
  backend: Schema.String,
  known: Schema.Array(Schema.String),
}) {
  override get message(): string {
    return `no model here runs on the engine "${this.backend}"; there ${this.known.length === 1 ? "is" : "are"} ${this.known.join(", ")}`;
  }
}

/** The configuration says something that cannot be. */
export class ConfigurationInvalid extends Schema.TaggedError<ConfigurationInvalid>()("ConfigurationInvalid", {
  file: Schema.String,
  /** From 1; 0 where the whole file is meant. */
  line: Schema.Number,
  /** `models.demo.path`; empty where no key is at fault. */
  key: Schema.String,
  problem: Schema.String,
}) {
  override get message(): string {
    const place = this.line > 0 ? `${this.file}:${this.line}` : this.file;
    return [place, this.key, this.problem].filter((part) => part !== "").join(": ");
  }
}

/** The model cannot be used as its files are. */
export class ModelBroken extends Schema.TaggedError<ModelBroken>()("ModelBroken", {
  model: Schema.String,
  cause: Schema.String,
}) {
  override get message(): string {
    return `model "${this.model}" cannot be used: ${this.cause}`;
  }
}

/** The configuration tells of the model, and neither are its files here nor does anything say where they are to be had. */
export class ModelFilesMissing extends Schema.TaggedError<ModelFilesMissing>()("ModelFilesMissing", {
  model: Schema.String,
  cause: Schema.String,
}) {
  override get message(): string {
    return `model "${this.model}" is not there: ${this.cause}; put its files there, or say where to download them from`;
  }
}

/** The configuration tells of the model, and its files are not here yet. */
export class ModelNotDownloaded extends Schema.TaggedError<ModelNotDownloaded>()("ModelNotDownloaded", {
  model: Schema.String,
  repository: Schema.String,
}) {
  override get message(): string {
    return `model "${this.model}" is not here yet: PrepareModel downloads it from ${this.repository}`;
  }
}

/** Why nothing can be done with a model's files. */
export type FilesUnusable = ModelBroken | ModelFilesMissing | ModelNotDownloaded | SandboxLost;

/** The model alone is over the memory budget: it can never be loaded here. */
export class ModelTooLarge extends Schema.TaggedError<ModelTooLarge>()("ModelTooLarge", {
  model: Schema.String,
  neededBytes: Schema.Number,
  /** The whole budget. */
  availableBytes: Schema.Number,
}) {
  override get message(): string {
    return (
      `model "${this.model}" needs ${this.neededBytes} bytes with its caches, the memory budget is ` +
      `${this.availableBytes}: raise MLXD_MEMORY_BUDGET, or lower MLXD_KV_CACHE_BYTES or MLXD_PREFIX_CACHE_BYTES`
    );
  }
}

/** No room for one more model: those that are loaded are in use or pinned. */
export class ModelPoolFull extends Schema.TaggedError<ModelPoolFull>()("ModelPoolFull", {
  model: Schema.String,
  neededBytes: Schema.Number,
  /** What the others leave of the budget. */
  availableBytes: Schema.Number,
  budgetBytes: Schema.Number,
  loadedModels: Schema.Number,
  maxLoadedModels: Schema.Number,
  /** How long it was waited for room. */
  waitedMs: Schema.Number,
  retryAfterMs: Schema.Number,
}) {
  override get message(): string {
    return (
      `no room for model "${this.model}" after ${this.waitedMs} ms: it needs ${this.neededBytes} bytes, ` +
      `${this.availableBytes} of ${this.budgetBytes} are free, and ${this.loadedModels} of at most ` +
      `${this.maxLoadedModels} models are loaded, all in use or pinned`
    );
  }
}

/**
 * The model's process takes more memory than was reserved for it, and the budget has no room for that: until it takes less,
 * or has finished what runs and is started anew, it begins nothing more.
 */
export class MemoryBudgetExceeded extends Schema.TaggedError<MemoryBudgetExceeded>()("MemoryBudgetExceeded", {
  model: Schema.String,
  /** What its process has. */
  residentBytes: Schema.Number,
  /** What was reserved for it. */
  reservedBytes: Schema.Number,
  /** Of all models. */
  budgetBytes: Schema.Number,
  retryAfterMs: Schema.Number,
}) {
  override get message(): string {
    return (
      `model "${this.model}" takes ${this.residentBytes} bytes, of which ${this.reservedBytes} were reserved, and the memory ` +
      `budget of ${this.budgetBytes} has no room for more: try again in ${this.retryAfterMs} ms, raise MLXD_MEMORY_BUDGET, or ` +
      "lower MLXD_KV_CACHE_BYTES or MLXD_MAX_RUNNING"
    );
  }
}

/** Another operation on this model is under way. */
export class ModelOperationConflict extends Schema.TaggedError<ModelOperationConflict>()("ModelOperationConflict", {
  model: Schema.String,
  asked: Schema.Literals(["load", "unload", "pin"]),
  running: Schema.Literals(["load", "unload"]),
}) {
  override get message(): string {
    const hint = this.running === "load" ? "; force ends it" : "";
    return `cannot ${this.asked} model "${this.model}": a ${this.running} of it is under way${hint}`;
  }
}

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

/** What the model's engine needs to run at all is not on this machine. */
export class EngineUnavailable extends Schema.TaggedError<EngineUnavailable>()("EngineUnavailable", {
  model: Schema.String,
  engine: Schema.String,
  cause: Schema.String,
}) {
  override get message(): string {
    return `model "${this.model}" cannot be loaded: the engine "${this.engine}" does not run on this machine: ${this.cause}`;
  }
}

/** The machine has not the memory to load the model, whatever the budget says. */
export class OutOfMemory extends Schema.TaggedError<OutOfMemory>()("OutOfMemory", {
  model: Schema.String,
  cause: Schema.String,
  retryAfterMs: Schema.Number,
}) {
  override get message(): string {
    return (
      `the machine has not enough memory to load model "${this.model}": ${this.cause}; unload other models or free memory, ` +
      `and lower MLXD_MEMORY_BUDGET to what there is`
    );
  }
}

/** The model's files are others than those that its prompts were made with: nothing is computed with a mixture. */
export class ModelChanged extends Schema.TaggedError<ModelChanged>()("ModelChanged", {
  model: Schema.String,
  retryAfterMs: Schema.Number,
}) {
  override get message(): string {
    return `the files of model "${this.model}" have changed and are being read anew; try again in ${this.retryAfterMs} ms`;
  }
}

/** Why a model is not loaded. */
export type LoadFailure =
  | FilesUnusable
  | ModelChanged
  | EngineStartFailed
  | EngineUnavailable
  | OutOfMemory
  | ModelTooLarge
  | ModelPoolFull
  | MemoryBudgetExceeded
  | ModelOperationConflict;

/** The model failed its smoke test, and is given no conversations. */
export class ModelUnfit extends Schema.TaggedError<ModelUnfit>()("ModelUnfit", {
  model: Schema.String,
  /** What the smoke test found. */
  finding: Schema.String,
}) {
  override get message(): string {
    return (
      `model "${this.model}" takes no conversations, as it failed its smoke test: ${this.finding}; ` +
      "PrepareModel tries it again, and raw prompts are taken"
    );
  }
}

/** Another revision than the asked one is the one that answers. */
export class ModelRevisionMismatch extends Schema.TaggedError<ModelRevisionMismatch>()("ModelRevisionMismatch", {
  model: Schema.String,
  asked: Schema.String,
  loaded: Schema.String,
}) {
  override get message(): string {
    return `model "${this.model}" has revision ${this.loaded}, not ${this.asked}`;
  }
}

/** The model's queue has no place. */
export class QueueFull extends Schema.TaggedError<QueueFull>()("QueueFull", {
  /** Empty where it is not known yet: the request itself waits to be read. */
  model: Schema.String,
  limit: Schema.Number,
  retryAfterMs: Schema.Number,
}) {
  override get message(): string {
    const others = this.model === "" ? "calls already wait" : `generations already wait for model "${this.model}"`;
    return `${this.limit} ${others}; try again in ${this.retryAfterMs} ms`;
  }
}

/** The process beside the service that did a part of the work was ended from outside: nobody's fault that is asked here. */
export class SandboxLost extends Schema.TaggedError<SandboxLost>()("SandboxLost", {
  model: Schema.String,
  cause: Schema.String,
  retryAfterMs: Schema.Number,
}) {
  override get message(): string {
    return `model "${this.model}" was not asked, as ${this.cause}; try again in ${this.retryAfterMs} ms`;
  }
}

/** A generation does not fit the engine's memory. */
export class InsufficientMemory extends Schema.TaggedError<InsufficientMemory>()("InsufficientMemory", {
  neededBytes: Schema.Number,
  availableBytes: Schema.Number,
}) {
  override get message(): string {
    return `the generation needs ${this.neededBytes} bytes of KV cache, ${this.availableBytes} are there`;
  }
}

/** `max_queue_wait` passed before the engine began. */
export class QueueTimeout extends Schema.TaggedError<QueueTimeout>()("QueueTimeout", {
  waitedMs: Schema.Number,
  /** Its prompt to be prepared, a place among those that run, the model to be loaded, or room in its engine. */
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

/** The service shut down while the call's stream was under way. */
export class ShutDown extends Schema.TaggedError<ShutDown>()("ShutDown", {
  progress: Schema.optionalKey(ProgressSchema),
}) {
  override get message(): string {
    return "the server shut down before the stream had ended; what was sent stands, the rest is lost";
  }
}

/** The engine is being restarted, and nothing of this generation was sent yet. */
export class EngineRestarting extends Schema.TaggedError<EngineRestarting>()("EngineRestarting", {
  model: Schema.String,
  retryAfterMs: Schema.Number,
}) {
  override get message(): string {
    return `the engine of model "${this.model}" is restarting; try again in ${this.retryAfterMs} ms`;
  }
}

/** The engine died, or got no further with this generation. */
export class EngineLost extends Schema.TaggedError<EngineLost>()("EngineLost", {
  model: Schema.String,
  /** @default "died" */
  how: Schema.optionalKey(Schema.Literals(["died", "stalled"])),
  /** Why, where it is known: a clause. */
  reason: Schema.optionalKey(Schema.String),
  /** Processes that died while they computed it: after the second one it is likely their cause. */
  deaths: Schema.optionalKey(Schema.Number),
  /** Whether the caller has a part of the output. */
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

/** The model was unloaded, by a call that forced it, while this generation ran. */
export class ModelUnloaded extends Schema.TaggedError<ModelUnloaded>()("ModelUnloaded", {
  model: Schema.String,
  /** Whether the caller has a part of the output. */
  delivered: Schema.optionalKey(Schema.Boolean),
  progress: Schema.optionalKey(ProgressSchema),
}) {
  override get message(): string {
    return this.delivered === true
      ? `model "${this.model}" was unloaded during this generation; the output so far stands, the rest is lost`
      : `model "${this.model}" was unloaded during this request; no output was sent: ask again, and it is loaded anew`;
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

/** The hub does not give the model's files with the service's credentials. */
export class ModelAccessDenied extends Schema.TaggedError<ModelAccessDenied>()("ModelAccessDenied", {
  model: Schema.String,
  /** What the operator has to do. */
  hint: Schema.String,
}) {
  override get message(): string {
    return `the hub refuses model "${this.model}": ${this.hint}`;
  }
}

/** The model would have to be downloaded, and this service does not. */
export class DownloadsOff extends Schema.TaggedError<DownloadsOff>()("DownloadsOff", {
  model: Schema.String,
  hint: Schema.String,
}) {
  override get message(): string {
    return `model "${this.model}" is not on this machine and downloads are off: ${this.hint}`;
  }
}

/** The model's files do not fit the disk. */
export class InsufficientDisk extends Schema.TaggedError<InsufficientDisk>()("InsufficientDisk", {
  model: Schema.String,
  neededBytes: Schema.Number,
  availableBytes: Schema.Number,
}) {
  override get message(): string {
    return `model "${this.model}" needs ${this.neededBytes} more bytes of disk, ${this.availableBytes} are free`;
  }
}

/** What the hub sent for a file is not what it says the file is, several times over. */
export class ChecksumMismatch extends Schema.TaggedError<ChecksumMismatch>()("ChecksumMismatch", {
  model: Schema.String,
  file: Schema.String,
  attempts: Schema.Number,
}) {
  override get message(): string {
    const often = this.attempts === 1 ? "once" : `${this.attempts} times`;
    return `${this.file} of model "${this.model}" came with a wrong checksum ${often}`;
  }
}

/** The hub cannot be reached, or keeps failing. What was fetched is kept for the next attempt. */
export class DownloadFailed extends Schema.TaggedError<DownloadFailed>()("DownloadFailed", {
  model: Schema.String,
  cause: Schema.String,
  retryAfterMs: Schema.Number,
}) {
  override get message(): string {
    return `model "${this.model}" cannot be downloaded: ${this.cause}; try again in ${this.retryAfterMs} ms`;
  }
}

/** Whatever a call can fail with. A bug is a defect and not among them. */
export type ServiceError =
  | InvalidField
  | RequestMalformed
  | UnsupportedParameter
  | UnsupportedTask
  | ContextLengthExceeded
  | ModelNotFound
  | AdapterNotFound
  | AdapterBroken
  | UnknownBackend
  | ConfigurationInvalid
  | LoadFailure
  | ModelUnfit
  | ModelRevisionMismatch
  | ModelAccessDenied
  | DownloadsOff
  | InsufficientDisk
  | ChecksumMismatch
  | DownloadFailed
  | QueueFull
  | SandboxLost
  | InsufficientMemory
  | QueueTimeout
  | Draining
  | ShutDown
  | EngineRestarting
  | EngineLost
  | ModelUnloaded
  | DeadlineExceeded
  | ClientStalled;
