import { json } from "../options.ts";
import { followPreparation } from "../preparation.ts";
import { examples, type Program } from "../program.ts";
import { withClient } from "../with-client.ts";

/** `mlxd pull`: a model from the hub, ready to answer. */
export const addPull = (mlxd: Program): void => {
  mlxd
    .command("pull")
    .description(
      "Downloads a model where the service does not have it, loads it and tries it. Goes on where it was cut.",
    )
    .argument("<repository>", "organisation/name at the hub")
    .option("--revision <name>", "branch, tag or commit; else the model as it is here, or the branch main")
    .addOption(json)
    .addHelpText(
      "after",
      examples(
        "mlxd pull mlx-community/Qwen3-0.6B-4bit",
        "mlxd pull mlx-community/Qwen3-0.6B-4bit --revision main --json",
      ),
    )
    .action(async (repository, { revision }, command) => {
      if (!repository.includes("/")) {
        command.error(
          `mlxd: "${repository}" is no repository such as organisation/name; "mlxd prepare" takes a model's name`,
        );
      }
      const options = command.optsWithGlobals();
      await withClient(options, (client, signal) =>
        followPreparation(client.prepareModel(repository, { revision, signal }), options.json),
      );
    });
};
