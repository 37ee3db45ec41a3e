/** The checks of `mlxd doctor`, in order: everything that can prevent mlxd from working or change how it works. */
import { fileURLToPath } from "node:url";

import type { Finding } from "./Finding.ts";
import { machineFindings, readMachine } from "./machine.ts";
import { askForMlx, mlxFindings } from "./mlx.ts";
import { checkSettings } from "./settings.ts";

export type { Finding };

const bundledModels = fileURLToPath(new URL("../../../models", import.meta.url));

/**
 * @param args a service's command line, such as `--config FILE`
 * @param isServing whether mlxd already answers at this one's address
 */
export const diagnose = async (args: ReadonlyArray<string>, isServing: boolean): Promise<ReadonlyArray<Finding>> => {
  const machine = machineFindings(readMachine());
  const settings = await checkSettings(args, bundledModels, isServing);
  return [...machine, ...mlxFindings(await askForMlx(settings.binding)), ...settings.findings];
};
