import { json } from "../options.ts";
import { print, printJson } from "../print.ts";
import { examples, type Program } from "../program.ts";
import { withClient } from "../with-client.ts";

/** `mlxd reload`: reads the configuration file and the model folder again. */
export const addReload = (mlxd: Program): void => {
  mlxd
    .command("reload")
    .description("Makes the service read its configuration file and model folder again.")
    .addOption(json)
    .addHelpText("after", examples("mlxd reload", "mlxd reload --json | jq .added"))
    .action(async (_, command) => {
      const options = command.optsWithGlobals();
      await withClient(options, async (client, signal) => {
        const change = await client.reloadCatalog({ signal });
        if (options.json) return printJson(change);
        const kinds = ["added", "removed", "changed"] as const;
        for (const kind of kinds) if (change[kind].length > 0) print(`${kind}: ${change[kind].join(", ")}`);
        if (kinds.every((kind) => change[kind].length === 0)) print("nothing has changed");
      });
    });
};
