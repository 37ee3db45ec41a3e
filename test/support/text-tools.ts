/** Of a model's prompt tools those that work on texts, with a tokenizer and template of the test's own. */
import { Effect } from "effect";

import { readAdapter } from "../../src/service/checkpoint/read-adapter.ts";
import type { ChatInput } from "../../src/service/domain/conversation.ts";
import type { PromptTools } from "../../src/service/models/prompting/PromptTools.ts";
import { makeGrammar } from "../../src/service/output/grammar/make-grammar.ts";
import type { OutputFormat } from "../../src/service/output/output-format.ts";
import { reasoningMarks } from "../../src/service/output/reasoning-marks.ts";
import { ChatTemplateRefused } from "../../src/service/prompt/chat-template.ts";
import { describeVocabulary } from "../../src/service/prompt/describe-vocabulary.ts";
import { encodeWithin, encodeWithinOrCut } from "../../src/service/prompt/encode-within.ts";
import type { Rendered } from "../../src/service/sandbox/lane/text.ts";
import { usualForms } from "../../src/service/prompt/chat-template-values.ts";
import type { TemplateShape } from "../../src/service/prompt/template-shape.ts";
import type { Tokenizer } from "../../src/service/prompt/Tokenizer.ts";
import { createVocabulary, type Vocabulary } from "../../src/service/prompt/Vocabulary.ts";
import { byteTokenizer } from "./byte-tokenizer.ts";

type TextTools = Pick<
  PromptTools,
  "vocabulary" | "outputFormat" | "reasoningMarks" | "template" | "texts" | "grammars" | "adapterRevision"
>;

export interface TextToolsOptions {
  readonly tokenizer?: Tokenizer;
  readonly render?: (chat: ChatInput) => string;
  readonly template?: Partial<TemplateShape>;
  readonly outputFormat?: OutputFormat;
}

export const vocabularyOf = (tokenizer: Tokenizer): Vocabulary => createVocabulary(describeVocabulary(tokenizer));

const plainShape: TemplateShape = {
  tools: "variable",
  toolsDepend: false,
  forms: usualForms,
  writes: { calls: true, results: true, names: true, reasoning: true },
  options: [],
};

const plainFormat: OutputFormat = { notation: "tagged", reasoningTags: undefined, cleanUp: [] };

export const textTools = ({
  tokenizer = byteTokenizer,
  render = () => "a prompt",
  template = {},
  outputFormat = plainFormat,
}: TextToolsOptions = {}): TextTools => ({
  vocabulary: vocabularyOf(tokenizer),
  outputFormat,
  reasoningMarks: reasoningMarks(outputFormat, (text) => tokenizer.encode(text, { addSpecialTokens: false })),
  template: { ...plainShape, ...template },
  adapterRevision: (directory) =>
    Effect.promise(() =>
      readAdapter(directory).then(
        ({ revision }) => revision,
        () => undefined,
      ),
    ),
  grammars: { make: (request) => Effect.sync(() => makeGrammar(request)) },
  texts: {
    encode: (texts, { limit, truncate, addSpecialTokens }) =>
      Effect.sync(() =>
        texts.map((text) =>
          (truncate ? encodeWithinOrCut : encodeWithin)(tokenizer, text, { addSpecialTokens }, limit),
        ),
      ),
    render: (chat, { limit }) =>
      Effect.sync((): Rendered => {
        try {
          const text = render(chat);
          return { text, tokens: encodeWithin(tokenizer, text, { addSpecialTokens: false }, limit) };
        } catch (error) {
          if (error instanceof ChatTemplateRefused) return { refused: error.reason, by: "template" };
          throw error;
        }
      }),
  },
});
