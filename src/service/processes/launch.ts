/**
 * Starts processes that end with the service, however it ends. A process notices that its channel was closed when its
 * event loop turns; if it is stopped or in a call that does not return, it never does. On Linux the kernel is therefore
 * asked to kill it (PR_SET_PDEATHSIG), by `setpriv` of util-linux, which then executes Node. On other systems, and
 * without such a `setpriv`, the process watches its parent itself (worker/parent-watch.ts, and the watchdog of a
 * sandbox lane).
 */
import { spawnSync } from "node:child_process";

export interface Launch {
  readonly execPath: string;
  readonly execArgv: string[];
}

/** For `fork`: runs Node with these options. */
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
