import { examples, type Program } from "../program.ts";

/** `mlxd serve`: the service itself, in this process. */
export const addServe = (mlxd: Program): void => {
  mlxd
    .command("serve")
    .description("Starts the service. Its settings are environment variables, see docs/configuration.md.")
    .addHelpText(
      "after",
      examples("mlxd serve", "MLXD_PORT=50052 mlxd serve", "MLXD_MODELS=~/models MLXD_PRELOAD=none mlxd serve"),
    )
    .action(async () => {
      await import("../../service/main.ts");
    });
};
