/** The mlxd command: adds the subcommands, runs one, and converts its result to an exit code. */
import { CommanderError } from "@commander-js/extra-typings";
import { addCache } from "./commands/cache.ts";
import { addCatalog } from "./commands/catalog.ts";
import { addChat } from "./commands/chat.ts";
import { addCompatibility } from "./commands/compatibility.ts";
import { addDoctor } from "./commands/doctor.ts";
import { addEmbed } from "./commands/embed.ts";
import { addGenerate } from "./commands/generate.ts";
import { addJobs } from "./commands/jobs.ts";
import { addKey } from "./commands/key.ts";
import { addLoad } from "./commands/load.ts";
import { addModels } from "./commands/models.ts";
import { addPin } from "./commands/pin.ts";
import { addPrepare } from "./commands/prepare.ts";
import { addPull } from "./commands/pull.ts";
import { addReload } from "./commands/reload.ts";
import { addServe } from "./commands/serve.ts";
import { addStats } from "./commands/stats.ts";
import { addTokens } from "./commands/tokens.ts";
import { addUnload } from "./commands/unload.ts";
import { CalledWrongly, failureLine, Interrupted } from "./failures.ts";
import { note } from "./print.ts";
import { createProgram } from "./program.ts";
import { watchOutput } from "./watch-output.ts";

const mlxd = createProgram();
const models = [addModels, addPull, addPrepare, addLoad, addUnload, addPin, addCompatibility];
for (const add of [
  addServe,
  ...models,
  addGenerate,
  addChat,
  addJobs,
  addEmbed,
  addTokens,
  addStats,
  addCache,
  addCatalog,
  addReload,
  addDoctor,
  addKey,
])
  add(mlxd);

const exitCodes = { done: 0, failed: 1, usage: 2, interrupted: 130 };

const run = async (): Promise<number> => {
  try {
    await mlxd.parseAsync();
    return exitCodes.done;
  } catch (error) {
    // Commander has already printed the error; help and version end this way, too.
    if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.done : exitCodes.usage;
    if (error instanceof Interrupted) return exitCodes.interrupted;
    if (error instanceof CalledWrongly) {
      note(`${error.message}\n(see --help)`);
      return exitCodes.usage;
    }
    const line = failureLine(error, mlxd.opts().server);
    if (line === undefined) throw error;
    note(line);
    return exitCodes.failed;
  }
};

watchOutput();
process.exitCode = await run();
