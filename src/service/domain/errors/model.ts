/** A model or one of its adapters is missing or unusable. */
import { Schema } from "effect";

/** No model has that name. */
export class ModelNotFound extends Schema.TaggedError<ModelNotFound>()("ModelNotFound", {
  model: Schema.String,
  nearest: Schema.Array(Schema.String),
  /** The backend that was asked, if the model is not local. */
  backend: Schema.optionalKey(Schema.String),
}) {
  override get message(): string {
    if (this.backend !== undefined) {
      const has =
        this.nearest.length > 0 ? `it has ${this.nearest.join(", ")}` : "or no chat completions at its base_url";
      return `the backend "${this.backend}" has no model "${this.model}"${this.nearest.length > 0 ? ";" : ","} ${has}`;
    }
    const hint =
      this.nearest.length > 0 ? `did you mean ${this.nearest.join(", ")}?` : "ListModels tells what there is";
    return `no model is called "${this.model}"; ${hint}`;
  }
}

/** The model has no adapter with that id. */
export class AdapterNotFound extends Schema.TaggedError<AdapterNotFound>()("AdapterNotFound", {
  adapter: Schema.String,
  model: Schema.String,
  /** The ids that it has. */
  known: Schema.Array(Schema.String),
}) {
  override get message(): string {
    const known = this.known.length > 0 ? `it has ${this.known.join(", ")}` : "it has none";
    return `model "${this.model}" has no adapter "${this.adapter}"; ${known}`;
  }
}

/** The adapter's files do not fit the model. */
export class AdapterBroken extends Schema.TaggedError<AdapterBroken>()("AdapterBroken", {
  adapter: Schema.String,
  model: Schema.String,
  cause: Schema.String,
}) {
  override get message(): string {
    return `adapter "${this.adapter}" of model "${this.model}" cannot be applied: ${this.cause}`;
  }
}

/** The name has the prefix of an engine that no configured model runs on. */
export class UnknownBackend extends Schema.TaggedError<UnknownBackend>()("UnknownBackend", {
  backend: Schema.String,
  known: Schema.Array(Schema.String),
}) {
  override get message(): string {
    return `no model here runs on the engine "${this.backend}"; there ${this.known.length === 1 ? "is" : "are"} ${this.known.join(", ")}`;
  }
}

/** A backend or a model was to be added under a name that one has already. */
export class EntryExists extends Schema.TaggedError<EntryExists>()("EntryExists", {
  kind: Schema.Literals(["backend", "model"]),
  name: Schema.String,
}) {
  override get message(): string {
    return `there is a ${this.kind} with the name "${this.name}" already: update its entry, or use another name`;
  }
}

/** A backend or a model was to be changed or removed, but has no entry in the catalog. */
export class EntryNotFound extends Schema.TaggedError<EntryNotFound>()("EntryNotFound", {
  kind: Schema.Literals(["backend", "model"]),
  name: Schema.String,
  nearest: Schema.Array(Schema.String),
}) {
  override get message(): string {
    const hint = this.nearest.length === 0 ? "" : `; ${this.nearest.join(", ")}?`;
    return `there is no entry of a ${this.kind} with the name "${this.name}"${hint}`;
  }
}

/** The configuration is invalid. */
export class ConfigurationInvalid extends Schema.TaggedError<ConfigurationInvalid>()("ConfigurationInvalid", {
  file: Schema.String,
  /** Counted from 1; 0 if the error concerns the whole file. */
  line: Schema.Number,
  /** `models.demo.path`; empty if no single key is at fault. */
  key: Schema.String,
  problem: Schema.String,
}) {
  override get message(): string {
    const place = this.line > 0 ? `${this.file}:${this.line}` : this.file;
    return [place, this.key, this.problem].filter((part) => part !== "").join(": ");
  }
}

/** The model's files make it unusable. */
export class ModelBroken extends Schema.TaggedError<ModelBroken>()("ModelBroken", {
  model: Schema.String,
  cause: Schema.String,
}) {
  override get message(): string {
    return `model "${this.model}" cannot be used: ${this.cause}`;
  }
}

/** The model is configured, but its files are missing and nothing says where to download them. */
export class ModelFilesMissing extends Schema.TaggedError<ModelFilesMissing>()("ModelFilesMissing", {
  model: Schema.String,
  cause: Schema.String,
}) {
  override get message(): string {
    return `model "${this.model}" is not there: ${this.cause}; put its files there, or say where to download them from`;
  }
}

/** The model is configured, but its files have not been downloaded yet. */
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

/** The model's files have changed since the prompt was made; the request fails rather than mix the two. */
export class ModelChanged extends Schema.TaggedError<ModelChanged>()("ModelChanged", {
  model: Schema.String,
  retryAfterMs: Schema.Number,
}) {
  override get message(): string {
    return `the files of model "${this.model}" have changed and are being read anew; try again in ${this.retryAfterMs} ms`;
  }
}

/** The model failed its smoke test and takes no conversations. */
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

/** The model that answers has another revision than the requested one. */
export class ModelRevisionMismatch extends Schema.TaggedError<ModelRevisionMismatch>()("ModelRevisionMismatch", {
  model: Schema.String,
  asked: Schema.String,
  loaded: Schema.String,
}) {
  override get message(): string {
    return `model "${this.model}" has revision ${this.loaded}, not ${this.asked}`;
  }
}

/** Neither the task's model nor one of its alternatives answers. */
export class NoModelAnswers extends Schema.TaggedError<NoModelAnswers>()("NoModelAnswers", {
  /** As the task names them, in the order in which they were asked. */
  models: Schema.Array(Schema.String),
  /** Why each did not, in their order: sentences. */
  problems: Schema.Array(Schema.String),
  retryAfterMs: Schema.Number,
}) {
  override get message(): string {
    return `none of the task's ${this.models.length} models answers: ${this.problems.join("; ")}`;
  }
}
