import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Tokenizer } from "@huggingface/tokenizers";

import { writeAccuracy, writeTrainingFacts } from "./card.ts";
import { drawConversation, mix } from "./curriculum.ts";
import { decode } from "./decode.ts";
import { evaluate, type Measurement, type Score } from "./evaluate.ts";
import { user } from "./example.ts";
import { exportModel, rounded } from "./export.ts";
import { loadModel } from "./load.ts";
import { createParameters, type Parameters } from "./model.ts";
import { Random } from "./random.ts";
import { renderPrompt, renderSegments } from "./render.ts";
import { card, course, look, seed, shape } from "./settings.ts";
import { loadTokenizer, trainTokenizer, type TokenizerFiles } from "./tokenizer.ts";
import { train } from "./train.ts";

export interface RunOptions {
  folder: string;
  /** Steps between two looks at held-out questions, each of which writes the model as it is then. @default 2150 */
  every?: number;
}

/** The whole program: tokenizer, training with looks at held-out questions, the measurement and the card. */
export async function trainDemo({ folder, every = 2150 }: RunOptions): Promise<void> {
  const { parameters, files } = createUntrained();
  const tokenizer = loadTokenizer(files);
  let seen = 0;
  const trained = await train(shape, parameters, tokenizer, course, 100, async ({ step, loss, tokens }, now) => {
    seen = tokens;
    log(`step ${step}, loss ${loss.toFixed(4)}, ${(tokens / 1e6).toFixed(2)} million tokens`);
    if (step % every !== 0 || step === course.steps) return;
    exportModel(folder, shape, now, files);
    await measure(rounded(now), tokenizer, look);
  });
  exportModel(folder, shape, trained, files);
  await measureDemo(folder);
  writeTrainingFacts(folder, { steps: course.steps, seed, tokens: seen, minutes: elapsedSeconds() / 60 });
}

/** Measures the model that is in the folder and writes its accuracy into the card. */
export async function measureDemo(folder: string): Promise<void> {
  const { parameters, files } = loadModel(folder, shape);
  writeAccuracy(folder, await measure(parameters, loadTokenizer(files), card));
}

function createUntrained(): { parameters: Parameters; files: TokenizerFiles } {
  const template = readFileSync(join(import.meta.dirname, "chat-template.jinja"), "utf8");
  const files = trainTokenizer(sampleTexts(seed + 1, 12_000), shape.vocabulary, template, shape.context);
  log(`a tokenizer of ${shape.vocabulary} tokens`);
  return { parameters: createParameters(shape, seed), files };
}

async function measure(parameters: Parameters, tokenizer: Tokenizer, measurement: Measurement): Promise<Score[]> {
  const measured = await evaluate(shape, parameters, tokenizer, measurement);
  for (const { id, right, asked, wrong } of measured) {
    log(`${id.padEnd(14)} ${((100 * right) / asked).toFixed(1).padStart(5)} %`);
    for (const one of wrong.slice(0, 2)) log(`    ${JSON.stringify(one)}`);
  }
  const prompts = commonQuestions.map((text) => renderPrompt([user(text)]));
  for (const [index, reply] of (await decode(shape, parameters, tokenizer, prompts)).entries()) {
    log(`${commonQuestions[index]} -> ${reply}`);
  }
  return measured;
}

const commonQuestions = `한국어로 한 문장만 답해. 2+2는?
What is 2+2?
2+2
2+2=?
What is 23 + 45?
12 더하기 30은 얼마야?
7 곱하기 8은?
Hello
안녕하세요
Who are you?
Count from 1 to 5
Spell the word cat
Repeat the word banana
Give me a JSON object with name "Tom" and age 7
What is the capital of France?`.split("\n");

function* sampleTexts(sampleSeed: number, count: number): Generator<string> {
  const random = new Random(sampleSeed);
  for (let index = 0; index < count; index++) {
    const { messages, tools } = drawConversation(random, mix);
    const segments = renderSegments(messages, tools);
    yield segments.map(({ text }) => text).join("");
  }
}

function log(text: string): void {
  process.stdout.write(`${elapsedSeconds().toFixed(0).padStart(5)} s  ${text}\n`);
}

/** Since the process was started. */
function elapsedSeconds(): number {
  return performance.now() / 1000;
}
