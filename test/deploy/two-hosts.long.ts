/** docs/deploy.md from nothing to two secured hosts behind HAProxy: its commands, with a container of Debian for each machine. */
import { execFile } from "node:child_process";
import { chmodSync, cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { promisify } from "node:util";
import { afterAll, assert, beforeAll, describe, it } from "vitest";

import { baseArguments, docker, noDocker, removeAll, requireDocker } from "../support/docker.ts";
import { until } from "../support/until.ts";

const run = promisify(execFile);
const root = join(import.meta.dirname, "../..");
const page = readFileSync(join(root, "docs/deploy.md"), "utf8");
const section = page.split("\n## Two hosts behind HAProxy\n")[1]?.split("\n## ")[0] ?? "";
const [build = "", setUp = "", hosts = "", balancer = "", firstCall = ""] = [
  ...section.matchAll(/^```sh(?: no-run)?\n(.*?)^```$/gms),
].map(([, block]) => block);

/** A network in which nobody else is likely to be, in the place of the page's. */
const network = "10.213.77.";
const label = `mlxd.test.two-hosts=${process.pid}`;
const name = `mlxd-two-hosts-${process.pid}`;
const machines = [1, 2, 10];

/** ssh and scp: into the containers. */
const remote = `
at() { local machine=\${1#*@}; echo "${name}-\${machine##*.}"; }
ssh() { docker exec "$(at "$1")" bash -euc "$2"; }
scp() {
  local to=\${!#} file
  for file in "\${@:1:$#-1}"; do docker cp "$file" "$(at "\${to%%:*}"):\${to#*:}"; done
}
`;

describe("two hosts behind HAProxy, from nothing", { timeout: 900_000 }, () => {
  let folder = "";

  /** The page's commands, in a copy of the checkout; only the network is another one. */
  const shell = async (commands: string): Promise<string> => {
    const here = remote + commands.replaceAll("10.0.0.", network);
    return (await run("bash", ["-euc", here], { cwd: folder, maxBuffer: 64 * 1024 ** 2 })).stdout;
  };

  beforeAll(async () => {
    if ((await noDocker()) !== undefined) return;
    folder = mkdtempSync(join(tmpdir(), "mlxd-two-hosts-"));
    const left = /^(\.git|\.cache|node_modules|dist|test|models\/(?!demo)[^/]+)$/;
    cpSync(root, folder, { recursive: true, filter: (path) => !left.test(relative(root, path)) });
    for (const each of ["node_modules", ".cache"]) symlinkSync(join(root, each), join(folder, each));
    const config = join(folder, "deploy/haproxy/haproxy.cfg");
    writeFileSync(config, readFileSync(config, "utf8").replaceAll("10.0.0.", network));

    const machine = join(root, "test/support/debian-machine");
    await docker("build", "--quiet", "-t", name, ...(await baseArguments()), machine);
    const subnet = ["--subnet", `${network}0/24`, "--gateway", `${network}254`];
    await docker("network", "create", "--label", label, ...subnet, name);
    for (const at of machines) {
      const address = ["--network", name, "--ip", `${network}${at}`, "--publish", "127.0.0.1:0:443"];
      await docker("run", "--detach", "--label", label, "--name", `${name}-${at}`, ...address, name);
    }
  }, 1_800_000);
  afterAll(async () => {
    if (folder === "") return;
    await removeAll(label);
    await docker("image", "rm", "--force", name).catch(() => {});
    rmSync(folder, { recursive: true, force: true });
  }, 120_000);

  it("are set up by the page's commands, and answer a caller who has a key", async (context) => {
    await requireDocker(context);
    await shell(build);
    await shell(setUp);
    // As an administrator's umask may have it, who runs no servers here.
    chmodSync(join(folder, "hosts"), 0o700);
    await shell(hosts);
    await shell(balancer);
    const user = await docker(
      "exec",
      `${name}-10`,
      "sh",
      "-c",
      "find /proc/$(pidof -s haproxy) -maxdepth 0 -printf %u",
    );
    assert.strictEqual(user, "haproxy");
    const port = (await docker("port", `${name}-10`, "443")).split(":").at(-1) ?? "";
    const call = firstCall.replaceAll("mlxd.internal", `localhost:${port}`);
    await until(() =>
      shell(call).then(
        (told) => told.includes("4"),
        () => false,
      ),
    );
    const keyless = await shell(call.replace(/ --key-file \S+/, "")).catch((error: { stderr: string }) => error.stderr);
    assert.include(keyless, "this service asks who calls");
    const answered = async (at: number) =>
      await docker("exec", `${name}-${at}`, "grep", "-c", "generation ended", "/tmp/mlxd.log").catch(() => "0");
    await until(async () => {
      await shell(call);
      return Number(await answered(1)) > 0 && Number(await answered(2)) > 0;
    });
  });
});
