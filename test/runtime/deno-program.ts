/** What test/runtime/deno.test.ts runs under Deno: `deno run ... deno-program.ts URL`. Prints its findings as JSON. */
import { createMlxdClient, findMlxdError, isMlxdError } from "../../src/client/web.ts";

declare const Deno: { readonly args: readonly string[]; readonly version: { readonly deno: string } };

const client = createMlxdClient({ baseUrl: Deno.args[0] });
const reasonOf = (error: unknown): string => findMlxdError(error)?.reason ?? String(error);

const unary = await client.generate("2+2?", { seed: 7 });

const stream = client.stream("2+2?");
const deltas: string[] = [];
for await (const delta of stream.textDeltas()) deltas.push(delta);
const streamed = await stream.collect();

// Many, as one of them may be lost now and then.
const leaves = 10;
let aborted = "not";
for (let left = 0; left < leaves; left++) {
  for await (const _ of client.stream("endless")) break;
  const controller = new AbortController();
  const endless = client.stream("endless", { signal: controller.signal });
  try {
    for await (const event of endless) if (event.type === "chunk") controller.abort();
  } catch (error) {
    aborted = reasonOf(error);
  }
}

// The server counts those who left while it was not done. This program must see it: its own end would close everything.
while (((await client.stats()).total?.cancelled ?? 0) < 2 * leaves);

const failed = await client.generate("fail").catch((error: unknown) => error);
const late = await client.generate("endless", { timeoutMs: 50 }).catch(reasonOf);
const broken = await client.stream("broken").collect().catch(reasonOf);
const models = await client.listModels();

const json = createMlxdClient({ baseUrl: Deno.args[0], format: "json" });
const sameInJson = JSON.stringify(await json.generate("2+2?", { seed: 7 })) === JSON.stringify(unary);

const findings = {
  unary: unary.text,
  deltas,
  streamed: streamed.text,
  aborted,
  failed: isMlxdError(failed, "QUEUE_FULL") ? failed.retryAfterMs : String(failed),
  late,
  broken,
  model: models[0]?.id,
  sameInJson,
};
// eslint-disable-next-line no-console -- this is how it answers
console.log(JSON.stringify(findings));
