/** The request is invalid or asks for something that is not supported. */
import { Schema } from "effect";

const FieldViolationSchema = Schema.Struct({
  /** Path in the request message, e.g. `task.sampling.temperature`; empty where it is the message as a whole. */
  field: Schema.String,
  description: Schema.String,
});
export type FieldViolation = typeof FieldViolationSchema.Type;

/** A field is out of its bounds. */
export class InvalidField extends Schema.TaggedError<InvalidField>()("InvalidField", {
  violations: Schema.Array(FieldViolationSchema),
}) {
  override get message(): string {
    return this.violations
      .map(({ field, description }) => (field === "" ? description : `${field}: ${description}`))
      .join("; ");
  }
}

/** The request's bytes do not decode to a message of the API. */
export class RequestMalformed extends Schema.TaggedError<RequestMalformed>()("RequestMalformed", {
  /** Path in the request message; empty for the whole message. */
  field: Schema.String,
  description: Schema.String,
}) {
  override get message(): string {
    return this.field === "" ? this.description : `${this.field}: ${this.description}`;
  }
}

/** This model or engine does not support the option. */
export class UnsupportedParameter extends Schema.TaggedError<UnsupportedParameter>()("UnsupportedParameter", {
  field: Schema.String,
  model: Schema.String,
  hint: Schema.String,
}) {
  override get message(): string {
    return `${this.field} is not supported by model "${this.model}": ${this.hint}`;
  }
}

/** The model does not support this kind of task. */
export class UnsupportedTask extends Schema.TaggedError<UnsupportedTask>()("UnsupportedTask", {
  task: Schema.String,
  model: Schema.String,
  /** Why not, if there is more to say. */
  hint: Schema.optionalKey(Schema.String),
}) {
  override get message(): string {
    const why = this.hint === undefined ? "" : `${this.hint}; `;
    return `model "${this.model}" does not do ${this.task}; ${why}ListSupportedTasks lists the models that do`;
  }
}

/** Prompt and output do not fit into the context length. */
export class ContextLengthExceeded extends Schema.TaggedError<ContextLengthExceeded>()("ContextLengthExceeded", {
  promptTokens: Schema.Number,
  /** 0 for embeddings, which have no output tokens. */
  maxOutputTokens: Schema.Number,
  contextLength: Schema.Number,
  /** The prompt was too long to be tokenised completely: promptTokens is a lower bound. */
  estimated: Schema.Boolean,
  /** Which of several texts it is, by its path in the request; absent where there is only one prompt. */
  field: Schema.optionalKey(Schema.String),
}) {
  override get message(): string {
    const prompt = `${this.estimated ? "at least " : ""}${this.promptTokens}`;
    if (this.maxOutputTokens === 0) {
      const place = this.field === undefined ? "" : `${this.field}: `;
      return `${place}${prompt} tokens exceed the context of ${this.contextLength}: shorten the text, or set truncate`;
    }
    return (
      `${prompt} prompt tokens and ${this.maxOutputTokens} output tokens exceed the context of ${this.contextLength}: ` +
      "shorten the conversation or lower stop.max_output_tokens"
    );
  }
}
