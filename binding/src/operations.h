// The operations, a file for each group.
#pragma once

#include <napi.h>

namespace binding {

/** Arrays made of numbers, and typed arrays. */
void defineCreation(Napi::Object exports);
/** What is computed element by element, with broadcasting. */
void defineElementwise(Napi::Object exports);
/** Along an axis: sums, maxima, sorting. */
void defineReductions(Napi::Object exports);
/** Other shapes, parts and joins. */
void defineShapes(Napi::Object exports);
/** Products of matrices, quantised ones among them. */
void defineProducts(Napi::Object exports);
/** MLX's fused operations, under `fast`. */
void defineFast(Napi::Object exports);
/** Under `random`. */
void defineRandom(Napi::Object exports);
/** safetensors files. */
void defineFiles(Napi::Object exports);
/** Evaluation and what a graph holds. */
void defineEvaluation(Napi::Object exports);
/** Memory and its limits. */
void defineMemory(Napi::Object exports);
/** Devices and streams. */
void defineDevices(Napi::Object exports);

}  // namespace binding
