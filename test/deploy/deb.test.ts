/** The package of Debian, in a copy of this machine: it installs, starts by its unit's ExecStart as its user, and leaves nothing behind. */
import { execFileSync, spawnSync } from "node:child_process";
import { chmodSync, copyFileSync, cpSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, assert, beforeAll, describe, it, type TestContext } from "vitest";

import { buildArtefact } from "../../scripts/artefact/build.ts";
import { buildDeb } from "../../scripts/deb/build.ts";
import { packNode } from "../support/node-package.ts";
import { inBootedRoot, inThrowawayRoot, noSystemd, noThrowawayRoot } from "../support/throwaway-root.ts";

const root = join(import.meta.dirname, "../..");

describe("the package of Debian", { timeout: 600_000 }, () => {
  let folder = "";
  let deb = "";
  let problem: string | undefined;
  beforeAll(async () => {
    problem = missing();
    if (problem !== undefined) return;
    folder = mkdtempSync(join(tmpdir(), "mlxd-packaged-"));
    chmodSync(folder, 0o755);
    const artefact = join(folder, "artefact");
    await buildArtefact(root, artefact, { platform: `${process.platform}-${process.arch}` });
    deb = buildDeb(root, artefact, folder, { arch: process.arch, compression: "none" });
    copyFileSync(deb, join(folder, "mlxd.deb"));
    cpSync(join(root, "deploy"), join(folder, "deploy"), { recursive: true });
    packNode(folder);
  }, 600_000);
  afterAll(() => {
    if (folder !== "") rmSync(folder, { recursive: true, force: true });
  });

  const ready = (context: TestContext): void => {
    if (problem !== undefined) context.skip(problem);
  };

  it("says what it is and what it needs, and belongs to root", (context) => {
    ready(context);
    const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
    const field = (name: string) => execFileSync("dpkg-deb", ["--field", deb, name], { encoding: "utf8" }).trim();
    assert.strictEqual(field("Package"), "mlxd");
    assert.strictEqual(field("Version"), version.replace("-", "~"));
    assert.match(field("Depends"), /nodejs \(>= 24\)/);
    const files = execFileSync("dpkg-deb", ["--contents", deb], { encoding: "utf8", maxBuffer: 2 ** 26 });
    for (const line of files.trim().split("\n")) assert.match(line, /^[-dl]r[w-][x-]r-[x-]r-[x-] root\/root|^l/, line);
    for (const path of [
      "./opt/mlxd/bin/mlxd",
      "./usr/bin/mlxd -> /opt/mlxd/bin/mlxd",
      "./usr/share/doc/mlxd/copyright",
    ]) {
      assert.include(files, path);
    }
  });

  it("installs, starts as its user, keeps what was edited, and goes without a trace", async (context) => {
    ready(context);
    const told = await inThrowawayRoot(folder, life);
    assert.match(told, /^user: mlxd \/var\/lib\/mlxd \/usr\/sbin\/nologin$/m);
    assert.match(told, /^configuration: 750 root mlxd$/m);
    assert.match(told, /^state: 700 mlxd mlxd$/m);
    assert.match(told, /^enabled: \/(?:usr\/)?lib\/systemd\/system\/mlxd\.service$/m);
    assert.match(told, /^runs as: mlxd$/m);
    assert.match(told, /^answer: .*4/m);
    assert.match(told, /^ended with: 0$/m);
    assert.match(told, /^edited: 1$/m);
    assert.match(told, /^after removal: \/etc\/mlxd\/mlxd\.yaml \/var\/lib\/mlxd\/models\/demo\/config\.json $/m);
    assert.match(told, /^after purge: $/m);
    assert.match(told, /^user after purge: none$/m);
  });

  it("runs under systemd: ready when it is, started anew when it hangs, and drained when it is stopped", async (context) => {
    ready(context);
    const none = await noSystemd(folder);
    if (none !== undefined) return context.skip(none);
    const before = "rm -f /usr/local/bin/node; dpkg --install /mnt/nodejs.deb /mnt/mlxd.deb";
    const told = await inBootedRoot(folder, { before, script: lifeUnderSystemd() });
    assert.match(told, /^started: active running mlxd$/m);
    assert.match(told, /^status: serving$/m);
    assert.match(told, /^answer: .*4/m);
    assert.match(told, /^reloaded: active$/m);
    assert.match(told, /^after a hang: active, restarts [1-9]/m);
    assert.match(told, /^answer after a hang: .*4/m);
    assert.match(told, /^stopped: inactive success 0$/m);
    assert.match(told, /^left: $/m);
    assert.match(told, /^by hand: .*4/m);
  });
});

/** Why it cannot be tried here. */
const missing = (): string | undefined => {
  for (const program of ["dpkg-deb", "dpkg", "adduser", "deb-systemd-helper", "curl"]) {
    if (spawnSync(program, ["--version"]).error !== undefined) return `there is no ${program}`;
  }
  for (const name of ["libopenblas0", "adduser"]) {
    if (spawnSync("dpkg", ["--status", name]).status !== 0) return `the package ${name} is not installed here`;
  }
  return noThrowawayRoot();
};

