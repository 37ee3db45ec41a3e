import type { ServiceImpl } from "@connectrpc/connect";
import { Effect } from "effect";

import { type TokenizerService } from "../../client/gen/mlxd/v1/tokenizer_service_pb.ts";
import { Models } from "../models/Models.ts";
import { useTokens } from "../pipeline/use-tokens.ts";
import { Generations } from "../pipeline/Generations.ts";
import { decodeTokens } from "../prompt/detokenizer.ts";
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
          const tokenized: Tokenized[] = [];
          for (const tokens of encoded) {
            // Between two texts the running streams get their turn.
            yield* Effect.yieldNow;
            tokenized.push(tokenizedText(vocabulary, "tokenIds" in tokens ? tokens.tokenIds : [], pieces));
          }
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
          return { model: facts.id, text: decodeTokens(vocabulary, ids, { skipSpecialTokens }) };
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

const tokenizedText = (vocabulary: Vocabulary, tokenIds: Iterable<number>, withPieces: boolean): Tokenized => {
  const ids = Array.from(tokenIds);
  return { ids, pieces: withPieces ? ids.map((id) => vocabulary.piece(id) ?? "") : [] };
};
