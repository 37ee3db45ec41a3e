import { examples, type Program } from "../program.ts";
import { unwatchOutput } from "../watch-output.ts";

/** `mlxd serve`: runs the service in this process. */
export const addServe = (mlxd: Program): void => {
  mlxd
    .command("serve")
    .description("Starts the service. Every setting of docs/configuration.md is an option, e.g. --port for MLXD_PORT.")
    .usage("[--config <file>] [--<setting> <value>...]")
    .argument("[settings...]", "--config <file> and settings as options")
    .allowUnknownOption()
    .addHelpText(
      "after",
      examples(
        "mlxd serve",
        "mlxd serve --port 50052 --models ~/models --preload none",
        "mlxd serve --config mlxd.yaml",
        "MLXD_PORT=50052 mlxd serve",
      ),
    )
    .action(async (settings) => {
      // The service parses its own command line, which has to begin after the subcommand's name.
      process.argv.splice(2, process.argv.length, ...settings);
      unwatchOutput(); // a service outlives the readers of its log
      await import("../../service/main.ts");
    });
};
