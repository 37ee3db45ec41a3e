import { formatCount } from "../format.ts";
import { json, model } from "../options.ts";
import { print, printJson } from "../print.ts";
import { examples, type Program } from "../program.ts";
import { readText } from "../read-text.ts";
import { withClient } from "../with-client.ts";

/** `mlxd tokens`: the tokens of a text. */
export const addTokens = (mlxd: Program): void => {
  mlxd
    .command("tokens")
    .description("Shows the tokens of a text, one id and piece per line, and their number.")
    .argument("[text]", "the text; without it, or with -, it is read from standard input")
    .option("--count", "print only the number of tokens")
    .addOption(model)
    .addOption(json)
    .addHelpText(
      "after",
      examples('mlxd tokens "What is 2+2?"', "mlxd tokens --count < README.md", 'mlxd tokens "2+2" --json'),
    )
    .action(async (argument, { count }, command) => {
      const text =
        (await readText(argument)) ?? command.error("mlxd: give a text, or - to read it from standard input");
      const options = command.optsWithGlobals();
      await withClient(options, async (client, signal) => {
        const tokens = await client.tokenize(text, { model: options.model, pieces: !count, signal });
        if (count) return options.json ? printJson({ count: tokens.ids.length }) : print(String(tokens.ids.length));
        if (options.json) return printJson(tokens);
        const width = Math.max(0, ...tokens.ids.map((id) => String(id).length));
        tokens.ids.forEach((id, index) =>
          print(`${String(id).padStart(width)}  ${JSON.stringify(tokens.pieces[index] ?? "")}`),
        );
        print(`${formatCount(tokens.ids.length)} tokens`);
      });
    });
};
