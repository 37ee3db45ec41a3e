/** The abilities of the OpenBLAS that MLX uses on a CPU, according to the kernels that it was told to use. */

/**
 * Whether these kernels multiply small matrices in place. Otherwise OpenBLAS copies a matrix before it multiplies,
 * which for few tokens costs more than the product itself. Only the AVX-512 kernels can do this; with others, splitting
 * into pieces only adds overhead. The names come from driver/others/dynamic.c of OpenBLAS, which also ignores case.
 */
export const hasInPlaceKernels = (coreType: string | undefined): boolean =>
  ["skylakex", "cooperlake", "sapphirerapids"].includes(coreType?.toLowerCase() ?? "");

/**
 * Decided by name and not by a measurement: pieces round differently in the last bit, and a seed has to give the same
 * text after a restart. The service always names the kernels if the CPU has AVX2 (config/EngineConfig.ts).
 */
export const multipliesInPlace = hasInPlaceKernels(process.env["OPENBLAS_CORETYPE"]);
