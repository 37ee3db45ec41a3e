/**
 * A program of its own for `mlxd doctor`: tells which MLX an engine would load here, and whether its files are what was
 * published. What keeps MLX from loading may end it, so what is known by then has been told.
 */
import { fileStates } from "./binding/file-states.ts";
import type { MlxDescription } from "./protocol.ts";

const tell = (part: MlxDescription): void => void process.send?.(part);

tell({ type: "files", files: fileStates() });
// Loads MLX; what is thrown goes to standard error, as from an engine.
const { binding, device, mx } = await import("./mlx.ts");
mx.eval(mx.add(mx.zeros([1]), 1));
tell({ type: "loaded", device, mlx: { version: mx.version, binding: mx.binding, reason: binding.reason } });
process.disconnect?.();
