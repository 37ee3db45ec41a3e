import { assert, describe, it } from "@effect/vitest";

import { DiskError } from "../../../../src/service/models/download/cancellable-promise.ts";
import { describeDiskError, describeHubError } from "../../../../src/service/models/download/describe-failure.ts";
import { HubError, type HubErrorOptions } from "../../../../src/service/models/download/hub-error.ts";

const request = { repository: "org/name", revision: "v1", endpoint: "https://hub.example", hasToken: false };
const described = (options: HubErrorOptions, hasToken = false) =>
  describeHubError(new HubError("the hub answered", options), { ...request, hasToken });

describe("describeHubError", () => {
  it("tells a revision that is missing from a repository that is", () => {
    const revision = described({ status: 404, code: "RevisionNotFound" });
    assert.equal(revision._tag, "InvalidField");
    assert.include(revision.message, '"v1" is no branch, tag or commit of org/name');
    assert.equal(described({ status: 404, code: "RepoNotFound" })._tag, "ModelNotFound");
    assert.equal(described({ status: 401, code: "RepoNotFound" })._tag, "ModelNotFound");
    assert.equal(described({ status: 404 })._tag, "ModelNotFound");
  });

  it("says what gives access", () => {
    const hintOf = (options: HubErrorOptions, hasToken: boolean) => {
      const error = described(options, hasToken);
      return error._tag === "ModelAccessDenied" ? error.hint : error._tag;
    };
    assert.equal(hintOf({ status: 401 }, false), "give the service a token (HF_TOKEN)");
    assert.equal(hintOf({ status: 403 }, true), "give the service a token of an account that may read it (HF_TOKEN)");
    assert.equal(
      hintOf({ status: 403, code: "GatedRepo" }, true),
      "accept its terms at https://hub.example/org/name and give the service a token of an account that may read it (HF_TOKEN)",
    );
  });

  it("passes all other trouble on with a delay: the hub's, or half a minute", () => {
    const delayOf = (options: HubErrorOptions) => {
      const error = described(options);
      return error._tag === "DownloadFailed" ? error.retryAfterMs : error._tag;
    };
    assert.equal(delayOf({ status: 429, retryAfterMs: 1500 }), 1500);
    assert.equal(delayOf({ status: 503 }), 30_000);
    assert.equal(delayOf({}), 30_000);
    assert.equal(delayOf({ status: 404, code: "EntryNotFound" }), 30_000);
  });
});

describe("describeDiskError", () => {
  it.each(["EACCES", "EPERM", "EROFS", "EEXIST", "ENOTEMPTY", "ENOTDIR"])("has the operator mend %s", (code) => {
    const error = describeDiskError(new DiskError(code), "org/name");
    assert.equal(error._tag, "DownloadsOff");
    assert.include(error.message, code);
  });

  it("lets a caller try again after what may pass", () => {
    assert.equal(describeDiskError(new DiskError("EIO"), "org/name")._tag, "DownloadFailed");
  });
});
