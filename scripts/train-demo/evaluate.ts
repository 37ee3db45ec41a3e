import type { Tokenizer } from "@huggingface/tokenizers";
import { isRight, parseReply } from "./example.ts";
import { heldOut, skills } from "./curriculum.ts";
import { decode } from "./decode.ts";
import type { Parameters, Shape } from "./model.ts";
import { Random } from "./random.ts";
import { renderPrompt } from "./render.ts";

export interface Score {
  id: string;
  title: string;
  bound: number;
  right: number;
  asked: number;
  /** Some wrong answers, to look at. */
  wrong: { question: string; reply: string; answer: string }[];
}

export interface Measurement {
  /** Held-out questions of each skill. */
  questions: number;
  seed: number;
}

/** Asks held-out questions of every skill and decodes greedily. */
export async function evaluate(
  shape: Shape,
  parameters: Parameters,
  tokenizer: Tokenizer,
  { questions, seed }: Measurement,
): Promise<Score[]> {
  const scores: Score[] = [];
  for (const skill of skills) {
    const examples = heldOut(skill, questions, new Random(seed));
    const replies = await decode(
      shape,
      parameters,
      tokenizer,
      examples.map(({ messages, tools }) => renderPrompt(messages, tools)),
    );
    const judged = examples.map((example, index) => ({
      example,
      reply: replies[index] ?? "",
      right: isRight(example, parseReply(replies[index] ?? "")),
    }));
    scores.push({
      id: skill.id,
      title: skill.title,
      bound: skill.bound,
      asked: examples.length,
      right: judged.filter(({ right }) => right).length,
      wrong: judged
        .filter(({ right }) => !right)
        .slice(0, 4)
        .map(({ example, reply }) => ({
          question: example.messages.at(-1)?.content ?? "",
          reply,
          answer: example.answer.content || JSON.stringify(example.answer.tool_calls?.[0]?.function),
        })),
    });
  }
  return scores;
}
