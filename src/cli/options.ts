/** Options that several subcommands share. */
import { type Command, Option, type OptionValues } from "@commander-js/extra-typings";
import type { GenerationParameters } from "../client/node.ts";
import { number, repeated, wholeNumber } from "./parse-values.ts";

export const json = new Option("--json", "print the whole result as JSON");

export const jsonLines = new Option("--json", "print each whole result as a line of JSON");

export const model = new Option(
  "--model <name>",
  "id, alias or repository path of the model; default: the default model",
);

const adapter = new Option("--adapter <id>", "apply one of the model's LoRA adapters");

export const system = new Option("--system <text>", "the system text");

const temperature = new Option("--temperature <number>", "0 (greedy) to 2").argParser(number);

const topP = new Option("--top-p <number>", "sample from the likeliest tokens up to this total probability").argParser(
  number,
);

const topK = new Option("--top-k <count>", "sample from this many of the likeliest tokens").argParser(wholeNumber);

const maxOutputTokens = new Option("--max-output-tokens <count>", "the most tokens in the answer").argParser(
  wholeNumber,
);

const seed = new Option("--seed <number>", "the same seed gives the same answer").argParser(wholeNumber);

const stop = new Option("--stop <text>", "end the answer before this text; may be repeated").argParser(repeated);

/** Adds a subcommand of this one that has answers generated, with the options that determine them. */
export const addAnswering = <Own extends OptionValues, Global extends OptionValues>(
  parent: Command<[], Own, Global>,
  name: string,
) =>
  parent
    .command(name)
    .addOption(model)
    .addOption(adapter)
    .addOption(temperature)
    .addOption(topP)
    .addOption(topK)
    .addOption(maxOutputTokens)
    .addOption(seed)
    .addOption(stop);

/** The parsed values of these options. An absent value means the model's default. */
export interface SamplingOptions {
  readonly model?: string | undefined;
  readonly adapter?: string | undefined;
  readonly temperature?: number | undefined;
  readonly topP?: number | undefined;
  readonly topK?: number | undefined;
  readonly maxOutputTokens?: number | undefined;
  readonly seed?: number | undefined;
  readonly stop?: readonly string[] | undefined;
}

/** The client's options for these. */
export const generationParameters = (options: SamplingOptions): GenerationParameters => ({
  model: options.model,
  adapter: options.adapter,
  temperature: options.temperature,
  topP: options.topP,
  topK: options.topK,
  maxOutputTokens: options.maxOutputTokens,
  seed: options.seed,
  stopSequences: options.stop,
});
