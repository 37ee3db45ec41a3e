import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, assert, beforeEach, describe, it } from "vitest";

import { beginMaking } from "../../../../src/service/jobs/store/begin-making.ts";

describe("the making of a database", () => {
  let parent: string;
  let directory: string;
  beforeEach(() => {
    parent = mkdtempSync(join(tmpdir(), "mlxd-making-"));
    directory = join(parent, "data");
  });
  afterEach(() => rmSync(parent, { recursive: true }));

  const put = (name: string): void => {
    mkdirSync(join(directory, "base"), { recursive: true });
    writeFileSync(join(directory, "base", name), "x");
  };

  it("leaves the database, and nothing else, once it is done", () => {
    const made = beginMaking(directory);
    put("1");
    made();
    assert.deepEqual(readdirSync(parent), ["data"]);
    assert.deepEqual(readdirSync(join(directory, "base")), ["1"]);
  });

  it("starts from nothing where an earlier one was cut short", () => {
    beginMaking(directory);
    put("half");
    beginMaking(directory);
    assert.isFalse(existsSync(directory));
    put("1");
    beginMaking(directory);
    assert.isFalse(existsSync(directory));
  });

  it("leaves a database that was made, and files that are somebody else's", () => {
    beginMaking(directory);
    put("1");
    const made = beginMaking(directory);
    put("2");
    made();
    beginMaking(directory)();
    assert.deepEqual(readdirSync(join(directory, "base")), ["2"]);
    assert.deepEqual(readdirSync(parent), ["data"]);
  });
});
