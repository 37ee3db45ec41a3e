import { Option } from "@commander-js/extra-typings";
import type {
  CachedModel,
  CacheLimits,
  CacheStats,
  ClearedCache,
  ClearedPrefixCaches,
  ResizedCache,
} from "../../client/node.ts";
import { CalledWrongly } from "../failures.ts";
import { formatBytes, formatCount, formatFlag, formatPercent } from "../format.ts";
import { json } from "../options.ts";
import { number, wholeNumber } from "../parse-values.ts";
import { print, printJson, printPairs, printTable } from "../print.ts";
import { examples, type Program } from "../program.ts";
import { withElapsed } from "../status-line.ts";
import { withClient } from "../with-client.ts";

/** `mlxd cache`: what a service keeps in memory. */
export const addCache = (mlxd: Program): void => {
  const cache = mlxd
    .command("cache")
    .description("Models and prompts that the service keeps in memory: how they are used, how many there may be.")
    .addHelpText(
      "after",
      examples("mlxd cache stats", "mlxd cache list", "mlxd cache resize --models 10 --memory-gb 16"),
    );
  addStats(cache);
  addList(cache);
  addRemove(cache);
  addResize(cache);
  addClear(cache);
};

type Cache = ReturnType<typeof parentOf>;
const parentOf = (mlxd: Program) => mlxd.command("cache");

const addStats = (cache: Cache): void => {
  cache
    .command("stats")
    .description("Tells how often models and prompts were found in memory, and what they take.")
    .addOption(json)
    .addHelpText("after", examples("mlxd cache stats", "mlxd cache stats --json | jq .models.hitRate"))
    .action(async (_, command) => {
      const options = command.optsWithGlobals();
      await withClient(options, async (client, signal) => {
        const stats = await client.cache.stats({ signal });
        if (options.json) printJson(stats);
        else printStats(stats);
      });
    });
};

const addList = (cache: Cache): void => {
  cache
    .command("list")
    .description("Lists the models in memory, the one that was used last first.")
    .addOption(json)
    .addHelpText("after", examples("mlxd cache list", "mlxd cache list --json | jq -r '.[].key'"))
    .action(async (_, command) => {
      const options = command.optsWithGlobals();
      await withClient(options, async (client, signal) => {
        const models = await client.cache.list({ signal });
        if (options.json) printJson(models);
        else printModels(models);
      });
    });
};

const addRemove = (cache: Cache): void => {
  cache
    .command("remove")
    .description("Takes a model out of memory once its generations have finished, and waits until that is free.")
    .argument("<key>", "engine:id as `mlxd cache list` tells it, or another name of the model")
    .option("--force", "end running generations at once, and a load that is under way")
    .addOption(json)
    .addHelpText("after", examples("mlxd cache remove local_mlx:demo", "mlxd cache remove demo --force"))
    .action(async (key, { force }, command) => {
      const options = command.optsWithGlobals();
      await withClient(options, async (client, signal) => {
        const result = await withElapsed(`removing ${key}`, client.cache.remove(key, { force, signal }));
        if (options.json) return printJson(result);
        const { removed, freedBytes } = result;
        print(
          removed ? `${result.key} is removed; it had ${formatBytes(freedBytes)}` : `${result.key} was not in memory`,
        );
      });
    });
};

const addResize = (cache: Cache): void => {
  cache
    .command("resize")
    .description("Changes how many models may be in memory and how much they may take, until the service ends.")
    .addOption(new Option("--models <count>", "models that may be loaded at once, 1 to 20").argParser(wholeNumber))
    .addOption(new Option("--memory-gb <number>", "the memory budget in GiB, 1 to 100").argParser(number))
    .addOption(json)
    .addHelpText("after", examples("mlxd cache resize --models 10 --memory-gb 16", "mlxd cache resize --models 1"))
    .action(async ({ models: maxCacheSize, memoryGb: maxMemoryGb }, command) => {
      if (maxCacheSize === undefined && maxMemoryGb === undefined) {
        throw new CalledWrongly("mlxd cache resize takes --models or --memory-gb, or both");
      }
      const options = command.optsWithGlobals();
      await withClient(options, async (client, signal) => {
        const resizing = client.cache.resize({ maxCacheSize, maxMemoryGb }, { signal });
        const resized = await withElapsed("resizing", resizing);
        if (options.json) printJson(resized);
        else printResized(resized);
      });
    });
};

const addClear = (cache: Cache): void => {
  cache
    .command("clear")
    .description("Takes every model out of memory that no task uses; or drops what was computed of prompts.")
    .option("--include-pinned", "pinned models too")
    .option("--prefixes", "only what the models keep of prompts; the models stay")
    .option("--model <name>", "with --prefixes: only this model's")
    .option("--partition <name>", 'with --prefixes: only this partition\'s; "" for tasks that name none')
    .option("--tenant <name>", "with --prefixes: only this tenant's")
    .addOption(json)
    .addHelpText("after", examples("mlxd cache clear", "mlxd cache clear --prefixes --model demo --partition team-a"))
    .action(async ({ includePinned, prefixes, model, partition, tenant }, command) => {
      const options = command.optsWithGlobals();
      const isSelected = model !== undefined || partition !== undefined || tenant !== undefined;
      if (prefixes ? includePinned : isSelected) {
        throw new CalledWrongly(
          prefixes
            ? "--include-pinned is for models, and --prefixes clears none"
            : "--model, --partition and --tenant take --prefixes; `mlxd cache remove` removes one model",
        );
      }
      await withClient(options, async (client, signal) => {
        if (prefixes) {
          const cleared = await client.cache.clearPrefixes({ model, partition, tenant, signal });
          if (options.json) printJson(cleared);
          else printClearedPrefixes(cleared);
        } else {
          const cleared = await withElapsed("clearing", client.cache.clear({ includePinned, signal }));
          if (options.json) printJson(cleared);
          else printCleared(cleared);
        }
      });
    });
};

