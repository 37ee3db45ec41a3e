/** A disk that fills up under a download and under the audit: a small tmpfs, which takes root to mount. */
import { execFileSync } from "node:child_process";
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  rmSync,
  statfsSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, assert, beforeAll, it } from "vitest";

import { createMlxdClient, type NodeClient } from "../../src/client/node.ts";
import { goldenRepository } from "../support/golden-repository.ts";
import { type HubServer, startHubServer } from "../support/hub-server.ts";
import { type RunningService, startService } from "../support/running-service.ts";
import { lookAtRest } from "./at-rest.ts";

const golden = goldenRepository("gemma3-float16");
/** What a download leaves free of a disk is 64 MiB. */
const diskMiB = 72;

let disk: string;
let whyNot: string | undefined;
let hub: HubServer;
let service: RunningService;
let client: NodeClient;
let asked = (): void => {};
const isAsked = new Promise<void>((resolve) => (asked = resolve));

beforeAll(async () => {
  disk = mkdtempSync(join(tmpdir(), "mlxd-disk-"));
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", `size=${diskMiB}m`, "tmpfs", disk], { stdio: "pipe" });
  } catch (error) {
    whyNot = `no tmpfs can be mounted here: ${String(error).split("\n", 1)[0]}`;
    return;
  }
  mkdirSync(join(disk, "models"));
  hub = await startHubServer({
    repositories: { "org/first": golden, "org/second": golden },
    fault: (path, count) => {
      if (path !== "model.safetensors" || count === 0) return undefined;
      asked();
      return { delayMs: 3000 };
    },
  });
  service = await startService({
    MLXD_MODELS: join(disk, "models"),
    MLXD_AUDIT_LOG: join(disk, "audit.jsonl"),
    HF_ENDPOINT: hub.url,
  });
  client = createMlxdClient({ baseUrl: service.url, retry: false });
}, 300_000);
afterAll(async () => {
  if (whyNot === undefined) {
    client.close();
    await service.stop();
    await hub[Symbol.asyncDispose]();
    execFileSync("umount", [disk]);
  }
  rmSync(disk, { recursive: true });
});

/** Writes until nothing more fits. */
const fill = (): void => {
  const file = openSync(join(disk, "filler"), "w");
  const block = Buffer.alloc(65_536, 1);
  try {
    for (let size = block.length; size >= 1; size = Math.floor(size / 2)) {
      try {
        for (;;) writeSync(file, block, 0, size);
      } catch (error) {
        assert.equal((error as NodeJS.ErrnoException).code, "ENOSPC");
      }
    }
  } finally {
    closeSync(file);
  }
  assert.equal(statfsSync(disk).bavail, 0);
};

it("a full disk fails a download by its name, keeps nothing from being answered, and is over when there is room again", async (context) => {
  if (whyNot !== undefined) return context.skip(whyNot);
  assert.isTrue((await client.prepareModel("org/first").collect()).loaded);
  const rest = await lookAtRest(service);
  const preparing = client.prepareModel("org/second").collect();
  await isAsked;
  fill();
  const { error, downloaded } = await preparing;
  assert.isFalse(downloaded);
  assert.deepInclude(error, { reason: "INSUFFICIENT_DISK" });
  assert.notInclude(error?.message ?? "", disk);
  // The audit's lines go to the log once the last page of its file is full.
  const giveUpAt = Date.now() + 60_000;
  while (!/administrative call.*ReloadCatalog|ReloadCatalog.*administrative call/.test(service.log())) {
    if (Date.now() > giveUpAt) assert.fail(`the log has no line of the audit:\n${service.log()}`);
    await client.reloadCatalog();
  }
  assert.include(service.log(), "the audit's file cannot be written");
  rmSync(join(disk, "filler"));
  await rest.isBack();
  const again = await client.prepareModel("org/second").collect();
  assert.deepInclude({ downloaded: again.downloaded, loaded: again.loaded }, { downloaded: true, loaded: true });
  const { usage } = await client.generate({ prompt: "a" }, { model: "org/second", maxOutputTokens: 2 });
  assert.equal(usage.outputTokens, 2);
  // What was begun is not left behind.
  const downloads = join(disk, "models/.mlxd/downloads");
  assert.deepEqual(existsSync(downloads) ? readdirSync(downloads) : [], []);
}, 300_000);