/** From the installation to the purge. Its own Node is first in the path, as it is where no other one is installed. */
const life = `
rm -f /usr/local/bin/node
dpkg --install /mnt/nodejs.deb /mnt/mlxd.deb >&2
echo "user: $(getent passwd mlxd | cut -d: -f1,6,7 | tr : ' ')"
echo "configuration: $(find /etc/mlxd -maxdepth 0 -printf '%m %u %g')"
echo "state: $(find /var/lib/mlxd -maxdepth 0 -printf '%m %u %g')"
echo "enabled: $(readlink /etc/systemd/system/multi-user.target.wants/mlxd.service)"
unit=/usr/lib/systemd/system/mlxd.service
of() { sed -n "s/^$1=//p" $unit; }
cp -R /opt/mlxd/models/demo /var/lib/mlxd/models/
chown -R mlxd:mlxd /var/lib/mlxd/models
cd "$(of WorkingDirectory)"
setpriv --reuid="$(of User)" --regid="$(of Group)" --init-groups --no-new-privs --bounding-set=-all \\
  env -i PATH=/usr/bin:/bin $(of Environment) MLXD_PORT=0 $(of ExecStart) > /tmp/out 2> /tmp/log &
service=$!
until grep -q 'ready at' /tmp/out; do kill -0 $service || { cat /tmp/log >&2; exit 1; }; sleep 0.1; done
echo "runs as: $(ps -o user= -p $service)"
url=$(sed -n 's/^mlxd is ready at //p' /tmp/out)
echo "answer: $(curl -sS $url/mlxd.v1.GenerationService/Generate -H 'content-type: application/json' \\
  -d '{"task":{"prompt":"What is 2+2?","sampling":{"temperature":0},"stop":{"maxOutputTokens":16}}}' | tr -d '\\n')"
kill -TERM $service
wait $service && ended=0 || ended=$?
echo "ended with: $ended"
echo '# mine' >> /etc/mlxd/mlxd.yaml
dpkg --install /mnt/mlxd.deb >&2
echo "edited: $(grep -c mine /etc/mlxd/mlxd.yaml)"
# Where it may have put anything; what containers have is theirs.
left() { find /etc /opt /usr /var/lib/mlxd /var/cache/mlxd /var/lib/systemd -xdev \\( -path '*/mlxd/*' -o -name 'mlxd*' \\) -type f "$@" 2>/tmp/missing | sort | tr '\\n' ' '; }
dpkg --remove mlxd >&2
echo "after removal: $(left ! -path '*/.cache/*' ! -path '/var/lib/mlxd/.*' ! -path '/var/cache/*' ! -path '/var/lib/systemd/*' \\( -path '/etc/mlxd/*' -o -name config.json -o -path '/opt/*' -o -path '/usr/*' \\))"
dpkg --purge mlxd >&2
echo "after purge: $(left)"
echo "user after purge: $(getent passwd mlxd || echo none)"
`;

/** The page's commands for the unit without the package: what they install is on /mnt, and who runs them is root. */
const byHand = (): string => {
  const page = readFileSync(join(root, "docs/deploy.md"), "utf8");
  const section = page.split("\n## As a systemd service\n")[1] ?? "";
  const commands = /^```sh no-run\n(.*?)^```$/ms.exec(section)?.[1] ?? "";
  const [build, ...others] = commands.trim().split("\n");
  assert.strictEqual(build, "npm run build -- --with-node");
  const last = others.pop() ?? "";
  const here = others.join("\n").replaceAll("sudo ", "").replaceAll("dist/mlxd", "artefact");
  return `cd /mnt\n${here}\necho "by hand: $(${last} | tr -d '\\n')"`;
};

/** The unit as it stands; only the watchdog's times are shorter. */
const lifeUnderSystemd = (): string => `
show() { systemctl show mlxd --value --property "$1"; }
answer() { curl -sS http://127.0.0.1:50051/mlxd.v1.GenerationService/Generate -H 'content-type: application/json' \\
  -d '{"task":{"prompt":"What is 2+2?","sampling":{"temperature":0},"stop":{"maxOutputTokens":16}}}' | tr -d '\\n'; }
ip link set lo up 2>/dev/null || true
install -d -o mlxd -g mlxd /var/lib/mlxd/models
cp -R /opt/mlxd/models/demo /var/lib/mlxd/models/ && chown -R mlxd:mlxd /var/lib/mlxd/models
mkdir -p /etc/systemd/system/mlxd.service.d
printf '[Service]\\nWatchdogSec=10\\nTimeoutAbortSec=1\\nRestartSec=100ms\\n' > /etc/systemd/system/mlxd.service.d/short.conf
systemctl daemon-reload
systemctl start mlxd || { systemctl status mlxd >&2; exit 1; }
echo "started: $(show ActiveState) $(show SubState) $(ps -o user= -p $(show MainPID))"
until [ "$(show StatusText)" = serving ]; do sleep 0.1; done
echo "status: $(show StatusText)"
echo "answer: $(answer)"
systemctl reload mlxd
echo "reloaded: $(show ActiveState)"
kill -STOP $(show MainPID)
until [ "$(show NRestarts)" -ge 1 ] && [ "$(show ActiveState)" = active ]; do sleep 0.2; done
echo "after a hang: $(show ActiveState), restarts $(show NRestarts)"
echo "answer after a hang: $(answer)"
systemctl stop mlxd
echo "stopped: $(show ActiveState) $(show Result) $(show ExecMainStatus)"
echo "left: $(pgrep -u mlxd || true)"
dpkg --purge mlxd >&2
rm -r /etc/systemd/system/mlxd.service.d
systemctl daemon-reload
${byHand()}
systemctl stop mlxd
`;
