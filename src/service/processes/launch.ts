/**
 * How the service starts a process of its own so that it ends with the service, whatever ends that. A process hears that its channel
 * closes when its event loop turns next: one that is stopped, or in a call that does not return, never does. On Linux the
 * kernel is therefore asked to kill it (PR_SET_PDEATHSIG), by `setpriv` of util-linux, which then becomes Node. Elsewhere,
 * and where there is no such `setpriv`, the process looks after its parent itself (worker/parent-watch.ts, and the watchdog of
 * a sandbox lane).
 */
import { spawnSync } from "node:child_process";

export interface Launch {
  readonly execPath: string;
  readonly execArgv: string[];
}

/** For `fork`: Node with these options. */
export const launch = (nodeOptions: ReadonlyArray<string>): Launch => {
  const { execPath } = process;
  hasSetpriv ??= process.platform === "linux" && canKillOrphans();
  return hasSetpriv
    ? { execPath: "setpriv", execArgv: [...killOrphans, execPath, ...nodeOptions] }
    : { execPath, execArgv: [...nodeOptions] };
};

const killOrphans = ["--pdeathsig", "KILL"];

/** Undefined before the first start. */
let hasSetpriv: boolean | undefined;

const canKillOrphans = (): boolean => spawnSync("setpriv", [...killOrphans, "true"], { stdio: "ignore" }).status === 0;
