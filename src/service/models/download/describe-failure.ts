/** Translates failures of the hub and the disk into errors for the caller. */
import { DownloadFailed, DownloadsOff, InvalidField, ModelAccessDenied, ModelNotFound } from "../../domain/errors.ts";
import type { HubError } from "./hub-error.ts";
import type { DiskError } from "./cancellable-promise.ts";

export interface HubRequest {
  readonly repository: string;
  readonly revision: string;
  readonly endpoint: string;
  readonly hasToken: boolean;
}

/** The delay if the hub gives none; trouble of this kind seldom passes quickly. */
const defaultRetryAfterMs = 30_000;

/** The hub hides private repositories: they look as if they did not exist. */
export const describeHubError = (
  { status, code, message, retryAfterMs = defaultRetryAfterMs }: HubError,
  { repository: model, revision, endpoint, hasToken }: HubRequest,
): InvalidField | ModelNotFound | ModelAccessDenied | DownloadFailed => {
  if (code === "RevisionNotFound") {
    const description = `${JSON.stringify(revision)} is no branch, tag or commit of ${model}`;
    return new InvalidField({ violations: [{ field: "revision", description }] });
  }
  if (code === "RepoNotFound" || (status === 404 && code === "")) return new ModelNotFound({ model, nearest: [] });
  if (status === 401 || status === 403) {
    const terms = code === "GatedRepo" ? `accept its terms at ${endpoint}/${model} and ` : "";
    const whose = hasToken ? " of an account that may read it" : "";
    return new ModelAccessDenied({ model, hint: `${terms}give the service a token${whose} (HF_TOKEN)` });
  }
  return new DownloadFailed({ model, cause: message, retryAfterMs });
};

/** For disks that are not full. The operator has to act; the message gives the system's code and never a path. */
export const describeDiskError = ({ code }: DiskError, model: string): DownloadsOff | DownloadFailed => {
  switch (code) {
    case "EACCES":
    case "EPERM":
    case "EROFS":
      return new DownloadsOff({ model, hint: `the model folder cannot be written (${code})` });
    case "EEXIST":
    case "ENOTEMPTY":
    case "ENOTDIR":
      return new DownloadsOff({ model, hint: `something else is in its place in the model folder (${code})` });
    default:
      return new DownloadFailed({
        model,
        cause: `the model folder fails (${code})`,
        retryAfterMs: defaultRetryAfterMs,
      });
  }
};
