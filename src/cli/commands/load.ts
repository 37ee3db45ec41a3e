import type { LoadedModel, MemoryFit, MlxdClient } from "../../client/node.ts";
import { CommandFailed } from "../failures.ts";
import { formatBytes } from "../format.ts";
import { json } from "../options.ts";
import { note, print, printJson } from "../print.ts";
import { examples, type Program } from "../program.ts";
import { withElapsed } from "../status-line.ts";
import { withClient } from "../with-client.ts";

/** `mlxd load`: loads a model ahead of its first task. */
export const addLoad = (mlxd: Program): void => {
  mlxd
    .command("load")
    .description(
      "Loads a model and waits until it is ready. A task would load its model by itself; this does it ahead of time.",
    )
    .argument("[names...]", "ids, aliases or repository paths of the models; default: the default model")
    .option("--check", "only check whether it would fit; exit with 1 if it does not")
    .addOption(json)
    .addHelpText("after", examples("mlxd load demo", "mlxd load demo --check", "mlxd load chat embedder"))
    .action(async (names, { check }, command) => {
      const options = command.optsWithGlobals();
      const [name] = names;
      if (check && names.length > 1) command.error("mlxd: --check takes one model");
      await withClient(options, async (client, signal) => {
        if (names.length > 1) return loadSeveral(client, names, signal, options.json);
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
        noteQuality(model.report);
      });
    });
};

/** Prints a line for each model; fails at the end if one was not loaded. */
const loadSeveral = async (
  client: MlxdClient,
  names: readonly string[],
  signal: AbortSignal,
  asJson = false,
): Promise<void> => {
  const failed: string[] = [];
  const stream = client.preloadModels(names, { signal });
  for await (const { model: name, report } of stream) {
    const { model, current, error, message } = report;
    if (current === "") failed.push(name);
    if (asJson) continue;
    if (current === "") note(`${name} is not loaded: ${error?.message ?? message}`);
    else print(`${current} is loaded and has ${formatBytes(model?.residentBytes ?? 0)}`);
    noteQuality(current === "" ? undefined : report);
  }
  if (asJson) printJson(await stream.collect());
  if (failed.length > 0) throw new CommandFailed(`${failed.length} of ${names.length} models are not loaded`);
};

/** A loaded model may still give useless answers. */
const noteQuality = (report: LoadedModel["report"]): void => {
  if (report !== undefined && report.stage !== "ready") note(report.message);
};

const printFit = (fit: MemoryFit): void => {
  print(
    `needs ${formatBytes(fit.neededBytes)}, ${formatBytes(fit.availableBytes)} of ${formatBytes(fit.budgetBytes)} are free`,
  );
  print(`${fit.loadedModels} of at most ${fit.maxLoadedModels} other models are loaded`);
  if (fit.evicts.length > 0) print(`idle models that would be evicted: ${fit.evicts.join(", ")}`);
  if (fit.waitsFor.length > 0) print(`busy models that it would wait for: ${fit.waitsFor.join(", ")}`);
  if (fit.fits) print("it fits");
};
