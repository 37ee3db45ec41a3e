/**
 * A program that ignores SIGTERM, as does its child, and as does a grandchild in a process group of its own. It writes the numbers of
 * the three in one line.
 */
const leaf = 'process.on("SIGTERM", () => {}); process.stdout.write(`${process.pid} `); setInterval(() => {}, 1000);';
const spawnLeaf = `require("node:child_process").spawn(process.execPath, ["-e", ${JSON.stringify(leaf)}], { stdio: "inherit", detached: true });`;
const child = `${leaf} ${spawnLeaf}`;
const spawnChild = `require("node:child_process").spawn(process.execPath, ["-e", ${JSON.stringify(child)}], { stdio: "inherit" });`;

export const tree: readonly [string, ...string[]] = [process.execPath, "-e", `${leaf} ${spawnChild}`];
