/** A copy of this machine's files that a script may change as it likes: an overlay in a mount namespace, gone when the script ends. */
import { execFile, spawnSync } from "node:child_process";
import { promisify } from "node:util";

const inNamespaces = ["--mount", "--pid", "--fork", "--kill-child", "--propagation", "private"];

/** What makes the copy at /tmp/root: `/` without what is mounted below it, and the folder of the test as /mnt. */
const copy = `
root=$(mktemp -d)
mount -t tmpfs -o mode=755 throwaway "$root"
mkdir "$root/changed" "$root/work" "$root/root"
mount -t overlay throwaway -o "lowerdir=/,upperdir=$root/changed,workdir=$root/work" "$root/root"
cd "$root/root"
mount -t proc proc proc
mount --rbind /dev dev
mkdir -p mnt tmp run && mount --bind "$FOLDER" mnt && mount -t tmpfs tmpfs tmp && mount -t tmpfs tmpfs run && chmod 1777 tmp
`;

/** Why there can be none here; undefined where there can. */
export const noThrowawayRoot = (): string | undefined => {
  if (process.platform !== "linux" || process.getuid?.() !== 0)
    return "only root on Linux can make a copy of the machine";
  const tried = spawnSync("unshare", [...inNamespaces, "bash", "-euc", copy], {
    encoding: "utf8",
    env: { ...process.env, FOLDER: "/tmp" },
  });
  return tried.status === 0 ? undefined : `there can be no copy of this machine: ${(tried.stderr ?? "").trim()}`;
};

/** Runs a bash script in such a copy, with `folder` as /mnt; gives what it prints. What it leaves running is killed. */
export const inThrowawayRoot = async (folder: string, script: string): Promise<string> => {
  const whole = `${copy}\nexec chroot . /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive bash -euc "$SCRIPT"`;
  const env = { ...process.env, FOLDER: folder, SCRIPT: script };
  try {
    const { stdout } = await promisify(execFile)("unshare", [...inNamespaces, "bash", "-euc", whole], { env });
    return stdout;
  } catch (error) {
    const { stdout = "", stderr = "" } = error as { stdout?: string; stderr?: string };
    throw new Error(`the script failed:\n${stdout}\n${stderr}`, { cause: error });
  }
};
