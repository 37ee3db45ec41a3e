/** A model's files cannot be downloaded from the hub. */
import { Schema } from "effect";

/** The hub does not release the model's files to the service's credentials. */
export class ModelAccessDenied extends Schema.TaggedError<ModelAccessDenied>()("ModelAccessDenied", {
  model: Schema.String,
  /** What the operator has to do. */
  hint: Schema.String,
}) {
  override get message(): string {
    return `the hub refuses model "${this.model}": ${this.hint}`;
  }
}

/** The model would have to be downloaded, and downloads are disabled. */
export class DownloadsOff extends Schema.TaggedError<DownloadsOff>()("DownloadsOff", {
  model: Schema.String,
  hint: Schema.String,
}) {
  override get message(): string {
    return `model "${this.model}" is not on this machine and downloads are off: ${this.hint}`;
  }
}

/** There is not enough disk space for the model's files. */
export class InsufficientDisk extends Schema.TaggedError<InsufficientDisk>()("InsufficientDisk", {
  model: Schema.String,
  neededBytes: Schema.Number,
  availableBytes: Schema.Number,
}) {
  override get message(): string {
    return `model "${this.model}" needs ${this.neededBytes} more bytes of disk, ${this.availableBytes} are free`;
  }
}

/** A downloaded file had a wrong checksum, on every attempt. */
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

/** The hub cannot be reached or keeps failing. Downloaded parts are kept for the next attempt. */
export class DownloadFailed extends Schema.TaggedError<DownloadFailed>()("DownloadFailed", {
  model: Schema.String,
  cause: Schema.String,
  retryAfterMs: Schema.Number,
}) {
  override get message(): string {
    return `model "${this.model}" cannot be downloaded: ${this.cause}; try again in ${this.retryAfterMs} ms`;
  }
}
