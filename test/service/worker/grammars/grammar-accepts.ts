/** Whether a text follows a grammar, as xgrammar and the automaton of endings see it: they have to agree. */
import { assert } from "@effect/vitest";

import type { Grammar } from "../../../../src/service/domain/grammar.ts";
import { Endings, SortedVocabulary } from "../../../../src/service/worker/endings.ts";
import { grammarNotation } from "../../../../src/service/worker/grammar-notation.ts";
import { xgrammar } from "../../../../src/service/worker/xgrammar.ts";

const info = await xgrammar.TokenizerInfo.createTokenizerInfo(["a"], "raw");
const compiler = await xgrammar.GrammarCompiler.createGrammarCompiler(info, false);
const noTokens = new SortedVocabulary([]);

export const grammarAccepts = async (grammar: Grammar, text: string): Promise<boolean> => {
  const compiled = await compiler.compileGrammar(grammarNotation(grammar));
  const matcher = await xgrammar.GrammarMatcher.createGrammarMatcher(compiled, undefined, true);
  const accepted = (text === "" || matcher._acceptString(text)) && matcher.isTerminated();
  matcher.dispose();
  compiled.dispose();
  const endings = new Endings(grammar, noTokens);
  const ends = endings.after(endings.beginning, new TextEncoder().encode(text))?.cost === 0;
  assert.strictEqual(ends, accepted, `xgrammar and the endings differ on ${text}`);
  return accepted;
};
