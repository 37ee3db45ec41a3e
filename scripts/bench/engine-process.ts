/** Engines without a server, ours and the peer's, in processes of their own. */
import { fork, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";

import type { SpeculationMode } from "../../src/service/worker/protocol/to-worker.ts";
import { endsWithUs } from "./ends-with-us.ts";
import type { Kernels } from "./math-environment.ts";
import { peerEnvironment, peerPython } from "./peer.ts";

/** @param circle ids that the prompts count through; without it prompts are arbitrary */
export type Work = readonly [
  sequences: number,
  promptTokens: number,
  maxTokens: number,
  circle?: { readonly first: number; readonly length: number },
];

export interface EngineProcess {
  /** Tokens a second. */
  readonly generate: (work: Work) => Promise<number>;
  readonly stop: () => void;
}

/**
 * @param environment of the process, as the service would start it
 * @param draftFolder of a model that drafts for it
 */
export const startBareEngine = async (
  folder: string,
  environment: Readonly<Record<string, string | undefined>>,
  speculation: SpeculationMode = "off",
  draftFolder?: string,
): Promise<EngineProcess> => {
  const child = endsWithUs(
    fork(
      join(import.meta.dirname, "bare-engine.ts"),
      [folder, speculation, ...(draftFolder === undefined ? [] : [draftFolder])],
      {
        execArgv: ["--expose-gc"],
        env: environment,
      },
    ),
  );
  await once(child, "message");
  return {
    generate: async (work) => {
      const answer = once(child, "message");
      child.send(work);
      return Number((await answer)[0]);
    },
    stop: () => void child.kill(),
  };
};

export const startPeerEngine = async (folder: string, kernels?: Kernels): Promise<EngineProcess> => {
  const child = spawn(peerPython, [join(import.meta.dirname, "peer_engine.py"), folder], {
    env: peerEnvironment(kernels),
    stdio: ["pipe", "pipe", "ignore"],
  });
  endsWithUs(child);
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  await lines.next();
  return {
    generate: async (work) => {
      child.stdin.write(`${JSON.stringify(work)}\n`);
      return Number((await lines.next()).value);
    },
    stop: () => void child.kill("SIGKILL"),
  };
};
