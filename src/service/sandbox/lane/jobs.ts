/**
 * The jobs that a lane can do, by name. A job's function takes one value and returns one value or a promise of it; both
 * are structured clones. Expected failures are part of the return value. If it throws, the caller gets the message
 * only.
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
