import { assert, describe, it } from "vitest";

import { MlxdError } from "../../../src/client/index.ts";
import { Appends } from "../../../src/client/jobs/appends.ts";
import { errorOf } from "../../support/error-of.ts";

const gap = new MlxdError({ code: "OUT_OF_RANGE", reason: "JOB_GAP", message: "a gap" });

/** Sends that end when a test says so. */
const scripted = () => {
  const log: string[] = [];
  const ends = new Map<string, (error?: Error) => void>();
  const send = (name: string) => (): Promise<void> => {
    log.push(`send ${name}`);
    return new Promise((resolve, reject) => ends.set(name, (error) => (error ? reject(error) : resolve())));
  };
  const appends = new Appends();
  return {
    log,
    appends,
    add: (name: string) => appends.add(send(name), () => void log.push(`stored ${name}`)),
    ends: async (name: string, error?: Error) => {
      ends.get(name)?.(error);
      await new Promise((resolve) => setImmediate(resolve));
    },
  };
};

describe("the pieces of a job", () => {
  it("are sent while the one before is stored, two at a time", async () => {
    const { log, appends, add, ends } = scripted();
    await add("1");
    const second = add("2");
    assert.deepEqual(log, ["send 1", "send 2"]);
    await ends("2");
    assert.deepEqual(log, ["send 1", "send 2"], "it waits for the first");
    await ends("1");
    await second;
    await appends.end();
    assert.deepEqual(log, ["send 1", "send 2", "stored 1", "stored 2"]);
  });

  it("are sent again where they came before the one that they follow", async () => {
    const { log, appends, add, ends } = scripted();
    await add("1");
    const second = add("2");
    await ends("2", gap);
    await ends("1");
    await second;
    await ends("2");
    await appends.end();
    assert.deepEqual(log, ["send 1", "send 2", "stored 1", "send 2", "stored 2"]);
  });

  it("fail with the first that fails, also with a gap that stays", async () => {
    const refused = new Error("refused");
    const { appends, add, ends } = scripted();
    await add("1");
    const second = errorOf(add("2"));
    await ends("2", new Error("later"));
    await ends("1", refused);
    assert.strictEqual(await second, refused);
    assert.strictEqual(await errorOf(appends.end()), refused);

    const other = scripted();
    await other.add("1");
    await other.ends("1", gap);
    await other.ends("1", gap);
    assert.strictEqual(await errorOf(other.appends.end()), gap);
  });
});
