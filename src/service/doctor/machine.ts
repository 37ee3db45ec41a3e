/** Checks whether MLX and this build can run on the machine at all. */
import { execFileSync } from "node:child_process";
import { totalmem } from "node:os";

import { type Finding, ok, problem } from "./Finding.ts";

/** The facts that the checks depend on. */
export interface MachineFacts {
  readonly platform: string;
  readonly arch: string;
  readonly memoryBytes: number;
  /** For example `14.5`; undefined: not a Mac. */
  readonly macOs: string | undefined;
  /** Whether the process runs under Rosetta. */
  readonly isTranslated: boolean;
  /** For example `2.36`; undefined: no glibc. */
  readonly glibc: string | undefined;
  /** Without the `v`. */
  readonly node: string;
}

export const readMachine = (): MachineFacts => {
  const { platform, arch, report, versions } = process;
  const header = (report.getReport() as { header?: { glibcVersionRuntime?: string } }).header;
  return {
    platform,
    arch,
    memoryBytes: totalmem(),
    macOs: platform === "darwin" ? output("sw_vers", "-productVersion") : undefined,
    isTranslated: platform === "darwin" && output("sysctl", "-n", "sysctl.proc_translated") === "1",
    glibc: header?.glibcVersionRuntime,
    node: versions.node,
  };
};

const output = (program: string, ...args: ReadonlyArray<string>): string => {
  try {
    return execFileSync(program, args, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).trim();
  } catch {
    return "";
  }
};

export const machineFindings = (facts: MachineFacts): ReadonlyArray<Finding> => [machineOf(facts), nodeOf(facts)];

const machineOf = ({ platform, arch, memoryBytes, macOs, isTranslated, glibc }: MachineFacts): Finding => {
  const gibibytes = `${Math.round(memoryBytes / 1024 ** 3)} GiB`;
  const name = "machine";
  if (platform === "darwin") {
    const what = `macOS ${macOs}, ${arch}, ${gibibytes}`;
    if (isTranslated) {
      const next = "start mlxd from a native shell (arch -arm64 zsh), with Node for Apple silicon";
      return problem(name, `${what}: this process runs under Rosetta, where there is no GPU`, next);
    }
    if (arch !== "arm64") return problem(name, `${what}: MLX needs Apple silicon`, "use a Mac with an M-series chip");
    if (Number.parseInt(macOs ?? "", 10) < 14)
      return problem(name, `${what}: MLX needs macOS 14 or newer`, "update macOS");
    return ok(name, what);
  }
  const what = `${platform} ${arch}, ${gibibytes}${glibc === undefined ? "" : `, glibc ${glibc}`}`;
  if (platform !== "linux" || !["x64", "arm64"].includes(arch)) {
    return problem(name, `${what}: there is no MLX for it`, "use Linux (x64, arm64) or a Mac with Apple silicon");
  }
  return ok(name, what);
};

const nodeOf = ({ node }: MachineFacts): Finding =>
  Number.parseInt(node, 10) >= 24
    ? ok("node", node)
    : problem("node", `${node} is too old: mlxd needs 24 or newer`, "start mlxd with bin/mlxd, which brings one");
