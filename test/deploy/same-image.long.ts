/** Two builds of the image from one lockfile hold the same files, neither of them taking anything from an earlier build. */
import { afterAll, assert, describe, it } from "vitest";

import { buildImage, docker, requireDocker } from "../support/docker.ts";

/** What Docker itself puts into a container, and what is no file. */
const apart = ["/proc", "/sys", "/dev", "/.dockerenv", "/etc/hosts", "/etc/hostname", "/etc/resolv.conf"];
/** Prints of everything its mode, owner and path, and what a link leads to or the hash of what a file holds. */
const list = `
  const { createHash } = require("node:crypto");
  const { lstatSync, readdirSync, readFileSync, readlinkSync } = require("node:fs");
  const apart = new Set(${JSON.stringify(apart)});
  const walk = (path) => {
    if (apart.has(path || "/")) return;
    const stat = lstatSync(path || "/");
    const digest = () => createHash("sha256").update(readFileSync(path)).digest("hex");
    const what = stat.isSymbolicLink() ? readlinkSync(path) : stat.isFile() ? digest() : "";
    console.log(stat.mode.toString(8), stat.uid + ":" + stat.gid, path, what);
    if (stat.isDirectory()) for (const name of readdirSync(path || "/").toSorted()) walk(path + "/" + name);
  };
  walk("");`;

describe("two builds of the image", { timeout: 3_600_000 }, () => {
  const tags = ["mlxd-first:test", "mlxd-second:test"];
  afterAll(async () => {
    for (const tag of tags) await docker("image", "rm", "--force", tag).catch(() => {});
  }, 120_000);

  it("hold the same files: path, mode, owner and SHA-256", async (context) => {
    await requireDocker(context);
    const listed: (readonly string[])[] = [];
    for (const tag of tags) {
      await buildImage(tag, ["--no-cache"]);
      const text = await docker("run", "--rm", "--user=0", "--entrypoint=", tag, "node", "--eval", list);
      listed.push(text.split("\n"));
    }
    const [first = [], second = []] = listed;
    assert.isAbove(first.length, 2000);
    assert.include(first.join("\n"), " /opt/mlxd/lib/service.js ");
    const [inFirst, inSecond] = [new Set(first), new Set(second)];
    assert.deepStrictEqual(
      [first.filter((line) => !inSecond.has(line)), second.filter((line) => !inFirst.has(line))],
      [[], []],
    );
  });
});
