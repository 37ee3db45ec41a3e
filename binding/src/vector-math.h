// Loops that a compiler turns into vector instructions, compiled for several kinds of x86 processors; which one is chosen
// when the addon is loaded.
#pragma once

#include <cstddef>

namespace binding {

/** out may be x. */
void vectorExp(const float* x, float* out, size_t count);
void vectorSigmoid(const float* x, float* out, size_t count);
/** Of one row, multiplied by the scale first; then the mask is added, which is null where there is none. out may be x. */
void vectorSoftmax(const float* x, const float* mask, float scale, float* out, size_t count);
/** Of one row. out may be x. */
void vectorRmsNorm(const float* x, const float* weight, float eps, float* out, size_t count);
void vectorSwiGlu(const float* gate, const float* up, float* out, size_t count);
/** Of a position times each frequency. */
void vectorRotation(float position, const float* frequencies, float* cosines, float* sines, size_t count);
/** Turns pairs of elements, as many as there are cosines: each with the one `count` further, or with the next. */
void vectorRotate(const float* x, const float* cosines, const float* sines, float* out, size_t count, bool inPairs);

}  // namespace binding
