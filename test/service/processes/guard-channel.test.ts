/**
 * An engine whose memory is broken may write anything to its channel. Node reads that with an exception that nobody can catch: it ended the
 * service, and with it every other model.
 */
import { fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { afterEach, assert, beforeEach, describe, it } from "vitest";

import { guardChannel } from "../../../src/service/processes/guard-channel.ts";

const program = fileURLToPath(new URL("garbage-program.ts", import.meta.url));

/** What reaches the event loop ends the service. */
const uncaught: unknown[] = [];
const note = (cause: unknown): void => void uncaught.push(cause);
beforeEach(() => {
  uncaught.length = 0;
  process.on("uncaughtException", note);
});
afterEach(() => process.off("uncaughtException", note));

const start = (kind: string) => {
  const child = fork(program, [kind], { serialization: "advanced" });
  const messages: unknown[] = [];
  const garbage: string[] = [];
  guardChannel(child, (what) => garbage.push(what));
  child.on("message", (message) => messages.push(message));
  return { child, messages, garbage };
};

describe("a process that writes to its channel", () => {
  it.each(["noise", "zeros", "a cut message", "noise after a message"])("%s is ended alone", async (kind) => {
    const { child, messages, garbage } = start(kind);
    assert.deepEqual(await once(child, "close"), [null, "SIGKILL"]);
    assert.deepEqual(uncaught, []);
    assert.lengthOf(garbage, 1);
    assert.deepEqual(messages, kind === "noise after a message" ? ["hello"] : []);
  });

  it("messages is left alone", async () => {
    const { child, messages, garbage } = start("messages");
    await once(child, "close");
    assert.deepEqual(messages, ["hello", { bytes: new Float32Array([1, 2]) }]);
    assert.deepEqual([garbage, uncaught], [[], []]);
  });
});
