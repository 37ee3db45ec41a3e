import type { CompatibilityProfile } from "../../client/node.ts";
import { formatCount, formatFlag } from "../format.ts";
import { json } from "../options.ts";
import { print, printJson, printTable } from "../print.ts";
import { examples, type Program } from "../program.ts";
import { withClient } from "../with-client.ts";

/** `mlxd compatibility`: the defaults of each model and the result of its smoke test. */
export const addCompatibility = (mlxd: Program): void => {
  mlxd
    .command("compatibility")
    .description("Lists each model's default settings and the result of its smoke test.")
    .addOption(json)
    .addHelpText(
      "after",
      examples("mlxd compatibility", "mlxd compatibility --json | jq '.[] | select(.qualityStatus == \"failed\")'"),
    )
    .action(async (_, command) => {
      const options = command.optsWithGlobals();
      await withClient(options, async (client, signal) => {
        const profiles = await client.listCompatibilityProfiles({ signal });
        if (options.json) printJson(profiles);
        else printProfiles(profiles);
      });
    });
};

const printProfiles = (profiles: readonly CompatibilityProfile[]): void => {
  if (profiles.length === 0) return print("There are no models.");
  printTable(
    ["KEY", "FAMILY", "TEMPLATE", "TEMPERATURE", "TOP P", "TOKENS", "LOADED", "QUALITY", "TRIED", "FOUND"],
    profiles.map((profile) => [
      profile.key,
      profile.family,
      profile.template,
      String(profile.temperature),
      String(profile.topP),
      formatCount(profile.maxOutputTokens),
      formatFlag(profile.loaded),
      profile.qualityStatus,
      profile.validatedAt?.toISOString() ?? "never",
      profile.lastTestError,
    ]),
  );
};
