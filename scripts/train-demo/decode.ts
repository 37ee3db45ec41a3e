import type { Tokenizer } from "@huggingface/tokenizers";
import { mx, releaseMemory } from "./mlx.ts";
import { causalMask, hiddenStates, rotations, scores, type Cache, type Parameters, type Shape } from "./model.ts";
import { tokenId } from "./tokenizer.ts";

const rowsAtOnce = 32;
const longestAnswer = 120;

/** The greedy continuation of each prompt, up to the end of the turn. Prompts of equal length are decoded together. */
export async function decode(
  shape: Shape,
  parameters: Parameters,
  tokenizer: Tokenizer,
  prompts: readonly string[],
): Promise<string[]> {
  const encoded = prompts.map((prompt, index) => ({
    index,
    ids: tokenizer.encode(prompt, { add_special_tokens: false }).ids,
  }));
  encoded.sort((left, right) => left.ids.length - right.ids.length);
  const answers = prompts.map(() => "");
  for (let start = 0; start < encoded.length;) {
    const length = encoded[start]?.ids.length ?? 0;
    const group = encoded.slice(start, start + rowsAtOnce).filter(({ ids }) => ids.length === length);
    start += group.length;
    const continued = await decodeRows(
      shape,
      parameters,
      tokenId(tokenizer, "<|im_end|>"),
      group.map(({ ids }) => ids),
    );
    for (const [row, { index }] of group.entries()) answers[index] = readText(tokenizer, continued[row] ?? []);
  }
  return answers;
}

async function decodeRows(
  shape: Shape,
  parameters: Parameters,
  end: number,
  rows: readonly number[][],
): Promise<number[][]> {
  const continued = rows.map((): number[] => []);
  const finished = new Set<number>();
  const cache: Cache = [];
  let tokens = rows.map((row) => [...row]);
  let position = 0;
  for (let step = 0; step < longestAnswer && finished.size < rows.length; step++) {
    const length = tokens[0]?.length ?? 0;
    const states = hiddenStates(
      shape,
      parameters,
      mx.array(tokens, mx.int32),
      rotations(shape, position, length),
      length > 1 ? causalMask(length) : undefined,
      cache,
    );
    const last = mx.take(
      states,
      mx.array(
        tokens.map((_, row) => row * length + length - 1),
        mx.int32,
      ),
      0,
    );
    const next = mx.argmax(scores(shape, parameters, last), -1).tolist() as number[];
    position += length;
    for (const [row, id] of next.entries()) {
      if (id === end) finished.add(row);
      if (!finished.has(row)) continued[row]?.push(id);
    }
    tokens = next.map((id) => [id]);
    await releaseMemory(step % 8 === 0);
  }
  return continued;
}

function readText(tokenizer: Tokenizer, ids: number[]): string {
  return ids.length === 0
    ? ""
    : tokenizer.decode(ids, { skip_special_tokens: true, clean_up_tokenization_spaces: false });
}
