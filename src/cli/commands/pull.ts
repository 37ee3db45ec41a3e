import { json } from "../options.ts";
import { followPreparation } from "../preparation.ts";
import { examples, type Program } from "../program.ts";
import { withClient } from "../with-client.ts";

/** `mlxd pull`: downloads a model from the hub and makes it ready to answer. */
export const addPull = (mlxd: Program): void => {
  mlxd
    .command("pull")
    .description(
      "Downloads a model if the service does not have it, loads it and tests it. An interrupted download is resumed.",
    )
    .argument("<repository>", "organisation/name at the hub")
    .option("--revision <name>", "branch, tag or commit; default: the local files if any, otherwise the branch main")
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
          `mlxd: "${repository}" is not a repository such as organisation/name; use "mlxd prepare" for a model's name`,
        );
      }
      const options = command.optsWithGlobals();
      await withClient(options, (client, signal) =>
        followPreparation(client.prepareModel(repository, { revision, signal }), options.json),
      );
    });
};
