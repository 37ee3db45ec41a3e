import type { ServiceImpl } from "@connectrpc/connect";
import { Effect } from "effect";

import {
  CountTokensRequestSchema,
  DetokenizeRequestSchema,
  TokenizeRequestSchema,
  type TokenizerService,
} from "../../client/gen/mlxd/v1/tokenizer_service_pb.ts";
import { Models } from "../models/Models.ts";
import { Generations } from "../pipeline/Generations.ts";
import type { Tokenizer } from "../prompt/Tokenizer.ts";
import { Bridge } from "./Bridge.ts";
import { invalidField } from "./invalid-field.ts";
import { checkedTask } from "./task-from-wire.ts";
import { validate } from "./validate.ts";

export const makeTokenizerService = Effect.gen(function* () {
  const bridge = yield* Bridge;
  const models = yield* Models;
  const generations = yield* Generations;
  return {
    tokenize: (request, context) =>
      bridge.unary(context, () =>
        Effect.gen(function* () {
          yield* validate(TokenizeRequestSchema, request);
          const { addSpecialTokens, pieces } = request;
          const { facts, tokenizer } = yield* models.promptTools(request.model);
          const texts = yield* Effect.forEach(request.texts, (text) =>
            // Between two texts the running streams get their turn.
            Effect.yieldNow.pipe(
              Effect.andThen(Effect.sync(() => tokenizeText(tokenizer, text, { addSpecialTokens, pieces }))),
            ),
          );
          return { model: facts.id, texts, contextLength: facts.contextLength };
        }),
      ),
    detokenize: (request, context) =>
      bridge.unary(context, () =>
        Effect.gen(function* () {
          yield* validate(DetokenizeRequestSchema, request);
          const { ids, skipSpecialTokens } = request;
          const { facts, tokenizer } = yield* models.promptTools(request.model);
          const unknown = ids.findIndex((id) => id >= tokenizer.vocabularySize);
          if (unknown >= 0) {
            const description = `${ids[unknown]} is out of range; it must be less than ${tokenizer.vocabularySize}`;
            return yield* invalidField(`ids[${unknown}]`, description);
          }
          return { model: facts.id, text: tokenizer.decode(ids, { skipSpecialTokens }) };
        }),
      ),
    countTokens: (request, context) =>
      bridge.unary(context, () =>
        Effect.gen(function* () {
          yield* validate(CountTokensRequestSchema, request);
          const task = yield* checkedTask(request.task);
          return yield* generations.count(task);
        }),
      ),
  } satisfies ServiceImpl<typeof TokenizerService>;
});

const tokenizeText = (
  tokenizer: Tokenizer,
  text: string,
  { addSpecialTokens, pieces }: { readonly addSpecialTokens: boolean; readonly pieces: boolean },
): { ids: number[]; pieces: string[] } => {
  const ids = [...tokenizer.encode(text, { addSpecialTokens })];
  return { ids, pieces: pieces ? ids.map((id) => tokenizer.piece(id) ?? "") : [] };
};
