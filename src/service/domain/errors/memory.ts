/** There is not enough memory for a model or a generation. */
import { Schema } from "effect";

/** The model alone exceeds the memory budget: it can never be loaded here. */
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

/** There is no room for another model: all loaded models are in use or pinned. */
export class ModelPoolFull extends Schema.TaggedError<ModelPoolFull>()("ModelPoolFull", {
  model: Schema.String,
  neededBytes: Schema.Number,
  /** What the other models leave of the budget. */
  availableBytes: Schema.Number,
  budgetBytes: Schema.Number,
  loadedModels: Schema.Number,
  maxLoadedModels: Schema.Number,
  /** How long the load waited for room. */
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
 * The model's process takes more memory than was reserved for it, and the budget has no room for the excess. It begins
 * nothing new until its memory has gone down, or until its running work is done and it has been restarted.
 */
export class MemoryBudgetExceeded extends Schema.TaggedError<MemoryBudgetExceeded>()("MemoryBudgetExceeded", {
  model: Schema.String,
  /** Resident memory of its process. */
  residentBytes: Schema.Number,
  /** The bytes that were reserved for it. */
  reservedBytes: Schema.Number,
  /** The budget for all models. */
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

/** The machine does not have the memory to load the model, whatever the budget says. */
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

/** A generation does not fit the engine's memory. */
export class InsufficientMemory extends Schema.TaggedError<InsufficientMemory>()("InsufficientMemory", {
  neededBytes: Schema.Number,
  availableBytes: Schema.Number,
}) {
  override get message(): string {
    return `the generation needs ${this.neededBytes} bytes of KV cache, ${this.availableBytes} are there`;
  }
}
