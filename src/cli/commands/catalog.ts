import { Option } from "@commander-js/extra-typings";
import type { EntryChange, NodeClient, Model } from "../../client/node.ts";
import { CalledWrongly } from "../failures.ts";
import { json } from "../options.ts";
import { entryFrom } from "../parse-entry.ts";
import { print, printJson, printTable } from "../print.ts";
import { examples, type Program } from "../program.ts";
import { withClient } from "../with-client.ts";

/** `mlxd catalog`: lists, adds, changes and removes models of other servers, and these servers. */
export const addCatalog = (mlxd: Program): void => {
  const catalog = mlxd
    .command("catalog")
    .description("Lists, adds, changes and removes models of other servers, and these servers (backends).");

  catalog
    .command("list")
    .description("Lists the models with their engine and state.")
    .addOption(json)
    .action(async (_, command) => {
      const options = command.optsWithGlobals();
      await withClient(options, async (client, signal) => {
        const models = await client.listModels({ signal });
        if (options.json === true) printJson(models);
        else printModels(models);
      });
    });

  for (const [name, how, description] of [
    ["add", "create", "Adds a backend or a model, until the service ends or for good."],
    ["change", "update", "Replaces the whole entry of a backend or a model."],
  ] as const) {
    catalog
      .command(name)
      .description(description)
      .argument("<kind>", "backend or model")
      .argument("<name>", "its name")
      .argument("<key=value...>", "its keys, as in mlxd.yaml")
      .addOption(writeBack())
      .addOption(json)
      .addHelpText(
        "after",
        examples(
          `mlxd catalog ${name} backend attic engine=ollama base_url=http://attic.local:11434/v1`,
          `mlxd catalog ${name} model qwen-attic backend=attic model=qwen3:8b context_length=8192 --write-back`,
        ),
      )
      .action(async (kind, entry, pairs, { writeBack: writesBack = false }, command) => {
        const declared = { [kindOf(kind)]: entryFrom(pairs) };
        await change(command.optsWithGlobals(), (client, signal) =>
          client.catalog[how](entry, declared as never, { writeBack: writesBack, signal }),
        );
      });
  }

  catalog
    .command("remove")
    .description("Removes a backend or a model. Running tasks of the model finish.")
    .argument("<kind>", "backend or model")
    .argument("<name>", "its name")
    .addOption(writeBack())
    .addOption(json)
    .addHelpText(
      "after",
      examples("mlxd catalog remove model qwen-attic", "mlxd catalog remove backend attic --write-back"),
    )
    .action(async (kind, name, { writeBack: writesBack = false }, command) => {
      const entry = kindOf(kind) === "backend" ? { backend: name } : { model: name };
      await change(command.optsWithGlobals(), (client, signal) =>
        client.catalog.delete(entry, { writeBack: writesBack, signal }),
      );
    });
};

const writeBack = () => new Option("--write-back", "change mlxd.yaml as well");

const kindOf = (text: string): "backend" | "model" => {
  if (text === "backend" || text === "model") return text;
  throw new CalledWrongly(`"${text}" is neither backend nor model`);
};

const change = async (
  options: Parameters<typeof withClient>[0] & { readonly json?: true | undefined },
  ask: (client: NodeClient, signal: AbortSignal) => Promise<EntryChange>,
): Promise<void> => {
  await withClient(options, async (client, signal) => {
    const changed = await ask(client, signal);
    if (options.json === true) return printJson(changed);
    const lines = (["added", "removed", "changed"] as const).flatMap((how) =>
      changed[how].map((id) => `${id} is ${how}`),
    );
    print(lines.length === 0 ? "done; no model is concerned" : lines.join("\n"));
  });
};

const printModels = (models: readonly Model[]): void => {
  if (models.length === 0) return print("There are no models.");
  printTable(
    ["ID", "ENGINE", "STATE", "CONTEXT"],
    models.map(({ id, engine, state, contextLength }) => [id, engine, state, String(contextLength)]),
  );
};
