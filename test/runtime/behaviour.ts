/**
 * What the client does against the real service and the demo model, as one program for every runtime and transport. It
 * knows nothing of Node and takes the client's functions as arguments, as each runtime imports another entry of the package.
 */
import type { defineTool, GenerationStream, isMlxdError, MlxdClient } from "../../src/client/index.ts";

/** The functions of the entry that is under test. */
export interface Entry {
  readonly defineTool: typeof defineTool;
  readonly isMlxdError: typeof isMlxdError;
}

/** What was found; test/runtime/runtimes.test.ts says what it has to be. */
export interface Findings {
  readonly unary: string;
  readonly isStreamTheSame: boolean;
  readonly korean: string;
  readonly isTextIntact: boolean;
  readonly left: Readonly<Record<string, string>>;
  readonly isSlotFree: boolean;
  readonly neighbour: string;
  readonly cancelledAtLeast: number;
  readonly largePrompt: string;
  readonly unknownModel: string;
  readonly toolAnswer: string;
  readonly object: unknown;
  readonly batch: readonly (string | undefined)[];
}

const endless = { ignoreEos: true, temperature: 1, maxOutputTokens: 1_500 } as const;

/** @param cancels generations to begin and leave at once, beside one that is read to its end */
export const behave = async (client: MlxdClient, entry: Entry, cancels: number): Promise<Findings> => {
  const reasonOf = (error: unknown): string => (entry.isMlxdError(error) ? error.reason : String(error));
  const failure = (promise: Promise<unknown>): Promise<string> => promise.then(() => "none", reasonOf);

  const unary = await client.generate("What is 2+2?", { seed: 7 });
  const stream = client.stream("What is 2+2?", { seed: 7 });
  let text = "";
  for await (const delta of stream.textDeltas()) text += delta;
  const { text: collected } = await stream.collect();

  const characters = "한국어 🍏 👩‍👩‍👧 größer \r\n\t";
  const { ids } = await client.tokenize(characters);

  const before = await cancelledBy(client);
  const left = await leaveInEveryWay(client, reasonOf);
  await untilFree(client);
  const neighbour = client.stream("Count from 1 to 20", { seed: 7 }).collect();
  for (let begun = 0; begun < cancels; begun += 25) {
    await Promise.all(Array.from({ length: Math.min(25, cancels - begun) }, () => leaveAtOnce(client)));
  }
  const counted = await neighbour.then(({ text: count }) => count, reasonOf);
  await untilFree(client);

  const evaluate = entry.defineTool<{ expression: string }>({
    name: "calculator",
    description: "Evaluates an arithmetic expression.",
    parameters: { type: "object", properties: { expression: { type: "string" } }, required: ["expression"] },
    run: ({ expression }) => {
      const [, a, b] = /^(\d+) ?\* ?(\d+)$/.exec(expression) ?? [];
      return String(Number(a) * Number(b));
    },
  });
  const person = {
    type: "object",
    properties: { name: { type: "string" }, age: { type: "integer", minimum: 0, maximum: 150 } },
    required: ["name", "age"],
  } as const;

  return {
    unary: unary.text,
    isStreamTheSame: text === unary.text && collected === unary.text,
    korean: (await client.generate("한국어로 한 문장만 답해. 2+2는?", { seed: 7 })).text,
    isTextIntact: (await client.detokenize(ids)) === characters,
    left,
    isSlotFree: true, // or this would not have been reached
    neighbour: counted,
    cancelledAtLeast: (await cancelledBy(client)) - before,
    largePrompt: await failure(client.generate("word ".repeat((3 * 1024 * 1024) / 5))),
    unknownModel: await failure(client.generate("hi", { model: "no-such-model" })),
    toolAnswer: (await client.runTools([evaluate], "What is 123 * 45?", { seed: 7 }).collect()).text,
    object: (await client.generateObject(person, "Make JSON: name Mina, age 30", { seed: 7 })).object,
    batch: (
      await client
        .batch([
          { input: "What is 2+2?", seed: 7 },
          { input: "hi", model: "none" },
        ])
        .collect()
    ).items.map(({ result, error }) => result?.text ?? error?.reason),
  };
};

const leaveInEveryWay = async (
  client: MlxdClient,
  reasonOf: (error: unknown) => string,
): Promise<Record<string, string>> => {
  const first = async (stream: GenerationStream) => {
    for await (const { type } of stream) if (type === "chunk") return;
  };
  const left: Record<string, string> = {};
  const noting = async (how: string, leave: () => Promise<void>) => {
    left[how] = await leave().then(() => "none", reasonOf);
  };
  await noting("break", async () => {
    for await (const { type } of client.stream("Count.", endless)) if (type === "chunk") break;
  });
  await noting("return", () => first(client.stream("Count.", endless)));
  await noting("throw", async () => {
    for await (const { type } of client.stream("Count.", endless)) if (type === "chunk") throw new Error("own");
  });
  await noting("abort", async () => {
    const controller = new AbortController();
    const { signal } = controller;
    for await (const { type } of client.stream("Count.", { ...endless, signal }))
      if (type === "chunk") controller.abort();
  });
  await noting("timeout", async () => {
    await client.stream("Count.", { ...endless, timeoutMs: 150 }).collect();
  });
  return left;
};

const leaveAtOnce = async (client: MlxdClient): Promise<void> => {
  for await (const _ of client.stream("Count from 1 to 20", endless)) break;
};

const cancelledBy = async (client: MlxdClient): Promise<number> => (await client.stats()).total?.cancelled ?? 0;

/** Until the service has nothing to do: what is left is left there, too. */
const untilFree = async (client: MlxdClient): Promise<void> => {
  for (;;) {
    const { total } = await client.stats();
    if ((total?.running ?? 0) + (total?.queued ?? 0) === 0) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
};
