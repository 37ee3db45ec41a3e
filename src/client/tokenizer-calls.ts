import { type Caller, checkOptions } from "./caller.ts";
import { checkFlag, checkText, checkTexts, checkTokenIds } from "./check.ts";
import type { MlxdClient, RawClients, TokenizeOptions, Tokens } from "./client.ts";
import { protocolError } from "./errors.ts";
import { CountTokensResponseSchema, TokenizedTextSchema } from "./gen/mlxd/v1/tokenizer_service_pb.ts";
import { toPlain } from "./plain.ts";

/** The calls of the TokenizerService. */
export const createTokenizerCalls = (
  caller: Caller,
  raw: RawClients["tokenizer"],
): Pick<MlxdClient, "tokenize" | "detokenize" | "countTokens"> => {
  async function tokenize(text: string, options?: TokenizeOptions): Promise<Tokens>;
  async function tokenize(texts: readonly string[], options?: TokenizeOptions): Promise<readonly Tokens[]>;
  async function tokenize(
    input: string | readonly string[],
    options: TokenizeOptions = {},
  ): Promise<Tokens | readonly Tokens[]> {
    const { model = caller.model, addSpecialTokens = false, pieces = false, ...call } = checkOptions(options);
    const texts = typeof input === "string" ? [checkText(input, "text")] : checkTexts(input, "texts");
    const request = {
      model: checkText(model, "model"),
      texts,
      addSpecialTokens: checkFlag(addSpecialTokens, "addSpecialTokens"),
      pieces: checkFlag(pieces, "pieces"),
    };
    const response = await caller.unary(call, (connect) => raw.tokenize(request, connect));
    const tokens = response.texts.map((text) => toPlain(TokenizedTextSchema, text));
    const [first] = tokens;
    if (first === undefined || tokens.length !== texts.length) {
      throw protocolError(`${texts.length} texts were tokenised to ${tokens.length}`);
    }
    return typeof input === "string" ? first : tokens;
  }

  return {
    tokenize,

    detokenize: async (tokenIds, options = {}) => {
      const { model = caller.model, skipSpecialTokens = false, ...call } = checkOptions(options);
      const request = {
        model: checkText(model, "model"),
        ids: checkTokenIds(tokenIds, "tokenIds"),
        skipSpecialTokens: checkFlag(skipSpecialTokens, "skipSpecialTokens"),
      };
      const { text } = await caller.unary(call, (connect) => raw.detokenize(request, connect));
      return text;
    },

    countTokens: async (input, options = {}) => {
      const { task, call, nameOf } = caller.task(input, options);
      const response = await caller.unary(call, (connect) => raw.countTokens({ task }, connect), nameOf);
      return toPlain(CountTokensResponseSchema, response);
    },
  };
};
