/** A model's vocabulary in the form that its engine needs for constraints: the bytes that each token writes. */
import { Effect } from "effect";

import { callMarkers } from "../../output/output-format.ts";
import { byteLevelAlphabet } from "../../prompt/longest-token.ts";
import type { Vocabulary } from "../../prompt/Vocabulary.ts";
import type { VocabularyMessage } from "../../worker/protocol/to-worker.ts";
import type { WorkerProcess } from "./WorkerProcess.ts";

/** Sends the vocabulary to each process once, before its first request with a constraint. */
export class WorkerVocabulary {
  private readonly made: Effect.Effect<VocabularyMessage>;
  private message: VocabularyMessage | undefined;
  /** The process that has the vocabulary. */
  private givenTo: Pick<WorkerProcess, "send"> | undefined;

  /** @param made makes the message, once, when it is first needed */
  constructor(made: Effect.Effect<VocabularyMessage>) {
    this.made = made;
  }

  /** Has to run before a request with a constraint is submitted. */
  readonly prepare: Effect.Effect<void> = Effect.suspend(() =>
    Effect.map(this.made, (message) => {
      this.message = message;
    }),
  );

  giveTo(worker: Pick<WorkerProcess, "send">): void {
    if (this.message === undefined || this.givenTo === worker) return;
    this.givenTo = worker;
    worker.send(this.message);
  }
}

/** Works in portions: a vocabulary has hundreds of thousands of tokens, and other work waits for this thread. */
export const createVocabularyMessage = (vocabulary: Vocabulary): Effect.Effect<VocabularyMessage> =>
  Effect.gen(function* () {
    const markers = callMarkers();
    const pieces: string[] = [];
    const markerTokenIds: number[] = [];
    while (pieces.length < vocabulary.size) {
      const portion = Math.min(tokensAtOnce, vocabulary.size - pieces.length);
      for (let left = portion; left > 0; left--) {
        const id = pieces.length;
        const isMarker = vocabulary.isSpecial(id) && markers.has(vocabulary.piece(id) ?? "");
        if (isMarker) markerTokenIds.push(id);
        pieces.push(vocabulary.isSpecial(id) && !isMarker ? "" : pieceOf(vocabulary.bytes(id)));
      }
      yield* Effect.promise(() => new Promise((resolve) => setImmediate(resolve)));
    }
    return { type: "vocabulary", pieces, markerTokenIds };
  });

const pieceOf = (bytes: Uint8Array): string => Array.from(bytes, (byte) => alphabet[byte]).join("");

const alphabet = byteLevelAlphabet();
const tokensAtOnce = 1024;
