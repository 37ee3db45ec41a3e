import { json } from "../options.ts";
import { print, printJson } from "../print.ts";
import { examples, type Program } from "../program.ts";
import { withClient } from "../with-client.ts";

/** `mlxd pin`: keeps a model in memory, or stops doing so. */
export const addPin = (mlxd: Program): void => {
  mlxd
    .command("pin")
    .description("Keeps a model from being evicted; does not load it.")
    .argument("<name>", "id, alias or repository path of the model")
    .option("--off", "stop keeping it")
    .addOption(json)
    .addHelpText("after", examples("mlxd pin demo", "mlxd pin demo --off"))
    .action(async (name, { off = false }, command) => {
      const options = command.optsWithGlobals();
      await withClient(options, async (client, signal) => {
        const model = await client.pinModel(name, !off, { signal });
        if (options.json) printJson(model);
        else print(`${model.id} is ${model.pinned ? "pinned" : "not pinned"}`);
      });
    });
};
