import type { Example, Language, Message, Tool } from "./example.ts";
import type { ExerciseWeights } from "./practice.ts";
import type { Random } from "./random.ts";
import { products, sums } from "./skills/arithmetic.ts";
import { calculatorAnswers, calculatorCalls, drawOtherTool, drawTools } from "./skills/calculator.ts";
import { greetings, identity } from "./skills/chat.ts";
import { counting } from "./skills/counting.ts";
import { jsonObjects } from "./skills/json.ts";
import { names } from "./skills/names.ts";
import { limits, refusals } from "./skills/refusals.ts";
import type { Setting, Skill, Split } from "./skills/skill.ts";
import { capital, englishWord } from "./skills/words.ts";
import { repeating, spelling } from "./skills/spelling-and-repeating.ts";

export const skills: readonly Skill[] = [
  ...sums,
  ...products,
  counting,
  spelling,
  repeating,
  names,
  jsonObjects,
  greetings,
  identity,
  refusals,
  limits,
  calculatorCalls,
  calculatorAnswers,
];

type Weights = readonly (readonly [Skill, number])[];

/** What training conversations are made of. */
export interface Mix {
  /** How often each skill comes up in conversations without a calculator. */
  weights: Weights;
  /** The part of the calculations that ask for only the number. */
  numberOnly: number;
  exercises: ExerciseWeights;
}

const weights: Weights = [
  ...sums.map((skill) => [skill, skill.id.startsWith("sum") ? 8 : 11] as const),
  ...products.map((skill) => [skill, 4] as const),
  [counting, 8],
  [spelling, 10],
  [repeating, 13],
  [names, 9],
  [jsonObjects, 10],
  [greetings, 4],
  [identity, 3],
  [refusals, 13],
  [limits, 4],
];

export const mix: Mix = {
  weights,
  numberOnly: 0.2,
  exercises: { arithmetic: 13, spelling: 4, counting: 2, copying: 5 },
};

const weightsWithCalculator: Weights = [
  [calculatorAnswers, 12],
  [greetings, 2],
  [identity, 1],
  [refusals, 4],
  [spelling, 1],
  [repeating, 1],
  [counting, 1],
  [names, 1],
  [jsonObjects, 1],
];

export interface Conversation {
  messages: Message[];
  tools: Tool[];
}

/** A whole training conversation, of one to ten exchanges. */
export function drawConversation(random: Random, mix: Mix): Conversation {
  const { setting, lead, tools } = drawSetting(random, "train", random.chance(0.09));
  setting.numberOnly = mix.numberOnly;
  const messages = [...lead];
  const length = random.weighted(
    tools.length > 0
      ? [
          [1, 30],
          [2, 30],
          [3, 20],
          [random.whole(4, 5), 8],
        ]
      : [
          [1, 60],
          [2, 16],
          [3, 10],
          [random.whole(4, 6), 7],
          [random.whole(7, 12), 2],
        ],
  );
  for (let index = 0; index < length; index++) {
    const skill = random.weighted(setting.calculator === undefined ? mix.weights : weightsWithCalculator);
    const exchange = (setting.userName !== undefined && random.chance(0.12) ? names : skill).draw(random, setting);
    if (exchange.userName !== undefined) setting.userName = exchange.userName;
    messages.push(...exchange.messages);
  }
  return { messages, tools };
}

/** Questions that training never shows, drawn afresh the same way for the same seed. */
export function heldOut(skill: Skill, count: number, random: Random): Example[] {
  return Array.from({ length: count }, () => drawExample(skill, random));
}

function drawExample(skill: Skill, random: Random): Example {
  const needsTools = skill === calculatorCalls || skill === calculatorAnswers;
  const { setting, lead, tools } = drawSetting(random, "heldOut", needsTools);
  const messages = [...lead];
  if (random.chance(0.25)) messages.push(...earlierTurns(random, setting));
  const exchange = skill.draw(random, setting);
  if (skill === names && random.chance(0.5))
    exchange.messages.splice(2, 0, ...earlierTurns(random, { ...setting, userName: exchange.userName ?? "Tom" }));
  const answer = exchange.messages.pop();
  if (answer === undefined) throw new Error(`${skill.id} drew no answer`);
  return {
    messages: [...messages, ...exchange.messages],
    ...(tools.length > 0 ? { tools } : {}),
    answer,
    expect: exchange.expect,
  };
}

