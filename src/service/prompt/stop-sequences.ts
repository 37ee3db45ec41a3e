/** Finds the end of a generation in its text, across the cuts between tokens. */

interface StopStep {
  /** What can be given out: nothing that may still become a stop sequence. */
  readonly text: string;
  /** The stop sequence that ended the text; once there is one, later steps are empty and tell it again. */
  readonly matched: string | undefined;
}

export interface StopMatcher {
  /** `text` is in whole code points. */
  readonly push: (text: string) => StopStep;
  /** The text held back, when the generation ended otherwise. Call it once, at the end. */
  readonly flush: () => string;
}

/**
 * The sequence that is complete first ends the text; of those that end at the same place the longest, so that no part
 * of one stays before it. It is what reading one code point at a time gives, so the cuts do not matter.
 *
 * @param includeStop whether the sequence itself belongs to the text
 */
export const createStopMatcher = (sequences: ReadonlyArray<string>, includeStop: boolean): StopMatcher => {
  const stops = sequences
    .filter((sequence) => sequence !== "")
    .toSorted((a, b) => b.length - a.length)
    .map((sequence) => ({ sequence, fallbacks: prefixFunction(sequence), progress: 0 }));
  let pending = "";
  let matched: string | undefined;

  const end = (at: number, sequence: string): StopStep => {
    const text = pending.slice(0, includeStop ? at : at - sequence.length);
    pending = "";
    matched = sequence;
    return { text, matched };
  };

  return {
    push: (text) => {
      if (matched !== undefined) return { text: "", matched };
      const from = pending.length;
      pending += text;
      let held = 0;
      for (let at = from; at < pending.length; at++) {
        held = 0;
        for (const stop of stops) {
          stop.progress = advance(stop.sequence, stop.fallbacks, stop.progress, pending[at]);
          if (stop.progress === stop.sequence.length) return end(at + 1, stop.sequence);
          held = Math.max(held, stop.progress);
        }
      }
      if (text === "") return { text: "", matched };
      const ready = pending.slice(0, pending.length - held);
      pending = pending.slice(ready.length);
      return { text: ready, matched };
    },
    flush: () => {
      const rest = pending;
      pending = "";
      return rest;
    },
  };
};

/** Knuth, Morris, Pratt: how long a prefix of the sequence the text ends with, after one more UTF-16 unit. */
const advance = (sequence: string, fallbacks: ReadonlyArray<number>, progress: number, unit: string | undefined) => {
  let length = progress;
  while (length > 0 && sequence[length] !== unit) length = fallbacks[length - 1] ?? 0;
  return sequence[length] === unit ? length + 1 : 0;
};

/** For each prefix of the sequence, the length of the longest other prefix that it ends with. */
const prefixFunction = (sequence: string): ReadonlyArray<number> => {
  const lengths = [0];
  for (let at = 1; at < sequence.length; at++) {
    lengths.push(advance(sequence, lengths, lengths[at - 1] ?? 0, sequence[at]));
  }
  return lengths;
};
