/** What the OpenBLAS that MLX multiplies with on a CPU can do, by the kernels it was told to use. */

/**
 * Whether these kernels multiply small matrices where they lie. Otherwise OpenBLAS copies a matrix before it multiplies,
 * which for few tokens costs more than the product itself. Only the AVX-512 kernels have that path; with others
 * pieces only add overhead. Names: driver/others/dynamic.c of OpenBLAS, which ignores case as well.
 */
export const hasInPlaceKernels = (coreType: string | undefined): boolean =>
  ["skylakex", "cooperlake", "sapphirerapids"].includes(coreType?.toLowerCase() ?? "");

/**
 * Decided by name and not by a measurement: pieces round differently in the last bit, and a seed has to give the same
 * text after a restart. The service always names the kernels where the CPU has AVX2 (config/EngineConfig.ts).
 */
export const multipliesInPlace = hasInPlaceKernels(process.env["OPENBLAS_CORETYPE"]);
