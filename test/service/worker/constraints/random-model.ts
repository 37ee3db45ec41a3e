/** Models that write nonsense: of what a grammar lets them write they choose at random, or what keeps them from an end. */
import type { Grammar } from "../../../../src/service/domain/grammar.ts";
import { TokenMasks } from "../../../../src/service/worker/constraints/token-masks.ts";
import { TokenTrie } from "../../../../src/service/worker/constraints/token-trie.ts";
import { WorkLimit } from "../../../../src/service/worker/constraints/work-limit.ts";
import { createRandom } from "../../../support/create-random.ts";

/** Every byte, and texts that go over the borders of what grammars tell apart. */
const tokens: ReadonlyArray<Uint8Array> = [
  ...Array.from({ length: 256 }, (_, byte) => Uint8Array.of(byte)),
  ...[
    ..."aaaaaaaaaaaaaaaa|aaaa|aa|ab|ba|abab|bbbbbbbb|00|0000|1234|12345678|cafe|the |hello |한|한국|é|x\n|  |\n".split(
      "|",
    ),
    ...`","|":|": "|":"|"}|"]|{"|["|],|},|true|false|null|true,|, |"a|a"|b",|\\n|\\"|\\u00|field_|":true,"|[]|{}|]]]]`.split(
      "|",
    ),
  ].map((text) => new TextEncoder().encode(text)),
];

const trie = new TokenTrie(tokens);
const unlimited = new WorkLimit(Infinity, "");

export interface Answer {
  readonly text: string;
  /** Whether it came to an end of the grammar. */
  readonly ended: boolean;
  readonly tokens: number;
}

export interface RandomModel {
  readonly seed: number;
  readonly maxTokens: number;
  /** Ends only where nothing else may come, and writes what leads away from an end. */
  readonly rambles: boolean;
}

export const answer = (grammar: Grammar, { seed, maxTokens, rambles }: RandomModel): Answer => {
  const random = createRandom(seed);
  const masks = new TokenMasks(grammar, trie, tokens.length, unlimited);
  let state = masks.beginning(unlimited);
  const written: Uint8Array[] = [];
  while (written.length < maxTokens) {
    const { words } = masks.maskAt(state, maxTokens - written.length, unlimited);
    const allowed = tokens.flatMap((_, id) => (((words[id >>> 5] ?? 0) >>> (id & 31)) & 1 ? [id] : []));
    if (allowed.length === 0 || (state.cost === 0 && !rambles && random(4) === 0)) break;
    const picked = Array.from({ length: rambles ? 3 : 1 }, () => allowed[random(allowed.length)] ?? 0);
    const states = picked.map((id) => masks.after(state, tokens[id] ?? new Uint8Array(), unlimited));
    const best = states.reduce((far, each, index) => ((each?.cost ?? -1) > (states[far]?.cost ?? -1) ? index : far), 0);
    const next = states[best];
    if (next === undefined) throw new Error("the mask lets a token pass that the grammar does not");
    written.push(tokens[picked[best] ?? 0] ?? new Uint8Array());
    state = next;
  }
  const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  const bytes = Buffer.concat(written);
  return {
    text: state.cost === 0 ? text.decode(bytes) : bytes.toString("latin1"),
    ended: state.cost === 0,
    tokens: written.length,
  };
};
