#include "vector-math.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

#if defined(__linux__) && defined(__x86_64__)
#define FOR_EACH_PROCESSOR __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default"), optimize("O3")))
#else
#define FOR_EACH_PROCESSOR
#endif

namespace binding {

namespace {

/**
 * e to the power of x, to 2 units in the last place, without a branch: x is cut into a multiple of ln 2 and a rest within
 * half of that, whose power is a polynomial (Cephes, expf; Cody and Waite's two parts of ln 2). 0 below the smallest
 * normal number, infinite above the largest.
 */
[[gnu::always_inline]] inline float powerOfE(float x) {
  constexpr float lowest = -87.33654f;
  constexpr float highest = 88.72283f;
  // Adding it leaves a float without a fraction: rounding to the nearest whole number.
  constexpr float rounder = 12582912.0f;
  float within = x < lowest ? lowest : x;
  within = within > highest ? highest : within;
  float whole = (within * 1.44269504f + rounder) - rounder;
  float rest = within - whole * 0.693359375f + whole * 2.12194440e-4f;
  float power = 1.9875691500e-4f;
  power = power * rest + 1.3981999507e-3f;
  power = power * rest + 8.3334519073e-3f;
  power = power * rest + 4.1665795894e-2f;
  power = power * rest + 1.6666665459e-1f;
  power = power * rest + 5.0000001201e-1f;
  power = power * rest * rest + rest + 1.0f;
  // In two steps, as 2^128 is no float.
  auto exponent = static_cast<int32_t>(whole);
  auto half = exponent >> 1;
  float first = std::bit_cast<float>((half + 127) << 23);
  float second = std::bit_cast<float>((exponent - half + 127) << 23);
  float result = power * first * second;
  result = x < lowest ? 0.0f : result;
  result = x > highest ? std::numeric_limits<float>::infinity() : result;
  return x != x ? x : result;
}

}  // namespace

FOR_EACH_PROCESSOR void vectorExp(const float* x, float* out, size_t count) {
  for (size_t i = 0; i < count; i++) out[i] = powerOfE(x[i]);
}

FOR_EACH_PROCESSOR void vectorSigmoid(const float* x, float* out, size_t count) {
  for (size_t i = 0; i < count; i++) out[i] = 1.0f / (1.0f + powerOfE(-x[i]));
}

FOR_EACH_PROCESSOR void vectorSoftmax(const float* x, const float* mask, float scale, float* out, size_t count) {
  // As many maxima and sums side by side as a vector has lanes: in one, each would wait for the one before.
  constexpr size_t lanes = 16;
  float maxima[lanes];
  float sums[lanes];
  // Minus infinity less itself is no number.
  constexpr float least = std::numeric_limits<float>::lowest();
  for (auto& each : maxima) each = least;
  for (auto& each : sums) each = 0.0f;
  size_t even = count - count % lanes;
  if (mask != nullptr) {
    for (size_t i = 0; i < count; i++) out[i] = x[i] * scale + mask[i];
    x = out;
  } else if (scale != 1.0f) {
    for (size_t i = 0; i < count; i++) out[i] = x[i] * scale;
    x = out;
  }
  for (size_t i = 0; i < even; i += lanes)
    for (size_t lane = 0; lane < lanes; lane++) maxima[lane] = x[i + lane] > maxima[lane] ? x[i + lane] : maxima[lane];
  float most = least;
  for (float each : maxima) most = std::max(most, each);
  for (size_t i = even; i < count; i++) most = std::max(most, x[i]);
  for (size_t i = 0; i < even; i += lanes)
    for (size_t lane = 0; lane < lanes; lane++) {
      float share = powerOfE(x[i + lane] - most);
      out[i + lane] = share;
      sums[lane] += share;
    }
  float total = 0.0f;
  for (size_t i = even; i < count; i++) {
    out[i] = powerOfE(x[i] - most);
    total += out[i];
  }
  for (float each : sums) total += each;
  float share = 1.0f / total;
  for (size_t i = 0; i < count; i++) out[i] *= share;
}

FOR_EACH_PROCESSOR void vectorRmsNorm(const float* x, const float* weight, float eps, float* out, size_t count) {
  constexpr size_t lanes = 16;
  float sums[lanes] = {};
  size_t even = count - count % lanes;
  for (size_t i = 0; i < even; i += lanes)
    for (size_t lane = 0; lane < lanes; lane++) sums[lane] += x[i + lane] * x[i + lane];
  float total = 0.0f;
  for (size_t i = even; i < count; i++) total += x[i] * x[i];
  for (float each : sums) total += each;
  float scale = 1.0f / std::sqrt(total / static_cast<float>(count) + eps);
  for (size_t i = 0; i < count; i++) out[i] = x[i] * scale * weight[i];
}

FOR_EACH_PROCESSOR void vectorSwiGlu(const float* gate, const float* up, float* out, size_t count) {
  for (size_t i = 0; i < count; i++) out[i] = gate[i] / (1.0f + powerOfE(-gate[i])) * up[i];
}

FOR_EACH_PROCESSOR void vectorRotation(
    float position, const float* frequencies, float* cosines, float* sines, size_t count) {
  // Adding it leaves a double without a fraction.
  constexpr double rounder = 6755399441055744.0;
  for (size_t i = 0; i < count; i++) {
    // Less quarters of a turn in 64 bits, which leaves a float's precision also of positions in the millions.
    double angle = position * frequencies[i];
    double quarters = (angle * 0.63661977236758134308 + rounder) - rounder;
    float rest = static_cast<float>(angle - quarters * 1.57079632679489661923);
    float square = rest * rest;
    // Cephes, sinf and cosf: within an eighth of a turn.
    float sine = ((-1.9515295891e-4f * square + 8.3321608736e-3f) * square - 1.6666654611e-1f) * square * rest + rest;
    float cosine = ((2.443315711809948e-5f * square - 1.388731625493765e-3f) * square + 4.166664568298827e-2f) * square *
            square - 0.5f * square + 1.0f;
    // Which quarter it is: 0 to 3.
    double turn = quarters - 4.0 * ((quarters * 0.25 - 0.375 + rounder) - rounder);
    bool isOdd = turn == 1.0 || turn == 3.0;
    float first = isOdd ? sine : cosine;
    float second = isOdd ? cosine : sine;
    cosines[i] = turn == 1.0 || turn == 2.0 ? -first : first;
    sines[i] = turn >= 2.0 ? -second : second;
  }
}

FOR_EACH_PROCESSOR void vectorRotate(
    const float* x, const float* cosines, const float* sines, float* out, size_t count, bool inPairs) {
  if (inPairs) {
    for (size_t i = 0; i < count; i++) {
      float first = x[2 * i];
      float second = x[2 * i + 1];
      out[2 * i] = first * cosines[i] - second * sines[i];
      out[2 * i + 1] = first * sines[i] + second * cosines[i];
    }
    return;
  }
  for (size_t i = 0; i < count; i++) out[i] = x[i] * cosines[i] - x[count + i] * sines[i];
  for (size_t i = 0; i < count; i++) out[count + i] = x[i] * sines[i] + x[count + i] * cosines[i];
}

}  // namespace binding
