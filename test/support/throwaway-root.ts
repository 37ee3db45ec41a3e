/** A copy of this machine's files that a script may change as it likes: an overlay in a mount namespace, gone when the script ends. */
import { execFile, spawnSync } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
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

/**
 * What makes systemd the first process of the copy, with `tried.service`, a script, as the one thing that it is to start. It ends when the script does.
 */
const boot = `
mount -t sysfs sysfs sys
if [ -e /sys/fs/cgroup/cgroup.controllers ]; then mount -t cgroup2 cgroup sys/fs/cgroup
else
  mount -t tmpfs cgroup sys/fs/cgroup
  mkdir sys/fs/cgroup/systemd
  mount -t cgroup -o none,name=systemd cgroup sys/fs/cgroup/systemd
fi
chroot . /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive bash -euc "$BEFORE" >&2
printf '[Unit]\\nWants=tried.service\\n' > etc/systemd/system/tried.target
printf '[Service]\\nType=oneshot\\nTimeoutStartSec=infinity\\nExecStart=/bin/bash -eu /mnt/tried\\nExecStopPost=/bin/systemctl exit 0\\nStandardOutput=file:/mnt/told\\nStandardError=file:/mnt/erred\\n' > etc/systemd/system/tried.service
# A mere chroot may make no user namespaces, as PrivateUsers= does.
mkdir old && pivot_root . old && umount -l old && rmdir old
exec /usr/bin/env -i container=throwaway PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd --unit=tried.target --log-target=console --show-status=no
`;

const underSystemd = [...inNamespaces, "--cgroup", "--uts", "--ipc", "--net"];

/** Why systemd cannot be started here; undefined where it can. */
export const noSystemd = async (folder: string): Promise<string | undefined> => {
  if (!existsSync("/lib/systemd/systemd")) return "there is no systemd";
  try {
    const told = await inBootedRoot(folder, {
      before: "true",
      script: "systemctl is-system-running || true; echo booted",
      timeout: 120_000,
    });
    return told.includes("booted") ? undefined : "systemd ran, and not the script";
  } catch (error) {
    return `systemd cannot be the first process of a container here: ${String(error)}`;
  }
};

export interface Booted {
  /** What is done to the copy before it is started. */
  readonly before: string;
  readonly script: string;
  /** In milliseconds; without one it is the test's own. */
  readonly timeout?: number;
}

/** Boots such a copy with systemd as its first process and runs a bash script there; gives what that prints. */
export const inBootedRoot = async (folder: string, { before, script, timeout }: Booted): Promise<string> => {
  writeFileSync(join(folder, "tried"), `${script}\necho 'the script is over'\n`);
  const env = { ...process.env, FOLDER: folder, BEFORE: before };
  const read = (name: string): string =>
    existsSync(join(folder, name)) ? readFileSync(join(folder, name), "utf8") : "";
  for (const name of ["told", "erred"]) writeFileSync(join(folder, name), "");
  const options = { env, killSignal: "SIGKILL" as const, ...(timeout !== undefined && { timeout }) };
  const ended = await promisify(execFile)("unshare", [...underSystemd, "bash", "-euc", copy + boot], options).then(
    () => "",
    (error: { readonly stderr?: string; readonly message: string }) => error.stderr || error.message,
  );
  if (!read("told").includes("the script is over"))
    throw new Error(`the script failed:\n${read("told")}${read("erred")}${ended}`);
  return read("told");
};
