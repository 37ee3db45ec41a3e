/**
 * The thread of an engine process that holds grammars: it compiles them, follows what is written in each, and tells which
 * tokens may come next. It writes masks into shared memory, where the engine's own thread waits for them.
 */
import { parentPort, workerData } from "node:worker_threads";

import type { CompiledGrammar, GrammarCompiler, GrammarMatcher } from "@mlc-ai/web-xgrammar";
import { Endings, SortedVocabulary, type Standing } from "./endings.ts";
import { grammarNotation, longestToken } from "./grammar-notation.ts";
import { type FromGrammarThread, type GrammarThreadData, MaskBoard, type ToGrammarThread } from "./mask-board.ts";
import { byteOf } from "./byte-alphabet.ts";
import type { Grammar } from "./protocol.ts";
import { takeSaid, xgrammar } from "./xgrammar.ts";

const { pieces, vocabularySize, slots, memory } = workerData as GrammarThreadData;
const board = new MaskBoard(vocabularySize, slots, memory);

interface Compiled {
  readonly grammar: CompiledGrammar;
  readonly endings: Endings;
}

/** Compiled grammars, the one that was used longest ago first. */
const compiled = new Map<string, Compiled>();
const maxCompiled = 64;
interface Follower {
  readonly matcher: GrammarMatcher;
  readonly endings: Endings;
  standing: Standing | undefined;
  /** What was written does not fit. */
  broken: boolean;
}

const followers = new Map<number, Follower>();
let compiler: GrammarCompiler | undefined;
let vocabulary: SortedVocabulary | undefined;

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
    const { grammar: compiledGrammar, endings } = await compile(grammar);
    const matcher = await xgrammar.GrammarMatcher.createGrammarMatcher(compiledGrammar);
    followers.set(sequence, { matcher, endings, standing: endings.beginning, broken: false });
    reply({ type: "opened", sequence, problem: undefined });
  } catch (cause) {
    reply({ type: "opened", sequence, problem: takeSaid() || String(cause) });
  }
};

const compile = async (grammar: Grammar): Promise<Compiled> => {
  const notation = grammarNotation(grammar);
  const known = compiled.get(notation);
  const made = known ?? {
    grammar: await (await theCompiler()).compileGrammar(notation),
    endings: new Endings(grammar, theVocabulary()),
  };
  compiled.delete(notation);
  compiled.set(notation, made);
  const [oldest] = compiled.keys();
  if (compiled.size > maxCompiled && oldest !== undefined) {
    // Matchers share what they need of it.
    compiled.get(oldest)?.grammar.dispose();
    compiled.delete(oldest);
  }
  return made;
};

/** With a token of its own after the vocabulary that stands for the end: it may come where the grammar is fulfilled. */
const theCompiler = async (): Promise<GrammarCompiler> => {
  if (compiler !== undefined) return compiler;
  const padded = Array.from({ length: vocabularySize + 1 }, (_, id) => pieceOf(id));
  const info = await xgrammar.TokenizerInfo.createTokenizerInfo(padded, "byte_level", false, padded.length, [
    vocabularySize,
  ]);
  compiler = await xgrammar.GrammarCompiler.createGrammarCompiler(info, false);
  return compiler;
};

const theVocabulary = (): SortedVocabulary => {
  vocabulary ??= new SortedVocabulary(Array.from({ length: vocabularySize }, (_, id) => bytesOf(pieceOf(id))));
  return vocabulary;
};

/** Empty where the token may not be chosen. */
const pieceOf = (id: number): string => {
  const piece = pieces[id] ?? "";
  return piece.length > longestToken ? "" : piece;
};

const bytesOf = (piece: string): Uint8Array => Uint8Array.from(piece, (character) => byteOf(character));

const follow = async ({ slot, sequence, tokenId, remainingTokens }: MatcherStep): Promise<void> => {
  const follower = followers.get(sequence);
  if (follower === undefined) return board.writeBroken(slot);
  const { matcher, endings } = follower;
  if (tokenId === undefined) {
    matcher.reset();
    follower.broken = false;
    follower.standing = endings.beginning;
  } else {
    follower.broken ||= !matcher.acceptToken(tokenId);
    follower.standing &&= endings.after(follower.standing, bytesOf(pieces[tokenId] ?? ""));
  }
  if (follower.broken) {
    board.writeBroken(slot);
    return;
  }
  const { standing } = follower;
  const mask = board.write(slot, await matcher.getNextTokenBitmask(), standing === undefined || standing.cost === 0);
  if (standing !== undefined && remainingTokens > 0) endings.restrict(standing, mask, remainingTokens);
  board.seal(slot);
};

type MatcherStep = Extract<ToGrammarThread, { type: "step" }>["steps"][number];

// One after the other: a message may wait within.
let last = Promise.resolve();
parentPort?.on("message", (message: ToGrammarThread) => {
  last = last.then(() => receive(message));
});
