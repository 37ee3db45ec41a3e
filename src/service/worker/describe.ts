/**
 * A program for `mlxd doctor`: reports which MLX an engine would load here, and whether its files are the published
 * ones. Loading MLX may end the process, so everything known before that is reported first.
 */
import { fileStates } from "./binding/file-states.ts";
import type { MlxDescription } from "./protocol/mlx-description.ts";

const tell = (part: MlxDescription): void => void process.send?.(part);

tell({ type: "files", files: fileStates() });
// Loads MLX. If it throws, the error goes to standard error, as in an engine.
const { binding, device, mx } = await import("./mlx.ts");
mx.eval(mx.add(mx.zeros([1]), 1));
tell({ type: "loaded", device, mlx: { version: mx.version, binding: mx.binding, reason: binding.reason } });
process.disconnect?.();