const printStats = ({ since, models, prefixes }: CacheStats): void => {
  const pairs: [string, string][] = [["since", since?.toISOString() ?? "unknown"]];
  if (models) {
    const { limits, removals } = models;
    pairs.push(["model lookups", hitsOf(models)]);
    pairs.push(["loads", `${models.loads}, ${models.loadFailures} failed`]);
    if (removals) {
      const { total, room, idle, call, catalog, failure } = removals;
      const causes = [
        `${room} for another`,
        `${removals.limits} over the limits`,
        `${idle} idle`,
        `${call} by call`,
        `${catalog} out of the catalog`,
        `${failure} failed`,
      ];
      pairs.push(["removals", `${total}: ${causes.join(", ")}`]);
    }
    if (limits) {
      pairs.push(["models in memory", `${models.loaded} of ${limits.maxCacheSize}`]);
      pairs.push([
        "memory budget",
        `${formatBytes(models.reservedBytes)} of ${formatBytes(limits.maxMemoryBytes)} taken`,
      ]);
    }
    pairs.push(["engine memory", formatBytes(models.residentBytes)]);
  }
  const total = prefixes?.total;
  if (total) {
    pairs.push(["prompt lookups", hitsOf(total)]);
    pairs.push(["prompt tokens found", `${formatCount(total.hitTokens)} of ${formatCount(total.lookupTokens)}`]);
    pairs.push([
      "prompts kept",
      `${formatCount(total.entries)}, ${formatBytes(total.bytes)}, ${total.evictions} evicted`,
    ]);
  }
  printPairs(pairs);
  if (!models || models.models.length === 0) return;
  print("");
  const prefixesOf = new Map(prefixes?.models.map(({ key, total: own }) => [key, own]));
  printTable(
    ["KEY", "LOADED", "LOOKUPS", "HIT RATE", "LAST ACCESS", "LOADS", "REMOVALS", "MEMORY", "PROMPT HITS", "PROMPTS"],
    models.models.map((model) => [
      model.key,
      formatFlag(model.loaded),
      formatCount(model.lookups),
      formatPercent(model.hitRate),
      model.lastAccessAt?.toISOString() ?? "",
      formatCount(model.loads),
      formatCount(model.removals?.total ?? 0),
      formatBytes(model.residentBytes),
      formatPercent(prefixesOf.get(model.key)?.hitRate ?? 0),
      formatBytes(prefixesOf.get(model.key)?.bytes ?? 0),
    ]),
  );
};

const hitsOf = ({ lookups, hits, hitRate }: { lookups: number; hits: number; hitRate: number }): string =>
  `${formatCount(lookups)}, ${formatCount(hits)} found (${formatPercent(hitRate)})`;

const printModels = (models: readonly CachedModel[]): void => {
  if (models.length === 0) return print("No model is in memory.");
  printTable(
    ["KEY", "STATE", "LOADED", "ACCESSES", "LAST ACCESS", "IN USE", "MEMORY", "RESERVED", "PINNED"],
    models.map((model) => [
      model.key,
      model.state,
      model.loadedAt?.toISOString() ?? "",
      formatCount(model.accesses),
      model.lastAccessAt?.toISOString() ?? "",
      formatCount(model.users),
      formatBytes(model.residentBytes),
      formatBytes(model.reservedBytes),
      formatFlag(model.pinned),
    ]),
  );
};

const printResized = ({ changes, current, configured, evicted, leaving, overLimits }: ResizedCache): void => {
  if (changes.length === 0) print("nothing has changed");
  for (const { limit, before, after } of changes) print(`${limit}: ${shortened(before)}, now ${shortened(after)}`);
  print(`in force: ${limitsOf(current)}; configured: ${limitsOf(configured)}`);
  if (evicted.length > 0) print(`left memory: ${evicted.join(", ")}`);
  if (leaving.length > 0) print(`leave when they become idle: ${leaving.join(", ")}`);
  if (overLimits) print("More is taken than that until they have left; pinned models stay.");
};

const limitsOf = (limits: CacheLimits | undefined): string =>
  limits === undefined ? "unknown" : `${limits.maxCacheSize} models, ${formatBytes(limits.maxMemoryBytes)}`;

/** Two decimals at most. */
const shortened = (value: number): string => String(Math.round(value * 100) / 100);

const printCleared = ({ removed, kept, freedBytes }: ClearedCache): void => {
  if (removed.length > 0) print(`removed: ${removed.join(", ")}; they had ${formatBytes(freedBytes)}`);
  else print("nothing was removed");
  for (const { key, reason } of kept) print(`${key} stays: ${reason}`);
};

const printClearedPrefixes = ({ entries, bytes }: ClearedPrefixCaches): void =>
  print(`dropped ${formatCount(entries)} ${entries === 1 ? "prompt" : "prompts"} of ${formatBytes(bytes)}`);
