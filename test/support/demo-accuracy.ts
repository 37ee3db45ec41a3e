/** What the demo model's card claims, and what the service's own answers to the same questions are worth. */
import { readFileSync } from "node:fs";
import type { BatchItem, GenerationResult, MlxdClient } from "../../src/client/node.ts";
import { heldOut } from "../../scripts/train-demo/curriculum.ts";
import { type Example, isRight } from "../../scripts/train-demo/example.ts";
import { Random } from "../../scripts/train-demo/random.ts";
import { card } from "../../scripts/train-demo/settings.ts";
import type { Skill } from "../../scripts/train-demo/skills/skill.ts";

export interface Claim {
  readonly right: number;
  readonly asked: number;
}

/** By the skill's title. */
export const claims = (): ReadonlyMap<string, Claim> => {
  const text = readFileSync(new URL("../../models/demo/README.md", import.meta.url), "utf8");
  const rows = text.matchAll(/^\| (.+?) \| [\d.]+ % \| (\d+) of (\d+) \|/gm);
  return new Map(
    [...rows].map(([, title = "", right, asked]) => [title, { right: Number(right), asked: Number(asked) }]),
  );
};

/** How many of the card's first questions of this skill the service answers right, decoding greedily. */
export const countRight = async (client: MlxdClient, skill: Skill, questions: number): Promise<number> => {
  const examples = heldOut(skill, questions, new Random(card.seed));
  let right = 0;
  for (let start = 0; start < examples.length; start += itemsInCall) {
    const asked = examples.slice(start, start + itemsInCall);
    const { items } = await client.batch(asked.map(toItem), { parallel: true }).collect();
    for (const { index, result, error } of items) {
      const example = asked[index];
      if (error || !example) throw error ?? new Error(`there is no question ${index}`);
      if (isRight(example, replyOf(result))) right += 1;
    }
  }
  return right;
};

/** As many as the service takes. */
const itemsInCall = 100;

const toItem = ({ messages, tools = [] }: Example): BatchItem => ({
  input: {
    messages: messages.map(({ role, content, tool_calls: calls = [] }) => ({
      role,
      content,
      toolCalls: calls.map(({ function: call }, index) => ({
        id: String(index),
        name: call.name,
        arguments: JSON.stringify(call.arguments),
      })),
    })),
    tools: tools.map(({ function: { name, description, parameters } }) => ({
      name,
      description,
      parameters: parameters as never, // a JSON Schema: it was written as JSON
    })),
  },
  temperature: 0,
  maxOutputTokens: 120,
});

const replyOf = ({ text, toolCalls }: GenerationResult) => ({
  text,
  calls: toolCalls.map(({ name, arguments: json }) => ({
    name,
    arguments: JSON.parse(json) as Record<string, unknown>,
  })),
});
