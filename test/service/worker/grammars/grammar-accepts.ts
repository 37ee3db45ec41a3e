/**
 * Whether a text follows a grammar, as xgrammar and the automaton of endings see it. They have to agree, but for the high
 * bounds of repetitions that only the automaton knows.
 */
import { assert } from "@effect/vitest";

import type { Grammar, GrammarExpression } from "../../../../src/service/domain/grammar.ts";
import { Endings, SortedVocabulary } from "../../../../src/service/worker/endings.ts";
import { grammarNotation, isCounted } from "../../../../src/service/worker/grammar-notation.ts";
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
  if (hasCounted(grammar)) assert.isTrue(accepted || !ends, text);
  else assert.strictEqual(ends, accepted, `xgrammar and the endings differ on ${text}`);
  return ends;
};

const hasCounted = ({ rules }: Grammar): boolean => {
  const has = (of: GrammarExpression): boolean => {
    if (of.type === "sequence") return of.parts.some(has);
    if (of.type === "choice") return of.options.some(has);
    return of.type === "repeat" && (isCounted(of) || has(of.of));
  };
  return Object.values(rules).some(has);
};
