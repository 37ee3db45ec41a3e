/** The image of deploy/Dockerfile, run as docs/containers.md says: secured, as nobody in particular, with nothing to write to but its volume. */
import { execFile, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, assert, beforeAll, describe, it } from "vitest";
import { type StartedTestContainer, Wait } from "testcontainers";

import about from "../../package.json" with { type: "json" };
import { imageSizeBoundMb } from "../../scripts/release/image.ts";
import { createMlxdClient, type MlxdClient } from "../../src/client/node.ts";
import { docker, mlxdImage, noDocker, ReadOnlyContainer, removeAll, requireDocker } from "../support/docker.ts";

const run = promisify(execFile);
const root = join(import.meta.dirname, "../..");
const page = readFileSync(join(root, "docs/containers.md"), "utf8");
/** Of what docs/containers.md starts by itself. */
const label = `mlxd.test.image=${process.pid}`;

describe("the image", { timeout: 600_000 }, () => {
  let image = "";
  let folder = "";
  let container: StartedTestContainer | undefined;
  let client: MlxdClient | undefined;

  beforeAll(async () => {
    if ((await noDocker()) !== undefined) return;
    folder = mkdtempSync(join(tmpdir(), "mlxd-image-"));
    image = await mlxdImage();
  }, 900_000);
  afterAll(async () => {
    client?.close();
    await container?.stop({ remove: true, removeVolumes: true });
    if ((await noDocker()) === undefined) await removeAll(label);
    rmSync(folder, { recursive: true, force: true });
  });

  /** The folder that deploy/set-up makes, and the service in the state that the page has it run in. */
  const started = async (): Promise<{ readonly mlxd: StartedTestContainer; readonly client: MlxdClient }> => {
    if (container === undefined || client === undefined) {
      const config = join(folder, "config");
      await run(join(root, "deploy/set-up"), [config, "mlxd.example"]);
      container = await new ReadOnlyContainer(image)
        .withBindMounts([{ source: join(config, "mlxd"), target: "/etc/mlxd", mode: "ro" }])
        .withTmpFs({ "/tmp": "rw,noexec,nosuid,size=64m" })
        .withDroppedCapabilities("ALL")
        .withSecurityOpt("no-new-privileges")
        .withExposedPorts(50051)
        .withWaitStrategy(Wait.forHealthCheck())
        .withStartupTimeout(240_000)
        .start();
      client = clientOf(container, config);
    }
    return { mlxd: container, client };
  };

  const clientOf = (mlxd: StartedTestContainer, config: string): MlxdClient =>
    createMlxdClient({
      baseUrl: `https://127.0.0.1:${mlxd.getMappedPort(50051)}`,
      credentials: () => Promise.resolve(readFileSync(join(config, "ci.key"), "utf8").trim()),
      tls: { ca: readFileSync(join(config, "ca.crt")) },
    });

  it("is small, labelled, and of no user and no root", async (context) => {
    await requireDocker(context);
    const { Size, Config } = JSON.parse(await docker("image", "inspect", image))[0];
    const sizeMb = Math.ceil(Size / 1e6);
    process.stdout.write(`the image has ${sizeMb} MB; at most ${imageSizeBoundMb} are allowed\n`);
    assert.isAtMost(sizeMb, imageSizeBoundMb);
    assert.equal(Config.User, "10001:0");
    assert.deepInclude(Config.Labels, {
      "org.opencontainers.image.title": "mlxd",
      "org.opencontainers.image.licenses": "MIT",
    });
    assert.match(Config.Entrypoint.join(" "), /^tini -- /);
    assert.isDefined(Config.Healthcheck);
  });

  it("tells in its bill of materials what it is made of", async (context) => {
    await requireDocker(context);
    const inside = (...command: readonly string[]) => docker("run", "--rm", "--entrypoint=", image, ...command);
    const sbom = JSON.parse(await inside("cat", "/opt/mlxd/sbom.cdx.json"));
    const named = new Set<string>(sbom.components.map((one: { purl: string }) => one.purl.split("?")[0]));
    const packages = await inside("dpkg-query", "-W", "-f", "${Package} ${Version}\\n");
    for (const line of packages.split("\n")) {
      const [name = "", version = ""] = line.split(" ");
      assert.isTrue(named.has(`pkg:deb/debian/${name}@${encodeURIComponent(version)}`), line);
    }
    assert.isAbove(packages.split("\n").length, 50);
    const node = await inside("node", "--version");
    assert.isTrue(named.has(`pkg:github/nodejs/node@${node}`), node);
    assert.isTrue([...named].some((purl) => purl.startsWith("pkg:pypi/mlx-cpu@")));
    assert.isTrue(named.has(`pkg:npm/effect@${about.dependencies.effect}`));
    assert.equal(sbom.bomFormat, "CycloneDX");
  });

  it("does not serve others before it is secured, and says what to do", async (context) => {
    await requireDocker(context);
    const { status, stderr, stdout } = spawnSync("docker", ["run", "--rm", image], { encoding: "utf8" });
    assert.notEqual(status, 0);
    assert.match(stderr + stdout, /mlxd\.yaml/);
    const open = spawnSync("docker", ["run", "--rm", "-e", "MLXD_CONFIG=", image], { encoding: "utf8" });
    assert.notEqual(open.status, 0);
    assert.match(open.stderr + open.stdout, /MLXD_TLS_CERT/);
  });

  it("serves a caller outside, healthy, without rights and with a root file system that nobody writes to", async (context) => {
    await requireDocker(context);
    const { mlxd, client: caller } = await started();
    assert.include((await caller.generate("What is 2+2?", { temperature: 0 })).text, "4");
    const { stdout } = await run("docker", ["top", mlxd.getId(), "-eo", "pid,uid,args"]);
    const rows = stdout.trim().split("\n").slice(1);
    for (const row of rows) assert.match(row, /^\s*\d+\s+10001\s/);
    assert.match(rows[0] ?? "", /tini/);
    const written = await mlxd.exec([
      "sh",
      "-c",
      "touch /opt/mlxd/x /etc/x /usr/x; touch /var/lib/mlxd/ours && echo ours",
    ]);
    assert.include(written.output, "ours");
    assert.equal(written.output.match(/Read-only file system/g)?.length, 3, written.output);
  });

  it("is unhealthy while no call would be taken", async (context) => {
    await requireDocker(context);
    const { mlxd } = await started();
    const check = (...more: readonly string[]) => mlxd.exec(["node", "/opt/mlxd/health-check.ts", ...more]);
    assert.equal((await check()).exitCode, 0);
    assert.equal((await check("/no-such-page")).exitCode, 1);
    const nobody = await mlxd.exec(["env", "MLXD_PORT=1", "node", "/opt/mlxd/health-check.ts"]);
    assert.equal(nobody.exitCode, 1);
    assert.include(nobody.output, "ECONNREFUSED");
  });

  it("finishes what runs when it is stopped, and ends with 0", async (context) => {
    await requireDocker(context);
    const { mlxd, client: caller } = await started();
    const stream = caller.stream("Count from 1 to 40", { temperature: 0 });
    let deltas = 0;
    let stopped: Promise<unknown> | undefined;
    for await (const _ of stream.textDeltas()) {
      deltas++;
      stopped ??= docker("stop", "--time", "60", mlxd.getId());
    }
    assert.isAbove(deltas, 1);
    await stopped;
    const { State } = JSON.parse(await docker("inspect", mlxd.getId()))[0];
    assert.deepEqual([State.ExitCode, State.OOMKilled], [0, false]);
  });

  it("is started by the commands of docs/containers.md", async (context) => {
    await requireDocker(context);
    const block = /^```sh\n(deploy\/set-up .*?)^```$/ms.exec(page)?.[1] ?? assert.fail("the page sets nothing up");
    const place = mkdtempSync(join(tmpdir(), "mlxd-image-page-"));
    const name = `mlxd-page-${process.pid}`;
    const commands = block
      .replaceAll("deploy/set-up", join(root, "deploy/set-up"))
      .replaceAll("bin/mlxd", join(root, "bin/mlxd"))
      .replace("docker run ", `docker run --label ${label} `)
      .replaceAll("--name mlxd", `--name ${name}`)
      .replaceAll("mlxd-state:", `${name}:`)
      .replaceAll("}}' mlxd)", `}}' ${name})`)
      .replaceAll(" mlxd:latest", ` ${image}`)
      .replaceAll("50051:50051", "127.0.0.1:0:50051");
    const port = `$(docker port ${name} 50051 | head -1 | cut -d: -f2)`;
    try {
      const { stdout } = await run("bash", ["-euc", commands.replaceAll("localhost:50051", `localhost:${port}`)], {
        cwd: place,
      });
      assert.include(stdout, "4");
    } finally {
      await docker("rm", "--force", "--volumes", name).catch(() => {});
      await docker("volume", "rm", "--force", name).catch(() => {});
      rmSync(place, { recursive: true, force: true });
    }
  });
});