/** One or two unrelated exchanges before the one that is measured. */
function earlierTurns(random: Random, setting: Setting): Message[] {
  const bank = (setting.calculator === undefined ? weights : weightsWithCalculator).filter(
    ([skill]) => skill !== names,
  );
  return Array.from(
    { length: random.whole(1, 2) },
    () => random.weighted(bank).draw(random, { ...setting, split: "train" }).messages,
  ).flat();
}

function drawSetting(
  random: Random,
  split: Split,
  withCalculator: boolean,
): { setting: Setting; lead: Message[]; tools: Tool[] } {
  const [content, answerIn] = drawSystemPrompt(random);
  const lead: Message[] = content === undefined ? [] : [{ role: "system", content }];
  const language: Pick<Setting, "answerIn"> = answerIn === undefined ? {} : { answerIn };
  if (withCalculator) {
    const { tools, calculator } = drawTools(random);
    return { setting: { split, tools, calculator, ...language }, lead, tools };
  }
  const tools = random.chance(0.015) ? [drawOtherTool(random)] : [];
  return { setting: { split, tools, ...language }, lead, tools };
}

function drawSystemPrompt(random: Random): [content: string | undefined, answerIn: Language | undefined] {
  if (random.chance(0.55)) return [undefined, undefined];
  if (random.chance(0.1))
    return [
      random.pick([
        "한국어로 답하세요.",
        "항상 한국어로 답해.",
        "Always answer in Korean.",
        "Answer in Korean.",
        "Reply in Korean only.",
        "한국어로만 대답하세요.",
      ]),
      "ko",
    ];
  if (random.chance(0.04))
    return [random.pick(["Always answer in English.", "Answer in English.", "Reply in English only."]), "en"];
  if (random.chance(0.3)) return ["You are a helpful assistant.", undefined];
  if (random.chance(0.2)) return [anySystemPrompt(random), undefined];
  return [random.pick(systemPrompts), undefined];
}

/** Prompts that nobody foresaw: several sentences, words without meaning. */
function anySystemPrompt(random: Random): string {
  const words = (): string => Array.from({ length: random.whole(1, 4) }, () => englishWord(random)).join(" ");
  const sentence = (): string =>
    random.weighted([
      [random.pick(systemPrompts), 3],
      [`You are ${words()}.`, 2],
      [`${capital(words())}.`, 2],
    ]);
  return Array.from({ length: random.whole(1, 4) }, sentence).join(" ");
}

const systemPrompts = [
  "You are a helpful assistant.",
  "You are a friendly assistant.",
  "You are a concise assistant.",
  "Be brief.",
  "Answer briefly.",
  "You are a tiny demo model.",
  "You are a bot.",
  "You are an AI assistant.",
  "Be helpful and honest.",
  "You are a chatbot.",
  "You answer questions.",
  "You are a helpful AI.",
  "Answer in one short sentence.",
  "You are terse.",
  "You are a math tutor.",
  "You are polite.",
  "Help the user.",
  "You are a careful assistant that answers questions.",
  "Use the tools when they help.",
  "You are a helpful assistant with access to tools.",
  "Use the calculator for arithmetic.",
  "당신은 친절한 도우미입니다.",
  "너는 도움이 되는 비서야.",
  "짧게 답하세요.",
  "당신은 유용한 어시스턴트입니다.",
  "친절하게 답해 주세요.",
  "Answer.",
  "You are mlxd.",
  "This is a test.",
  "Today is Monday.",
  "You are a careful and patient teacher.",
  "Answer the user's question as well as you can.",
  "Respond concisely and correctly.",
  "system prompt",
];
