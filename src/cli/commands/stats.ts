import { isMlxdError, type NodeClient, type PartsHealth, type ServerStats } from "../../client/node.ts";
import { formatBytes, formatCount } from "../format.ts";
import { json } from "../options.ts";
import { print, printJson, printPairs, printTable } from "../print.ts";
import { examples, type Program } from "../program.ts";
import { withClient } from "../with-client.ts";

/** `mlxd stats`: shows what the server does. */
export const addStats = (mlxd: Program): void => {
  mlxd
    .command("stats")
    .description("Shows what the server does now and what it has done since its start.")
    .addOption(json)
    .addHelpText("after", examples("mlxd stats", "mlxd stats --json | jq .total.running", "watch mlxd stats"))
    .action(async (_, command) => {
      const options = command.optsWithGlobals();
      await withClient(options, async (client, signal) => {
        const stats = await client.stats({ signal });
        const health = await healthOf(client, signal);
        if (options.json) return printJson({ ...stats, ...(health && { health }) });
        printStats(stats);
        if (health) printHealth(health);
      });
    });
};

/** Undefined if the service is older than this command. */
const healthOf = (client: NodeClient, signal: AbortSignal): Promise<PartsHealth | undefined> =>
  client.diagnostics.health({ signal }).catch((error: unknown) => {
    if (isMlxdError(error) && error.code === "UNIMPLEMENTED") return undefined;
    throw error;
  });

const printHealth = ({ state, parts }: PartsHealth): void => {
  print(`\nhealth: ${state}`);
  printTable(
    ["PART", "NAME", "STATE", "REASON"],
    parts.map((part) => [part.kind, part.name, part.state, part.reason]),
  );
};

const printStats = ({ since, total, models, pool, serviceResidentBytes }: ServerStats): void => {
  const pairs: [string, string][] = [["since", since?.toISOString() ?? "unknown"]];
  for (const [name, count] of Object.entries(total ?? {})) pairs.push([name, formatCount(count)]);
  pairs.push(["service memory", formatBytes(serviceResidentBytes)]);
  if (pool) {
    pairs.push(["models in memory", `${pool.loaded} of ${pool.maxLoaded}`]);
    pairs.push(["memory budget", `${formatBytes(pool.reservedBytes)} of ${formatBytes(pool.budgetBytes)} taken`]);
    const { loads, loadFailures, evictions, idleUnloads, unloads, waiting } = pool;
    pairs.push(["loads", `${loads}, ${loadFailures} failed, ${waiting} waiting`]);
    pairs.push(["unloads", `${unloads} by call, ${idleUnloads} idle, ${evictions} evicted`]);
  }
  printPairs(pairs);
  if (models.length === 0) return;
  print("");
  printTable(
    [
      "MODEL",
      "STATE",
      "RUNNING",
      "QUEUED",
      "OUTPUT TOKENS",
      "MEMORY",
      "ARRAYS",
      "KV CACHE",
      "PREFIX CACHE",
      "RESTARTS",
    ],
    models.map(({ model, state, generations, ...engine }) => [
      model,
      state,
      String(generations?.running ?? 0),
      String(generations?.queued ?? 0),
      formatCount(generations?.outputTokens ?? 0),
      formatBytes(engine.residentBytes),
      formatBytes(engine.mlxActiveBytes),
      formatBytes(engine.kvCacheBytes),
      formatBytes(engine.prefixCacheBytes),
      String(engine.engineRestarts),
    ]),
  );
};
