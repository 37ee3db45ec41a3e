// What lies between a layer's products, in float32 on Linux CPUs, each in one pass over its input: MLX composes these of five
// to ten operations there. Inputs may be views.
#pragma once

#include <optional>

#include "mlx/array.h"

namespace binding {

namespace mx = mlx::core;

/** Each is undefined where it does not apply, as in cpu-kernels.h. `weight` is [the size of x's last axis]. */
std::optional<mx::array> cpuRmsNorm(const mx::array& x, const mx::array& weight, float eps);
/** gate * sigmoid(gate) * up, of one shape. */
std::optional<mx::array> cpuSwiGlu(const mx::array& gate, const mx::array& up);
/**
 * Rotary position embedding of the first `dims` elements.
 *
 * @param x [rows, heads, tokens, size]
 * @param scale what positions are multiplied with first
 * @param offsets the position of each row's first token, int32 [rows]
 * @param frequencies radians per position, [dims / 2]
 */
std::optional<mx::array> cpuRope(
    const mx::array& x,
    int dims,
    bool inPairs,
    float scale,
    const mx::array& offsets,
    const mx::array& frequencies);
/**
 * Writes `update` [rows, heads, tokens, size] into columns of `array` [rows, heads, columns, size], from this one on. MLX
 * copies the array where something that is still to be computed reads its buffer; this writes it in any case, so whatever
 * reads it must not look at these columns.
 */
std::optional<mx::array> cpuPutColumns(const mx::array& array, const mx::array& update, int from);

}  // namespace binding
