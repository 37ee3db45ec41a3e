/** Tools whose schemas cannot be used, and calls that cannot be read, hurt nobody but their own caller. */
import { once } from "node:events";
import { assert, describe, it } from "@effect/vitest";

import { createMlxdClient } from "../../src/client/node.ts";
import { startService } from "../support/running-service.ts";
import { serveForTests } from "../support/served-client.ts";

const served = serveForTests();

interface Answer {
  readonly code?: string;
  readonly message?: string;
  readonly details?: ReadonlyArray<{ readonly debug?: { readonly reason?: string } }>;
}

const ask = async (tools: ReadonlyArray<unknown>, more: object = {}): Promise<Answer> => {
  const messages = [{ role: "ROLE_USER", content: [{ text: "What is 123 * 45?" }] }];
  const response = await fetch(`${served.service.url}/mlxd.v1.GenerationService/Generate`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ task: { chat: { messages, tools, ...more }, sampling: { temperature: 0 } } }),
  });
  return (await response.json()) as Answer;
};

const calculator = (expression: unknown, more: object = {}) => ({
  name: "calculator",
  description: "Evaluates an arithmetic expression.",
  parameters: { type: "object", properties: { expression }, required: ["expression"], ...more },
});

const doubling = (levels: number) => {
  const $defs: Record<string, unknown> = { [`d${levels}`]: { type: "string" } };
  for (let i = 0; i < levels; i++)
    $defs[`d${i}`] = { allOf: [{ $ref: `#/$defs/d${i + 1}` }, { $ref: `#/$defs/d${i + 1}` }] };
  return calculator({ $ref: "#/$defs/d0" }, { $defs });
};

describe("a tool is refused before anything is computed", () => {
  it.each<[string, ReadonlyArray<unknown>, RegExp]>([
    [
      "a reference that leads nowhere",
      [calculator({ $ref: "#/$defs/Expression" })],
      /tools\[0\]\.parameters.*which is not there/,
    ],
    ["a type that is none", [calculator({ type: "any" })], /tools\[0\]\.parameters.*"any" is no type/],
    [
      "a top level that is no object",
      [{ name: "f", parameters: { type: "array", items: { type: "string" } } }],
      /must take an object/,
    ],
    ["a name that another has", [calculator({ type: "string" }), calculator({ type: "number" })], /tools\[1\]\.name/],
    ["definitions that double", [doubling(40)], /applies more than 10000 schemas/],
    [
      "more constants than anybody needs",
      [calculator({ enum: Array.from({ length: 70_000 }, (_, i) => `${i}`) })],
      /65536/,
    ],
  ])("%s", async (_, tools, expected) => {
    for (const toolChoice of [{}, { toolChoice: { mode: "MODE_REQUIRED" } }]) {
      const started = performance.now();
      const { code, message = "" } = await ask(tools, toolChoice);
      assert.strictEqual(code, "invalid_argument");
      assert.match(message, expected);
      assert.isBelow(performance.now() - started, 5000);
    }
  });

  it("nested without end", async () => {
    const deep = `${'{"not":'.repeat(5000)}{}${"}".repeat(5000)}`;
    const body = JSON.stringify({
      task: {
        chat: {
          messages: [{ role: "ROLE_USER", content: [{ text: "hi" }] }],
          tools: [{ name: "f", parameters: "HERE" }],
        },
      },
    });
    const response = await fetch(`${served.service.url}/mlxd.v1.GenerationService/Generate`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: body.replace('"HERE"', deep),
    });
    const { code, message = "" } = (await response.json()) as Answer;
    assert.strictEqual(code, "invalid_argument", message);
  });
});

describe("the service", () => {
  it("is as it was, and answers", async () => {
    const { text } = await served.client.generate("What is 2+2?", { temperature: 0 });
    assert.include(text, "4");
    assert.lengthOf(served.service.workers(), 1);
  });
});

describe("an exception that nothing caught", () => {
  it("is logged; calls that run finish, and the process ends with 1", async () => {
    const thrower = "process.on('SIGUSR2', () => { throw new Error('of a bug'); });";
    const broken = await startService({ NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(thrower)}` });
    let log = "";
    broken.process.stderr?.on("data", (chunk: Buffer) => (log += chunk.toString()));
    const own = createMlxdClient({ baseUrl: broken.url });
    let told = false;
    let finished = false;
    for await (const event of own.stream("Count from 1 to 20", {
      temperature: 0,
      ignoreEos: true,
      maxOutputTokens: 200,
    })) {
      if (!told) broken.process.kill("SIGUSR2");
      told = true;
      finished ||= event.type === "finished";
    }
    own.close();
    if (broken.process.exitCode === null) await once(broken.process, "exit");
    assert.isTrue(finished);
    assert.strictEqual(broken.process.exitCode, 1);
    assert.match(log, /nothing caught.*\n?.*of a bug/s);
  });
});
