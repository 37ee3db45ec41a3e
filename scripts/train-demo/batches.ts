import type { Tokenizer } from "@huggingface/tokenizers";
import { drawConversation, type Mix } from "./curriculum.ts";
import { drawSheet } from "./practice.ts";
import { mx, type Tensor } from "./mlx.ts";
import type { Random } from "./random.ts";
import { renderSegments, type Segment } from "./render.ts";

export interface Batch {
  /** Token ids [rows, length], short rows filled up at their end. */
  tokens: Tensor;
  length: number;
  /** Where the loss counts: indices into rows x length, and the token that follows each. */
  positions: Tensor;
  targets: Tensor;
  count: number;
}

export interface BatchSettings {
  tokensPerBatch: number;
  longest: number;
  practiceShare: () => number;
  mix: Mix;
}

interface Sequence {
  ids: number[];
  /** Indices of the tokens that the assistant wrote. */
  learned: number[];
}

const poolSize = 1536;

/**
 * Training batches without end: sequences of like length together, about `tokensPerBatch` tokens each.
 * `practiceShare` tells, whenever a pool is made, what part of it are exercise sheets; the others are conversations.
 */
export function* drawBatches(
  tokenizer: Tokenizer,
  random: Random,
  { tokensPerBatch, longest, practiceShare, mix }: BatchSettings,
): Generator<Batch, never> {
  for (;;) {
    const share = practiceShare();
    const pool: Sequence[] = [];
    while (pool.length < poolSize) {
      const sequence = encode(
        tokenizer,
        random.chance(share) ? drawSheet(random, mix.exercises) : drawTurns(random, mix),
      );
      if (sequence.ids.length <= longest) pool.push(sequence);
    }
    pool.sort((left, right) => left.ids.length - right.ids.length);
    const groups: Sequence[][] = [];
    let group: Sequence[] = [];
    for (const sequence of pool) {
      if ((group.length + 1) * paddedLength(sequence) > tokensPerBatch && group.length > 0) {
        groups.push(group);
        group = [];
      }
      group.push(sequence);
    }
    groups.push(group);
    for (const sequences of random.shuffle(groups)) yield toBatch(sequences);
  }
}

function drawTurns(random: Random, mix: Mix): Segment[] {
  const { messages, tools } = drawConversation(random, mix);
  return renderSegments(messages, tools);
}

function encode(tokenizer: Tokenizer, segments: readonly Segment[]): Sequence {
  const ids: number[] = [];
  const learned: number[] = [];
  for (const segment of segments) {
    const start = ids.length;
    ids.push(...tokenizer.encode(segment.text, { add_special_tokens: false }).ids);
    if (segment.learned) for (let index = start; index < ids.length; index++) learned.push(index);
  }
  return { ids, learned };
}

function toBatch(sequences: readonly Sequence[]): Batch {
  const length = Math.max(...sequences.map(paddedLength));
  const rows = sequences.map(({ ids }) => [...ids, ...Array.from({ length: length - ids.length }, () => 0)]);
  const positions = sequences.flatMap(({ learned }, row) => learned.map((index) => row * length + index - 1));
  const targets = sequences.flatMap(({ ids, learned }) => learned.map((index) => ids[index] ?? 0));
  return {
    tokens: mx.array(rows, mx.int32),
    length,
    positions: mx.array(positions, mx.int32),
    targets: mx.array(targets, mx.int32),
    count: targets.length,
  };
}

/** Lengths come in steps of eight, so that masks and tables can be kept. */
function paddedLength({ ids }: Sequence): number {
  return Math.ceil(ids.length / 8) * 8;
}
