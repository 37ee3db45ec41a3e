import type { ServiceImpl } from "@connectrpc/connect";
import { Effect } from "effect";

import { type TokenizerService } from "../../client/gen/mlxd/v1/tokenizer_service_pb.ts";
import type { InvalidField } from "../domain/errors.ts";
import { numbersOf } from "../domain/numbers-of.ts";
import { Models } from "../models/Models.ts";
import { useTokens } from "../pipeline/use-tokens.ts";
import { Generations } from "../pipeline/Generations.ts";
import { createDecoder } from "../prompt/detokenizer.ts";
import type { Encoded, TooLong } from "../prompt/encode-within.ts";
import type { Vocabulary } from "../prompt/Vocabulary.ts";
import { withFilesOfNow } from "../pipeline/with-files-of-now.ts";
import { Bridge } from "./Bridge.ts";
import { invalidField } from "./invalid-field.ts";
import { checkedTask } from "./task-from-wire.ts";

export const makeTokenizerService = Effect.gen(function* () {
  const bridge = yield* Bridge;
  const models = yield* Models;
  const generations = yield* Generations;
  return {
    tokenize: (received, context) =>
      bridge.unary(received, context, (request) =>
        Effect.gen(function* () {
          const { addSpecialTokens, pieces } = request;
          const options = { field: "texts", addSpecialTokens, truncate: false, limit: Infinity };
          const { facts, vocabulary, encoded } = yield* withFilesOfNow(
            Effect.flatMap(useTokens(models, request.model, "tokenizing"), ({ texts, ...tools }) =>
              Effect.map(texts.encode(request.texts, options), (found) => ({ ...tools, encoded: found })),
            ),
          );
          const tooMany = excessOf(encoded);
          if (tooMany !== undefined) return yield* tooMany;
          const tokenized = yield* Effect.forEach(encoded, (tokens) =>
            tokenizedText(vocabulary, "tokenIds" in tokens ? numbersOf(tokens.tokenIds) : [], pieces),
          );
          return { model: facts.id, texts: tokenized, contextLength: facts.contextLength };
        }),
      ),
    detokenize: (received, context) =>
      bridge.unary(received, context, (request) =>
        Effect.gen(function* () {
          const { ids, skipSpecialTokens } = request;
          const { facts, vocabulary } = yield* useTokens(models, request.model, "detokenizing");
          const unknown = ids.findIndex((id) => id >= vocabulary.size);
          if (unknown >= 0) {
            const description = `${ids[unknown]} is out of range; it must be less than ${vocabulary.size}`;
            return yield* invalidField(`ids[${unknown}]`, description);
          }
          const decoder = createDecoder(vocabulary, { skipSpecialTokens });
          const texts = yield* inPortions(ids, (portion) => [decoder.push(portion)]);
          return { model: facts.id, text: texts.join("") + decoder.flush() };
        }),
      ),
    countTokens: (received, context) =>
      bridge.unary(received, context, (request) =>
        Effect.gen(function* () {
          const task = yield* checkedTask(request.task, models);
          return yield* generations.count(task);
        }),
      ),
  } satisfies ServiceImpl<typeof TokenizerService>;
});

interface Tokenized {
  readonly ids: number[];
  readonly pieces: string[];
}

const tokenizedText = (vocabulary: Vocabulary, ids: number[], withPieces: boolean): Effect.Effect<Tokenized> => {
  const pieces = inPortions(withPieces ? ids : [], (portion) => portion.map((id) => vocabulary.piece(id) ?? ""));
  return Effect.map(pieces, (found) => ({ ids, pieces: found }));
};

/** Processes long lists in portions, so that other calls get a turn in between. */
const inPortions = Effect.fnUntraced(function* <A>(
  ids: ReadonlyArray<number>,
  make: (portion: ReadonlyArray<number>) => ReadonlyArray<A>,
) {
  const made: A[] = [];
  for (let at = 0; at < ids.length; at += portionIds) {
    made.push(...make(ids.slice(at, at + portionIds)));
    yield* Effect.yieldNow;
  }
  return made;
});

const portionIds = 8192;

const excessOf = (encoded: ReadonlyArray<Encoded | TooLong>): InvalidField | undefined => {
  let total = 0;
  for (const [index, tokens] of encoded.entries()) {
    total += "tokenIds" in tokens ? tokens.tokenIds.length : tokens.atLeast;
    if (total > maxTokens) {
      const description = `the first ${index + 1} have ${total} tokens; all together must not have more than ${maxTokens}`;
      return invalidField("texts", description);
    }
  }
  return undefined;
};

/** For one answer, because answers are encoded on the main thread. CountTokens has no such limit. */
const maxTokens = 262_144;
