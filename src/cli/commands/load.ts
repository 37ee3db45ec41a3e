import type { MemoryFit } from "../../client/node.ts";
import { CommandFailed } from "../failures.ts";
import { formatBytes } from "../format.ts";
import { json } from "../options.ts";
import { print, printJson } from "../print.ts";
import { examples, type Program } from "../program.ts";
import { withElapsed } from "../status-line.ts";
import { withClient } from "../with-client.ts";

/** `mlxd load`: a model into memory, ahead of its first task. */
export const addLoad = (mlxd: Program): void => {
  mlxd
    .command("load")
    .description(
      "Loads a model and waits until it answers. A task loads its model by itself; this does so ahead of it.",
    )
    .argument("[name]", "id, alias or repository path of the model; else the default model")
    .option("--check", "only tell whether it would fit: exits with 1 where it does not")
    .addOption(json)
    .addHelpText("after", examples("mlxd load demo", "mlxd load demo --check"))
    .action(async (name, { check }, command) => {
      const options = command.optsWithGlobals();
      await withClient(options, async (client, signal) => {
        if (check) {
          const fit = await client.checkModelFit(name, { signal });
          if (options.json) printJson(fit);
          else printFit(fit);
          if (!fit.fits) throw new CommandFailed('it does not fit now; "mlxd unload" makes room');
          return;
        }
        const loading = client.loadModel(name, { signal });
        const model = await withElapsed(`loading ${name ?? "the default model"}`, loading);
        if (options.json) printJson(model);
        else print(`${model.id} is loaded and has ${formatBytes(model.residentBytes)}`);
      });
    });
};

const printFit = (fit: MemoryFit): void => {
  print(
    `needs ${formatBytes(fit.neededBytes)}, ${formatBytes(fit.availableBytes)} of ${formatBytes(fit.budgetBytes)} are free`,
  );
  print(`${fit.loadedModels} of at most ${fit.maxLoadedModels} other models are loaded`);
  if (fit.evicts.length > 0) print(`idle models that would make way: ${fit.evicts.join(", ")}`);
  if (fit.waitsFor.length > 0) print(`models in use that it would wait for: ${fit.waitsFor.join(", ")}`);
  if (fit.fits) print("it fits");
};
