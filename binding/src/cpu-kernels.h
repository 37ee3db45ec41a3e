// Operations of float32 on Linux CPUs. MLX's own exponentials compute one number at a time there (its vectors are those of
// Apple's processors), which made them most of what a layer does beside its products; these take as many at a time as the
// processor has lanes for.
#pragma once

#include <optional>

#include "mlx/array.h"

namespace binding {

namespace mx = mlx::core;

/** Each is undefined where it does not apply: another type, another device, another system. MLX's own does it then. */
std::optional<mx::array> cpuExp(const mx::array& x);
std::optional<mx::array> cpuSigmoid(const mx::array& x);
/** Along the last axis. */
std::optional<mx::array> cpuSoftmax(const mx::array& x);
/**
 * Scaled dot-product attention with shared heads.
 *
 * @param mask added to the scores: [rows or 1, 1, tokens, columns]
 * @param isCausal without a mask: the queries are those of the last columns, and look at none behind their own
 */
std::optional<mx::array> cpuAttention(
    const mx::array& queries,
    const mx::array& keys,
    const mx::array& values,
    float scale,
    const std::optional<mx::array>& mask,
    bool isCausal);

}  // namespace binding
