/**
 * Chooses the binding of MLX: the project's own if it loads, otherwise node-mlx, or the one that MLXD_BINDING names.
 */
import type { Core } from "./core.ts";
import { loadNodeMlx } from "./node-mlx.ts";
import { loadOwn } from "./own.ts";

export interface Binding {
  readonly core: Core;
  /** Why this binding was chosen, in one sentence. */
  readonly reason: string;
}

/** Throws an Error whose message the service reads from standard error, as the process cannot send messages yet. */
export const chooseBinding = (
  named: string | undefined = process.env["MLXD_BINDING"],
  { own, nodeMlx, platform }: Loaders = { own: loadOwn, nodeMlx: loadNodeMlx, platform: process.platform },
): Binding => {
  switch (named) {
    case "own":
      return {
        core: load(own, "MLXD_BINDING=node-mlx takes the npm package instead"),
        reason: "MLXD_BINDING names it",
      };
    case "node-mlx":
      return { core: load(nodeMlx, "MLXD_BINDING=own takes the binding of mlxd"), reason: "MLXD_BINDING names it" };
    case undefined:
    case "":
    case "auto":
      return byDefault(own, nodeMlx, platform);
    default:
      throw new Error(`MLX cannot be loaded: MLXD_BINDING is "${named}", and has to be "auto", "own" or "node-mlx"`);
  }
};

interface Loaders {
  readonly own: () => Core;
  readonly nodeMlx: () => Core;
  readonly platform: NodeJS.Platform;
}

const byDefault = (own: Loaders["own"], nodeMlx: Loaders["nodeMlx"], platform: NodeJS.Platform): Binding => {
  try {
    return { core: own(), reason: "it is the default" };
  } catch (cause) {
    const problem = firstLine(cause);
    // Its MLX of 2024 computes some results wrongly on a GPU.
    if (platform === "darwin") {
      throw new Error(
        `MLX cannot be loaded: ${problem} (scripts/with-mlx fetches its libraries; MLXD_BINDING=node-mlx takes an older MLX)`,
        { cause },
      );
    }
    return {
      core: load(nodeMlx, `and mlxd's own binding does not load: ${problem}`),
      reason: `mlxd's own does not load: ${problem}`,
    };
  }
};

const load = (loader: () => Core, alternative: string): Core => {
  try {
    return loader();
  } catch (cause) {
    throw new Error(`MLX cannot be loaded: ${firstLine(cause)} (${alternative})`, { cause });
  }
};

const firstLine = (cause: unknown): string =>
  (cause instanceof Error ? cause.message : String(cause)).split("\n")[0] ?? "";
