/**
 * The thread of an engine process that holds grammars: it compiles them, follows what is written in each, and tells which
 * tokens may come next. It writes masks into shared memory, where the engine's own thread waits for them.
 */
import { parentPort, workerData } from "node:worker_threads";

import type { CompiledGrammar, GrammarCompiler, GrammarMatcher } from "@mlc-ai/web-xgrammar";
import { grammarNotation } from "./grammar-notation.ts";
import { type FromGrammarThread, type GrammarThreadData, MaskBoard, type ToGrammarThread } from "./mask-board.ts";
import { takeSaid, xgrammar } from "./xgrammar.ts";

const { pieces, vocabularySize, slots, memory } = workerData as GrammarThreadData;
const board = new MaskBoard(vocabularySize, slots, memory);

/** Compiled grammars, the one that was used longest ago first. */
const compiled = new Map<string, CompiledGrammar>();
const maxCompiled = 64;
interface Follower {
  readonly matcher: GrammarMatcher;
  /** What was written does not fit. */
  broken: boolean;
}

const followers = new Map<number, Follower>();
let compiler: GrammarCompiler | undefined;

const reply = (message: FromGrammarThread): void => parentPort?.postMessage(message);

const receive = async (message: ToGrammarThread): Promise<void> => {
  switch (message.type) {
    case "open":
      await open(message);
      break;
    case "close":
      followers.get(message.sequence)?.matcher.dispose();
      followers.delete(message.sequence);
      break;
    case "step":
      for (const step of message.steps) await follow(step);
      board.publish();
      break;
  }
};

const open = async ({ sequence, grammar }: Extract<ToGrammarThread, { type: "open" }>): Promise<void> => {
  try {
    const compiledGrammar = await compile(grammarNotation(grammar));
    const matcher = await xgrammar.GrammarMatcher.createGrammarMatcher(compiledGrammar);
    followers.set(sequence, { matcher, broken: false });
    reply({ type: "opened", sequence, problem: undefined });
  } catch (cause) {
    reply({ type: "opened", sequence, problem: takeSaid() || String(cause) });
  }
};

const compile = async (notation: string): Promise<CompiledGrammar> => {
  const known = compiled.get(notation);
  const grammar = known ?? (await (await theCompiler()).compileGrammar(notation));
  compiled.delete(notation);
  compiled.set(notation, grammar);
  const [oldest] = compiled.keys();
  if (compiled.size > maxCompiled && oldest !== undefined) {
    // Matchers share what they need of it.
    compiled.get(oldest)?.dispose();
    compiled.delete(oldest);
  }
  return grammar;
};

/** With a token of its own after the vocabulary that stands for the end: it may come where the grammar is fulfilled. */
const theCompiler = async (): Promise<GrammarCompiler> => {
  if (compiler !== undefined) return compiler;
  const padded = Array.from({ length: vocabularySize + 1 }, (_, id) => pieces[id] ?? "");
  const info = await xgrammar.TokenizerInfo.createTokenizerInfo(padded, "byte_level", false, padded.length, [
    vocabularySize,
  ]);
  compiler = await xgrammar.GrammarCompiler.createGrammarCompiler(info, false);
  return compiler;
};

const follow = async ({ slot, sequence, tokenId }: MatcherStep): Promise<void> => {
  const follower = followers.get(sequence);
  if (follower === undefined) return board.writeBroken(slot);
  const { matcher } = follower;
  if (tokenId === undefined) {
    matcher.reset();
    follower.broken = false;
  } else follower.broken ||= !matcher.acceptToken(tokenId);
  if (follower.broken) board.writeBroken(slot);
  else board.write(slot, await matcher.getNextTokenBitmask());
};

type MatcherStep = Extract<ToGrammarThread, { type: "step" }>["steps"][number];

// One after the other: a message may wait within.
let last = Promise.resolve();
parentPort?.on("message", (message: ToGrammarThread) => {
  last = last.then(() => receive(message));
});
