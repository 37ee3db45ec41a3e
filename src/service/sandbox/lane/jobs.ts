/**
 * What a lane can do: name and function. A function takes one value and returns one, or a promise of it, both structured
 * clones. What it expects to go wrong is a part of what it returns; what it throws reaches the caller as a message only.
 */
import { makeGrammar } from "../../output/grammar/make-grammar.ts";
import { readAdapter, readCheckpoint, readRevision, readStamp } from "./checkpoint.ts";
import { readRequest } from "./request.ts";
import { encode, loadText, render } from "./text.ts";

export const jobs = {
  encode,
  loadText,
  makeGrammar,
  readAdapter,
  readCheckpoint,
  readRequest,
  readRevision,
  readStamp,
  render,
};
