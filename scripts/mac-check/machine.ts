/** What machine this is, and what of MLX is on it. */
import { execFileSync } from "node:child_process";
import { cpus, release, totalmem } from "node:os";

import { mostModelBytes, readMachineMemory } from "../../src/service/config/machine-memory.ts";
import { inChild } from "./child.ts";
import type { Check, Section } from "./section.ts";

export const machine: Section = {
  name: "machine",
  run: async () => [facts(), translation(), await binding()],
};

const facts = (): Check => {
  const memory = readMachineMemory();
  return {
    name: "facts",
    status: "passed",
    figures: {
      platform: `${process.platform} ${process.arch} ${macOsVersion() ?? release()}`,
      chip: cpus()[0]?.model ?? "unknown",
      cores: cpus().length,
      memoryBytes: totalmem(),
      wiredLimitMb: sysctl("iogpu.wired_limit_mb") ?? "not told",
      gpuWorkingSetBytes: memory.gpuWorkingSetBytes ?? "no GPU",
      mostModelBytes: Number.isFinite(mostModelBytes(memory)) ? mostModelBytes(memory) : "not bounded by a GPU",
      node: process.version,
    },
  };
};

/** An x64 Node under Rosetta would compute on the CPU. */
const translation = (): Check => {
  const name = "Node is native";
  if (process.platform !== "darwin") return { name, status: "skipped", detail: "it is asked on a Mac alone" };
  return sysctl("sysctl.proc_translated") === "1" || process.arch !== "arm64"
    ? { name, status: "failed", detail: "Node is an x64 one: install Node for arm64" }
    : { name, status: "passed" };
};

const binding = async (): Promise<Check> => {
  const name = "MLX loads";
  const answer = await inChild("describeBinding", {});
  if (answer.type === "problem") return { name, status: "failed", detail: answer.problem };
  const isOnGpu = answer.value["device"] === "metal";
  return process.platform === "darwin" && !isOnGpu
    ? { name, status: "failed", detail: "MLX finds no GPU", figures: answer.value }
    : { name, status: "passed", figures: answer.value };
};

const macOsVersion = (): string | undefined => output("/usr/bin/sw_vers", ["-productVersion"]);

const sysctl = (name: string): string | undefined =>
  process.platform === "darwin" ? output("/usr/sbin/sysctl", ["-n", name]) : undefined;

const output = (program: string, args: ReadonlyArray<string>): string | undefined => {
  try {
    return execFileSync(program, args, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).trim();
  } catch {
    return undefined;
  }
};
