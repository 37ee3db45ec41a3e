import { readFile } from "node:fs/promises";
import { Option } from "@commander-js/extra-typings";
import type { GenerationInput } from "../../client/node.ts";
import * as shared from "../options.ts";
import { printAnswer } from "../print-answer.ts";
import { printJson } from "../print.ts";
import { examples, type Program } from "../program.ts";
import { readText } from "../read-text.ts";
import { withClient } from "../with-client.ts";

/** `mlxd generate`: one answer. */
export const addGenerate = (mlxd: Program): void => {
  shared
    .addAnswering(mlxd, "generate")
    .description("Prints the answer to a prompt as it is generated. Ctrl-C also ends it on the server.")
    .addOption(shared.system)
    .argument("[prompt]", "the prompt; without it, or with -, it is read from standard input")
    .addOption(new Option("--raw", "continue the prompt as it is, without the chat template").conflicts("system"))
    .option("--ignore-eos", "continue after the model's end of sequence, e.g. for a benchmark")
    .addOption(new Option("--json-object", "the answer is a JSON object").conflicts("jsonSchema"))
    .option("--json-schema <file>", "the answer is JSON that matches the schema in this file")
    .addOption(shared.json)
    .addHelpText(
      "after",
      examples(
        'mlxd generate "What is 2+2?"',
        'echo "Count from 1 to 5" | mlxd generate --stop 4',
        'mlxd generate "What is 2+2?" --temperature 0 --json | jq .usage',
      ),
    )
    .action(async (argument, { system, raw = false, ignoreEos, jsonObject, jsonSchema }, command) => {
      const prompt =
        (await readText(argument)) ?? command.error("mlxd: give a prompt, or - to read it from standard input");
      const options = command.optsWithGlobals();
      const schema =
        jsonSchema === undefined
          ? undefined
          : await readFile(jsonSchema, "utf8").catch((cause: NodeJS.ErrnoException) =>
              command.error(`mlxd: cannot read ${jsonSchema}: ${cause.code ?? cause.message}`),
            );
      const constraint = schema === undefined ? (jsonObject ? { jsonObject } : undefined) : { jsonSchema: schema };
      const parameters = { ...shared.generationParameters(options), ignoreEos, constraint };
      await withClient(options, async (client, signal) => {
        const stream = client.stream(inputOf(prompt, system, raw), { ...parameters, signal });
        if (options.json) return printJson(await stream.collect());
        await printAnswer(stream);
      });
    });
};

const inputOf = (prompt: string, system: string | undefined, raw: boolean): GenerationInput => {
  if (raw) return { prompt };
  const user = { role: "user", content: prompt } as const;
  return { messages: system === undefined ? [user] : [{ role: "system", content: system }, user] };
};
