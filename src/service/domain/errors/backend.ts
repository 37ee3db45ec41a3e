/** Failures of a task on another server. */
import { Schema } from "effect";

import { ProgressSchema } from "./progress.ts";

/** The server cannot be reached or did not answer. */
export class BackendUnavailable extends Schema.TaggedError<BackendUnavailable>()("BackendUnavailable", {
  model: Schema.String,
  backend: Schema.String,
  /** `connect_refused`, `http_503` and so on; docs/backends.md lists them all. */
  cause: Schema.String,
  retryAfterMs: Schema.Number,
}) {
  override get message(): string {
    return `the backend "${this.backend}" of model "${this.model}" is unavailable (${this.cause}); try again in ${this.retryAfterMs} ms`;
  }
}

/** The server rejects the operator's key, or no key is set. */
export class BackendCredentials extends Schema.TaggedError<BackendCredentials>()("BackendCredentials", {
  model: Schema.String,
  backend: Schema.String,
  status: Schema.Number,
}) {
  override get message(): string {
    return (
      `the backend "${this.backend}" of model "${this.model}" does not take this service's key (HTTP ${this.status}): ` +
      "its operator has to set another one"
    );
  }
}

/** The server's rate limit or quota for this service is exhausted. */
export class BackendQuota extends Schema.TaggedError<BackendQuota>()("BackendQuota", {
  model: Schema.String,
  backend: Schema.String,
  retryAfterMs: Schema.Number,
}) {
  override get message(): string {
    return `the backend "${this.backend}" of model "${this.model}" takes no more tasks for now; try again in ${this.retryAfterMs} ms`;
  }
}

/** The server rejects this task. */
export class BackendRefused extends Schema.TaggedError<BackendRefused>()("BackendRefused", {
  model: Schema.String,
  backend: Schema.String,
  status: Schema.Number,
  /** The server's own message, truncated if long. */
  words: Schema.String,
}) {
  override get message(): string {
    return `the backend "${this.backend}" of model "${this.model}" refuses this task (HTTP ${this.status}): ${this.words}`;
  }
}

/** The conversation exceeds the context length, according to the server. */
export class BackendContextExceeded extends Schema.TaggedError<BackendContextExceeded>()("BackendContextExceeded", {
  model: Schema.String,
  backend: Schema.String,
  /** The server's own message, truncated if long. */
  words: Schema.String,
}) {
  override get message(): string {
    return (
      `the conversation does not fit the context of model "${this.model}": its backend "${this.backend}" says: ${this.words}; ` +
      "shorten the conversation or lower stop.max_output_tokens"
    );
  }
}

/** The server's answer cannot be parsed. */
export class BackendProtocol extends Schema.TaggedError<BackendProtocol>()("BackendProtocol", {
  model: Schema.String,
  backend: Schema.String,
  cause: Schema.String,
}) {
  override get message(): string {
    return `the answer of the backend "${this.backend}" of model "${this.model}" cannot be read: ${this.cause}`;
  }
}

/** The answers of a model that cannot be constrained are no JSON as the task asks for it. */
export class OutputInvalid extends Schema.TaggedError<OutputInvalid>()("OutputInvalid", {
  model: Schema.String,
  /** Of the last answer: a clause about it. */
  problem: Schema.String,
  progress: Schema.optionalKey(ProgressSchema),
}) {
  override get message(): string {
    return (
      `the answer of model "${this.model}" is not the JSON that the task asks for: ${this.problem}; nothing of it was sent: ` +
      "ask again, more clearly, or a model that can be constrained"
    );
  }
}
