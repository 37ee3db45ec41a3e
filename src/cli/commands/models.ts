import type { Model } from "../../client/node.ts";
import { formatBytes, formatCount, formatFlag } from "../format.ts";
import { json } from "../options.ts";
import { print, printJson, printPairs, printTable } from "../print.ts";
import { examples, type Program } from "../program.ts";
import { withClient } from "../with-client.ts";

/** `mlxd models`: lists the models, or shows one in full. */
export const addModels = (mlxd: Program): void => {
  mlxd
    .command("models")
    .description("Lists the service's models, or shows one in full.")
    .argument("[name]", "id, alias or repository path of a model")
    .option("--loaded", "only models in memory, most recently used first")
    .addOption(json)
    .addHelpText(
      "after",
      examples("mlxd models", "mlxd models demo", "mlxd models --loaded", "mlxd models --json | jq -r '.[].id'"),
    )
    .action(async (name, { loaded }, command) => {
      if (name !== undefined && loaded) command.error("mlxd: give either a name or --loaded, not both");
      const options = command.optsWithGlobals();
      await withClient(options, async (client, signal) => {
        if (name !== undefined) return show(await client.getModel(name, { signal }), printModel, options.json);
        if (loaded) return show(await client.listLoadedModels({ signal }), printLoaded, options.json);
        show(await client.listModels({ signal }), printModels, options.json);
      });
    });
};

const show = <T>(result: T, printResult: (result: T) => void, asJson = false): void =>
  asJson ? printJson(result) : printResult(result);

const printModels = (models: readonly Model[]): void => {
  if (models.length === 0) return print("There are no models.");
  printTable(
    ["ID", "STATE", "FAMILY", "CONTEXT", "SIZE", "PINNED", "DEFAULT"],
    models.map((model) => [
      model.id,
      model.state,
      model.family,
      formatCount(model.contextLength),
      formatBytes(sizeOf(model)),
      formatFlag(model.pinned),
      formatFlag(model.isDefault),
    ]),
  );
};

const printLoaded = (models: readonly Model[]): void => {
  if (models.length === 0) return print("No model is in memory.");
  printTable(
    ["ID", "STATE", "LAST USED", "USES", "LOADED", "SIZE", "PINNED"],
    models.map((model) => [
      model.id,
      model.state,
      model.lastUsedAt?.toISOString() ?? "",
      formatCount(model.useCount),
      model.loadedAt?.toISOString() ?? "",
      formatBytes(sizeOf(model)),
      formatFlag(model.pinned),
    ]),
  );
};

/** The memory that it takes, or would take. */
const sizeOf = ({ residentBytes, estimatedBytes }: Model): number => residentBytes || estimatedBytes;

/** Every field under its name in the API, so that nothing is missing compared with --json. */
const printModel = (model: Model): void =>
  printPairs(
    Object.entries(model).map(([name, value]): [string, string] => [
      name,
      typeof value === "number" && name.endsWith("Bytes") ? formatBytes(value) : shown(value),
    ]),
  );

const shown = (value: unknown): string => {
  if (typeof value === "string") return value;
  if (value instanceof Date) return value.toISOString();
  return JSON.stringify(value);
};
