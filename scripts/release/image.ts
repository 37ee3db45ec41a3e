/** The image: built, checked, and run as docs/containers.md says. Docker is set up as for the tests where none runs. */
import { mkdtempSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";

import { createMlxdClient } from "../../src/client/node.ts";
import { buildImage, docker, noDocker } from "../../test/support/docker.ts";
import { assertContents, assertSize, type Piece, type Release, run } from "./piece.ts";

/** What `docker image inspect` tells. */
interface Inspected {
  readonly Id: string;
  readonly Size: number;
  readonly Config: { readonly User: string; readonly Labels: Readonly<Record<string, string>> };
}

/** Node has 150 MB of it, Debian 75 to 120 (whose base it is), MLX and OpenBLAS 80. */
export const imageSizeBoundMb = 405;

/** Or why there can be none here. */
export const releaseImage = async ({ root, version, commit, place }: Release): Promise<Piece | string> => {
  const problem = await noDocker();
  if (problem !== undefined) return problem;
  const tag = `mlxd:${version}`;
  const about = ["--build-arg", `VERSION=${version}`, "--build-arg", `REVISION=${commit}`];
  await buildImage(tag, about);
  const [{ Id, Size, Config }] = JSON.parse(await docker("image", "inspect", tag)) as [Inspected];
  assertSize("the image", Size, imageSizeBoundMb);
  if (Config.User !== "10001:0") throw new Error(`the image runs as ${Config.User}`);
  if (Config.Labels["org.opencontainers.image.version"] !== version)
    throw new Error("the image does not tell its version");
  const files = await docker(
    "run",
    "--rm",
    "--entrypoint=",
    tag,
    "find",
    "/opt/mlxd",
    "-type",
    "f",
    "-printf",
    "%P\\n",
  );
  assertContents("the image", files.split("\n"), [
    "bin/mlxd",
    "lib/service.js",
    "sbom.cdx.json",
    "THIRD-PARTY-LICENSES",
  ]);

  const config = join(mkdtempSync(join(place, "image-")), "config");
  await run(join(root, "deploy/set-up"), [config, "localhost"]);
  const user = process.getuid?.() === 0 ? [] : ["--user", `${process.getuid?.()}:0`];
  const secured = ["--read-only", "--tmpfs=/tmp", "--cap-drop=ALL", "-v", `${join(config, "mlxd")}:/etc/mlxd:ro`];
  const id = await docker("run", "--detach", "-p", "127.0.0.1:0:50051", ...secured, ...user, tag);
  try {
    // One that has ended keeps the health that it had.
    const state = () => docker("inspect", "--format", "{{.State.Status}} {{.State.Health.Status}}", id);
    for (let now = await state(); now !== "running healthy"; now = await state()) {
      if (now !== "running starting") {
        const { stdout, stderr } = await run("docker", ["logs", id]);
        throw new Error(`the image is ${now}: ${stdout}${stderr}`);
      }
      await pause(500);
    }
    using client = createMlxdClient({
      baseUrl: `https://${await docker("port", id, "50051")}`,
      credentials: readFileSync(join(config, "ci.key"), "utf8").trim(),
      tls: { ca: readFileSync(join(config, "ca.crt")) },
    });
    const { text } = await client.generate("What is 2+2?", { temperature: 0 });
    if (!text.includes("4")) throw new Error(`the image told ${text}`);
  } finally {
    await docker("rm", "--force", "--volumes", id);
  }
  const checked = ["contents", "size", "user", "labels", "secured, healthy and answering"];
  return { name: "image", file: tag, bytes: Size, digest: Id, checked };
};
