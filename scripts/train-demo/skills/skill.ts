import type { Expectation, Language, Message, Tool } from "../example.ts";
import { hashText, type Random } from "../random.ts";

export type Split = "train" | "heldOut";

/** What an exchange has to fit into: the conversation that it is a part of. */
export interface Setting {
  split: Split;
  /** The language that the system prompt asks for; without it the question's own. */
  answerIn?: Language;
  /** The tools of the conversation. */
  tools?: readonly Tool[];
  /** The tool among them that evaluates an arithmetic expression. */
  calculator?: Calculator;
  /** The part of the calculations that ask for only the number. @default 0.08 */
  numberOnly?: number;
  /** The name that the user gave earlier. */
  userName?: string;
}

export interface Calculator {
  name: string;
  parameter: string;
}

/** Turns that begin with the user's and end with the assistant's. */
export interface Exchange {
  messages: Message[];
  expect: Expectation;
  /** The name that the user gave in this exchange. */
  userName?: string;
}

export interface Skill {
  id: string;
  title: string;
  /** The share of held-out questions that must be answered right. */
  bound: number;
  draw(random: Random, setting: Setting): Exchange;
}

/** Held out: one key in ten, the same ones in every run. */
function isHeldOut(key: string): boolean {
  return hashText(key) % 10 === 0;
}

/** Draws until the item is on the asked side of the split. */
export function drawFor<Item>(split: Split, draw: () => Item, key: (item: Item) => string): Item {
  for (let attempt = 0; attempt < 10_000; attempt++) {
    const item = draw();
    if (isHeldOut(key(item)) === (split === "heldOut")) return item;
  }
  throw new Error(`no ${split} item in 10000 draws`);
}
