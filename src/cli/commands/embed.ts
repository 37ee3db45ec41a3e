import { json, model } from "../options.ts";
import { print, printJson } from "../print.ts";
import { examples, type Program } from "../program.ts";
import { readText } from "../read-text.ts";
import { withClient } from "../with-client.ts";

/** `mlxd embed`: the vector of a text. */
export const addEmbed = (mlxd: Program): void => {
  mlxd
    .command("embed")
    .description("Prints the vector of a text as a JSON array.")
    .argument("[text]", "the text; without it, or with -, it is read from standard input")
    .option("--truncate", "truncate a text that does not fit the context")
    .addOption(model)
    .addOption(json)
    .addHelpText("after", examples('mlxd embed "What is 2+2?"', "mlxd embed --truncate < README.md"))
    .action(async (argument, { truncate }, command) => {
      const text =
        (await readText(argument)) ?? command.error("mlxd: give a text, or - to read it from standard input");
      const options = command.optsWithGlobals();
      await withClient(options, async (client, signal) => {
        const result = await client.embed(text, { model: options.model, truncate, signal });
        if (options.json) return printJson(result);
        for (const { values } of result.embeddings) print(JSON.stringify(values));
      });
    });
};
