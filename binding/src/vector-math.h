// Loops that a compiler turns into vector instructions, compiled for several kinds of x86 processors; which one is chosen
// when the addon is loaded.
#pragma once

#include <cstddef>

namespace binding {

/** out may be x. */
void vectorExp(const float* x, float* out, size_t count);
void vectorSigmoid(const float* x, float* out, size_t count);
/** Of one row, to which the mask is added before; without one it is null. */
void vectorSoftmax(const float* x, const float* mask, float* out, size_t count);

}  // namespace binding
