/** What the client does behind a front with TLS and keys that dies in the midst of a stream, and is there again. */
import type { MlxdClient } from "../../src/client/index.ts";
import type { Entry } from "./behaviour.ts";

/** The key that the front asks for. */
export const frontKey = "key-of-the-front";

/** What was found; test/runtime/runtimes.test.ts says what it has to be. */
export interface FrontFindings {
  /** The code of a call without a key. */
  readonly withoutKey: string;
  readonly answer: string;
  /** What the reader of the stream was told when the front died, and whether that is what had come. */
  readonly cut: string;
  readonly isProgressRight: boolean;
  readonly whileDown: string;
  readonly answerAgain: string;
}

const question = "What is 2+2?";

/** @param open makes a client with this key */
export const behaveBehindFront = async (
  open: (credentials?: string) => MlxdClient,
  entry: Entry,
  controlUrl: string,
): Promise<FrontFindings> => {
  const errorOf = (error: unknown) => (entry.isMlxdError(error) ? error : undefined);
  const failure = (promise: Promise<unknown>) => promise.then(() => undefined, errorOf);
  const control = (what: "kill" | "start") => fetch(`${controlUrl}/${what}`, { method: "POST" });

  const keyless = open();
  const refused = await failure(keyless.generate(question));
  keyless.close();

  const client = open(frontKey);
  const answer = (await client.generate(question, { seed: 7 })).text;

  let [text, outputTokens, isKilled] = ["", 0, false];
  const read = async (): Promise<void> => {
    for await (const event of client.stream("Count from 1 to 20", { ignoreEos: true, maxOutputTokens: 1_500 })) {
      if (event.type !== "chunk") continue;
      text += event.text;
      outputTokens = event.outputTokens;
      if (isKilled || text === "") continue;
      isKilled = true;
      await control("kill");
    }
  };
  const cut = await failure(read());
  const whileDown = await failure(client.generate(question));
  await control("start");
  const answerAgain = await untilAnswered(client);
  client.close();
  const { progress } = cut ?? {};
  return {
    withoutKey: refused?.code ?? "none",
    answer,
    cut: cut?.reason ?? "none",
    isProgressRight: progress?.text === text && text !== "" && progress.usage.outputTokens === outputTokens,
    whileDown: whileDown?.reason ?? "none",
    answerAgain,
  };
};

/** A channel of gRPC waits a while before it connects again, and says so to those who call meanwhile. */
const untilAnswered = async (client: MlxdClient): Promise<string> => {
  for (;;) {
    const answered = await client.generate(question, { seed: 7 }).catch(() => undefined);
    if (answered !== undefined) return answered.text;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
};
