import { json } from "../options.ts";
import { followPreparation } from "../preparation.ts";
import { examples, type Program } from "../program.ts";
import { withClient } from "../with-client.ts";

/** `mlxd prepare`: makes a model ready to answer and asks it a question. */
export const addPrepare = (mlxd: Program): void => {
  mlxd
    .command("prepare")
    .description(
      "Loads a model and asks it a question, to check that it really answers. A repository is downloaded first.",
    )
    .argument("[name]", "id, alias or repository path of the model; default: the default model")
    .option("--retest", "ask again even if this revision was tested before")
    .addOption(json)
    .addHelpText("after", examples("mlxd prepare demo", "mlxd prepare demo --retest --json | jq .smokeTest"))
    .action(async (name, { retest }, command) => {
      const options = command.optsWithGlobals();
      await withClient(options, (client, signal) =>
        followPreparation(client.prepareModel(name, { retest, signal }), options.json),
      );
    });
};
