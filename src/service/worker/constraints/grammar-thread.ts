/**
 * The grammar thread of an engine process: it compiles grammars, follows the output of each sequence, and computes
 * which tokens may come next. It writes masks into shared memory, where the engine's main thread waits for them for a
 * bounded time.
 *
 * The work on one grammar is limited by this thread's CPU time, so that no request fails because the machine is busy.
 */
import { parentPort, receiveMessageOnPort, workerData } from "node:worker_threads";

import { byteOf } from "./byte-alphabet.ts";
import type { Grammar } from "../protocol/constraint.ts";
import type { State } from "./automaton.ts";
import {
  type FromGrammarThread,
  type GrammarStep,
  type GrammarThreadData,
  type Mask,
  SharedMasks,
  type OpenGrammar,
  type ToGrammarThread,
} from "./shared-masks.ts";
import { TokenMasks } from "./token-masks.ts";
import { TokenTrie } from "./token-trie.ts";
import { GrammarTooHard, WorkLimit } from "./work-limit.ts";

const { pieces, vocabularySize, slots, memory, limits } = workerData as GrammarThreadData;
const shared = new SharedMasks(vocabularySize, slots, memory);

interface Follower {
  readonly masks: TokenMasks;
  /** Undefined if the output does not match. */
  state: State | undefined;
}

const followers = new Map<number, Follower>();
/** Compiled grammars by their contents; least recently used first. */
const compiled = new Map<string, TokenMasks>();
/** Why a grammar cannot be used, so that it is not tried again. */
const refused = new Map<string, string>();
/** Messages that arrived while a grammar was being compiled. */
const postponed: ToGrammarThread[] = [];
let vocabulary: TokenTrie | undefined;

const tooHardToCompile = `compiling its grammar takes more than ${limits.compileMs} ms`;
const tooHardToMask = `finding the tokens that may come next takes more than ${limits.maskMs} ms`;

const receive = (message: ToGrammarThread): void => {
  switch (message.type) {
    case "open":
      open(message);
      break;
    case "close":
      followers.delete(message.sequence);
      break;
    case "step":
      for (const step of message.steps) follow(step);
  }
};

const open = ({ sequence, grammar, tokenIds, remainingTokens }: OpenGrammar): void => {
  shared.workingFor = sequence;
  const key = JSON.stringify(grammar);
  const reply = (result: FromGrammarThread["result"]): void =>
    parentPort?.postMessage({ type: "opened", sequence, result } satisfies FromGrammarThread);
  const known = refused.get(key);
  if (known !== undefined) reply({ problem: known });
  else {
    const limit = new WorkLimit(limits.compileMs, tooHardToCompile, letMasksPass);
    try {
      const masks = compile(key, grammar, limit);
      const follower: Follower = { masks, state: masks.beginning(limit) };
      for (const tokenId of tokenIds) take(follower, tokenId, limit);
      followers.set(sequence, follower);
      reply({ mask: maskOf(follower, remainingTokens, limit) });
    } catch (cause) {
      const problem = cause instanceof GrammarTooHard ? cause.message : `unexpected: ${String(cause)}`;
      refused.set(key, problem);
      dropOldest(refused, maxRefused);
      reply({ problem });
    }
  }
  shared.sign();
  shared.workingFor = nobody;
};

const compile = (key: string, grammar: Grammar, limit: WorkLimit): TokenMasks => {
  const made = compiled.get(key) ?? new TokenMasks(grammar, theVocabulary(), vocabularySize, limit);
  compiled.delete(key);
  compiled.set(key, made);
  dropOldest(compiled, maxCompiled);
  let bytes = 0;
  for (const each of compiled.values()) bytes += each.bytes;
  for (const [each, masks] of compiled) {
    if (bytes <= maxCompiledBytes || each === key) break;
    compiled.delete(each);
    bytes -= masks.bytes;
  }
  return made;
};

/** Other sequences' masks do not wait for the compilation of a grammar. */
const letMasksPass = (): void => {
  const outer = shared.workingFor;
  if (parentPort === null) return;
  for (let received = receiveMessageOnPort(parentPort); received; received = receiveMessageOnPort(parentPort)) {
    const message = received.message as ToGrammarThread;
    const isBehind = message.type !== "step" || postponed.some((each) => concernsAny(each, message.steps));
    if (isBehind) postponed.push(message);
    else receive(message);
  }
  shared.workingFor = outer;
};

const concernsAny = (message: ToGrammarThread, steps: ReadonlyArray<GrammarStep>): boolean =>
  message.type === "step" || steps.some(({ sequence }) => sequence === message.sequence);

const theVocabulary = (): TokenTrie => {
  vocabulary ??= new TokenTrie(Array.from({ length: vocabularySize }, (_, id) => bytesOf(pieces[id] ?? "")));
  return vocabulary;
};

const bytesOf = (piece: string): Uint8Array => Uint8Array.from(piece, (character) => byteOf(character));

const follow = ({ slot, ticket, sequence, begins, tokenId, remainingTokens }: GrammarStep): void => {
  const follower = followers.get(sequence);
  // It was closed meanwhile, so nobody waits for the mask.
  if (follower === undefined) return;
  shared.workingFor = sequence;
  const limit = new WorkLimit(limits.maskMs, tooHardToMask);
  try {
    if (begins) follower.state = follower.masks.beginning(limit);
    if (tokenId !== undefined) take(follower, tokenId, limit);
    shared.write(slot, ticket, maskOf(follower, remainingTokens, limit));
  } catch (cause) {
    const state = cause instanceof GrammarTooHard ? "too-hard" : "failed";
    shared.write(slot, ticket, { state, words: noWords, digest: "0.0" });
  }
  shared.workingFor = nobody;
};

const take = (follower: Follower, tokenId: number, limit: WorkLimit): void => {
  follower.state &&= follower.masks.after(follower.state, bytesOf(pieces[tokenId] ?? ""), limit);
};

const maskOf = ({ masks, state }: Follower, remainingTokens: number, limit: WorkLimit): Mask => {
  if (state === undefined) return { state: "broken", words: noWords, digest: "0.0" };
  const mayEnd = state.cost === 0;
  if (remainingTokens <= 0) return { state: mayEnd ? "ended" : "open", words: noWords, digest: "0.0" };
  const { words, isEmpty, digest } = masks.maskAt(state, remainingTokens, limit);
  if (isEmpty) return { state: mayEnd ? "ended" : "broken", words, digest };
  return { state: mayEnd ? "fulfilled" : "open", words, digest };
};

const dropOldest = (map: Map<string, unknown>, most: number): void => {
  const [oldest] = map.keys();
  if (map.size > most && oldest !== undefined) map.delete(oldest);
};

const noWords = new Int32Array(Math.ceil(vocabularySize / 32));
const nobody = -1;
const maxCompiled = 64;
const maxCompiledBytes = 256 * 1024 * 1024;
const maxRefused = 256;

parentPort?.on("message", (message: ToGrammarThread) => {
  receive(message);
  for (let next = postponed.shift(); next !== undefined; next = postponed.shift()) receive(next);
});
