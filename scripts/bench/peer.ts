/** mlx_lm.server from PyPI, in a virtual environment of its own, called over HTTP as its clients do. */
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, globSync } from "node:fs";
import http from "node:http";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";

import { benchFolder } from "./checkpoints.ts";
import type { Contender, Request } from "./contender.ts";
import { endsWithUs } from "./ends-with-us.ts";
import { freePort } from "../../test/support/free-port.ts";
import { type Kernels, mathEnvironment } from "./math-environment.ts";

const venv = join(benchFolder, "venv");
const packages = ["mlx", "mlx-cpu", "mlx-lm"];

/** Installs it unless it is there, and says which versions there are. */
export const ensurePeer = (): string => {
  if (!existsSync(join(venv, "bin/mlx_lm.server"))) {
    execFileSync("python3", ["-m", "venv", venv], { stdio: "inherit" });
    execFileSync(join(venv, "bin/pip"), ["install", "--quiet", ...packages], { stdio: "inherit" });
  }
  const listed = execFileSync(join(venv, "bin/pip"), ["list", "--format=freeze"], { encoding: "utf8" });
  return listed
    .split("\n")
    .filter((line) => packages.includes(line.split("==")[0] ?? ""))
    .map((line) => line.replace("==", " "))
    .join(", ");
};

/** Its Python, with the same OpenBLAS as the engine: without it, it is 30 times slower. */
export const peerPython = join(venv, "bin/python");

export const peerEnvironment = (kernels?: Kernels): Record<string, string | undefined> => {
  const [openblas] = globSync("/usr/lib/*/libopenblas.so.0");
  return {
    ...process.env,
    ...mathEnvironment(kernels),
    ...(openblas === undefined ? {} : { LD_PRELOAD: openblas }),
    HF_HUB_OFFLINE: "1",
  };
};

export const peer: Contender = {
  start: async (model, { promptCacheBytes, kernels } = {}) => {
    const port = await freePort();
    const folder = await model.ensure();
    const child = endsWithUs(
      spawn(
        join(venv, "bin/mlx_lm.server"),
        [
          `--model=${folder}`,
          `--port=${port}`,
          "--log-level=ERROR",
          // Its default counts prompts: as many as fit are wanted where the bytes are told.
          ...(promptCacheBytes === undefined
            ? []
            : [`--prompt-cache-bytes=${promptCacheBytes}`, "--prompt-cache-size=1000"]),
        ],
        { env: peerEnvironment(kernels), stdio: ["ignore", "ignore", "ignore"] },
      ),
    );
    const agent = new http.Agent({ keepAlive: true, maxSockets: 64 });
    const complete = (request: Request, onText: () => void): Promise<number> =>
      completeOverHttp({ port, agent, folder, endTokenIds: model.endTokenIds }, request, onText);
    await ready(port, () => child.exitCode !== null);
    return {
      complete,
      pids: () => [child.pid ?? 0],
      stop: async () => {
        agent.destroy();
        child.kill("SIGKILL");
        await once(child, "exit");
      },
    };
  },
};

interface Address {
  readonly port: number;
  readonly agent: http.Agent;
  readonly folder: string;
  readonly endTokenIds: ReadonlyArray<number>;
}

const completeOverHttp = async (
  { port, agent, folder, endTokenIds }: Address,
  { prompt, maxTokens, signal }: Request,
  onText: () => void,
): Promise<number> => {
  const body = JSON.stringify({
    model: folder,
    prompt,
    max_tokens: maxTokens,
    temperature: 0,
    stream: true,
    stream_options: { include_usage: true },
    logit_bias: Object.fromEntries(endTokenIds.map((id) => [id, -100])),
  });
  const path = "/v1/completions";
  const request = http.request({ port, agent, host: "127.0.0.1", path, method: "POST", ...(signal && { signal }) });
  request.setHeader("content-type", "application/json");
  request.end(body);
  const [response] = (await once(request, "response")) as [http.IncomingMessage];
  if (response.statusCode !== 200) throw new Error(`the peer answered ${response.statusCode}`);
  let tokens = 0;
  for await (const line of createInterface({ input: response })) {
    if (!line.startsWith("data: {")) continue;
    const { choices = [], usage } = JSON.parse(line.slice(6)) as PeerEvent;
    if (choices.some(({ text = "" }) => text !== "")) onText();
    tokens = usage?.completion_tokens ?? tokens;
  }
  return tokens;
};

interface PeerEvent {
  readonly choices?: ReadonlyArray<{ readonly text?: string }>;
  readonly usage?: { readonly completion_tokens: number };
}

const ready = async (port: number, ended: () => boolean): Promise<void> => {
  for (;;) {
    if (ended()) throw new Error("mlx_lm.server ended before it was ready");
    const isUp = await fetch(`http://127.0.0.1:${port}/health`).then(
      ({ ok }) => ok,
      () => false,
    );
    if (isUp) return;
    await sleep(20);
  }
};
