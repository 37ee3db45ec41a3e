/** A model, or one of its adapters, is not there or not as it should be. */
import { Schema } from "effect";

/** No model of that name. */
export class ModelNotFound extends Schema.TaggedError<ModelNotFound>()("ModelNotFound", {
  model: Schema.String,
  nearest: Schema.Array(Schema.String),
  /** Where it was looked for, if not here. */
  backend: Schema.optionalKey(Schema.String),
}) {
  override get message(): string {
    if (this.backend !== undefined) {
      return `the backend "${this.backend}" has no model "${this.model}", or no chat completions at its base_url`;
    }
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

/** The model's files are others than those that its prompts were made with: nothing is computed with a mixture. */
export class ModelChanged extends Schema.TaggedError<ModelChanged>()("ModelChanged", {
  model: Schema.String,
  retryAfterMs: Schema.Number,
}) {
  override get message(): string {
    return `the files of model "${this.model}" have changed and are being read anew; try again in ${this.retryAfterMs} ms`;
  }
}

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
