// deno run --allow-net --allow-env examples/deno.ts
import { createMlxdClient } from "../src/client/web.ts";

const client = createMlxdClient({ baseUrl: "http://127.0.0.1:50051" });

for await (const event of client.stream("What is 2+2?")) {
  if (event.type === "started") console.log(`${event.model} reads ${event.promptTokens} tokens`);
  if (event.type === "chunk") console.log(event.text);
  if (event.type === "finished") console.log(`${event.finishReason} after ${event.usage.outputTokens} tokens`);
}
