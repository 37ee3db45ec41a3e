import { createMlxdClient } from "../src/client/node.ts";

const client = createMlxdClient({ baseUrl: "http://127.0.0.1:50051" });

// The whole answer at once.
const { text, usage } = await client.generate("What is 2+2?");
console.log(text, usage);

// Or piece by piece, as it is generated. Leaving the loop ends the generation on the server.
const stream = client.stream("What is 3+4?");
for await (const delta of stream.textDeltas()) process.stdout.write(delta);
const { finishReason } = await stream.collect();
console.log(` (${finishReason})`);
