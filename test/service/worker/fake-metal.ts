/**
 * Loaded by `--import` into an engine process: MLX says that it has a GPU, and computes on the CPU all the same. What is
 * asked of the GPU's memory is written to standard error, a line each: `memory: setCacheLimit 1048576`.
 */
import { loadOwn } from "../../../src/service/worker/binding/own.ts";

// The worker gets the same object.
const mlx = loadOwn();

const workingSetBytes = 12 * 1024 ** 3;
let cachedBytes = 3 * 1024 ** 2;

const told =
  (name: string, answer: (bytes: number) => unknown = () => 0) =>
  (bytes?: number): unknown => {
    process.stderr.write(`memory: ${name}${bytes === undefined ? "" : ` ${bytes}`}\n`);
    return answer(bytes ?? 0);
  };

Object.assign(mlx, {
  isAvailable: () => true,
  deviceInfo: () => ({ device_name: "fake", max_recommended_working_set_size: workingSetBytes }),
  getCacheMemory: () => cachedBytes,
  setCacheLimit: told("setCacheLimit"),
  // The CPU's allocator keeps to it: it is told, and not set.
  setMemoryLimit: told("setMemoryLimit"),
  setWiredLimit: told("setWiredLimit"),
  clearCache: told("clearCache", () => (cachedBytes = 0)),
});
