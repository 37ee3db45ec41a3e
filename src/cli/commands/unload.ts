import type { UnloadedModel, UnloadedModels } from "../../client/node.ts";
import { formatBytes } from "../format.ts";
import { json } from "../options.ts";
import { print, printJson } from "../print.ts";
import { examples, type Program } from "../program.ts";
import { withElapsed } from "../status-line.ts";
import { withClient } from "../with-client.ts";

/** `mlxd unload`: unloads one model or all. */
export const addUnload = (mlxd: Program): void => {
  mlxd
    .command("unload")
    .description("Unloads a model when its generations have finished, and waits until its memory is free.")
    .argument("[name]", "id, alias or repository path of the model")
    .option("--all", "all loaded models except pinned ones")
    .option("--include-pinned", "with --all: pinned ones, too; they stay pinned, and are loaded with their next task")
    .option("--force", "end running generations immediately, and cancel a running load")
    .addOption(json)
    .addHelpText("after", examples("mlxd unload demo", "mlxd unload demo --force", "mlxd unload --all"))
    .action(async (name, { all = false, includePinned, force }, command) => {
      if ((name === undefined) !== all) command.error("mlxd: give either the name of a model or --all");
      if (includePinned && !all) command.error("mlxd: --include-pinned is for --all");
      const options = command.optsWithGlobals();
      await withClient(options, async (client, signal) => {
        const call = { force, signal };
        if (name === undefined) {
          const unloaded = await withElapsed(
            "unloading all models",
            client.unloadAllModels({ ...call, includePinned }),
          );
          if (options.json) printJson(unloaded);
          else printAll(unloaded);
        } else {
          const unloaded = await withElapsed(`unloading ${name}`, client.unloadModel(name, call));
          if (options.json) printJson(unloaded);
          else printOne(unloaded);
        }
      });
    });
};

const printOne = ({ model, unloaded, freedBytes }: UnloadedModel): void =>
  print(unloaded ? `${model.id} is unloaded; it had ${formatBytes(freedBytes)}` : `${model.id} was not loaded`);

const printAll = ({ unloaded, kept, freedBytes }: UnloadedModels): void => {
  if (unloaded.length > 0) print(`unloaded: ${unloaded.join(", ")}; they had ${formatBytes(freedBytes)}`);
  else print("nothing was unloaded");
  for (const { model, reason } of kept) print(`${model} stays: ${reason}`);
};
