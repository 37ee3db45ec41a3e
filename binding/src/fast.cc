#include "mlx/fast.h"
#include "mlx/ops.h"

#include "arguments.h"
#include "cpu-kernels.h"
#include "cpu-layers.h"
#include "operations.h"

namespace binding {

void defineFast(Napi::Object exports) {
  auto fast = Napi::Object::New(exports.Env());
  exports.Set("fast", fast);
  define(fast, "rmsNorm", [](const Arguments& arguments) {
    const auto& x = arguments.tensor(0);
    auto weight = arguments.optionalTensor(1);
    auto eps = static_cast<float>(arguments.real(2));
    auto computed = weight ? cpuRmsNorm(x, *weight, eps) : std::nullopt;
    return Tensor::wrap(arguments.env(), computed ? std::move(*computed) : mx::fast::rms_norm(x, weight, eps));
  });
  // (gate, up): gate * sigmoid(gate) * up.
  define(fast, "swiglu", [](const Arguments& arguments) {
    const auto& gate = arguments.tensor(0);
    const auto& up = arguments.tensor(1);
    auto computed = cpuSwiGlu(gate, up);
    return Tensor::wrap(
        arguments.env(),
        computed ? std::move(*computed) : mx::multiply(mx::multiply(gate, mx::sigmoid(gate)), up));
  });
  // (x [..., tokens, dims], dims, traditional, base | undefined, scale, offset: number | int32 [rows], periods?,
  // frequencies?): frequencies are what 1 / periods is rounded from; a CPU takes them as they are.
  define(fast, "rope", [](const Arguments& arguments) {
    const auto& x = arguments.tensor(0);
    auto dims = arguments.integer(1);
    auto traditional = arguments.flag(2, false);
    std::optional<float> base;
    if (arguments.has(3)) base = static_cast<float>(arguments.real(3));
    auto scale = static_cast<float>(arguments.real(4, 1));
    auto periods = arguments.optionalTensor(6);
    auto frequencies = arguments.optionalTensor(7);
    if (arguments.at(5).IsNumber()) {
      return Tensor::wrap(
          arguments.env(), mx::fast::rope(x, dims, traditional, base, scale, arguments.integer(5), periods));
    }
    const auto& offsets = arguments.tensor(5);
    auto computed = frequencies ? cpuRope(x, dims, traditional, scale, offsets, *frequencies) : std::nullopt;
    return Tensor::wrap(
        arguments.env(),
        computed ? std::move(*computed) : mx::fast::rope(x, dims, traditional, base, scale, offsets, periods));
  });
  // (q, k, v, scale, mask?: tensor | "causal", sinks?)
  define(fast, "scaledDotProductAttention", [](const Arguments& arguments) {
    auto isCausal = arguments.has(4) && arguments.at(4).IsString();
    std::string mode = isCausal ? arguments.text(4) : "";
    std::optional<mx::array> mask;
    if (arguments.has(4) && !isCausal) mask = arguments.tensor(4);
    const auto& queries = arguments.tensor(0);
    const auto& keys = arguments.tensor(1);
    const auto& values = arguments.tensor(2);
    auto scale = static_cast<float>(arguments.real(3));
    auto sinks = arguments.optionalTensor(5);
    auto computed = sinks ? std::nullopt : cpuAttention(queries, keys, values, scale, mask, isCausal);
    return Tensor::wrap(
        arguments.env(),
        computed ? std::move(*computed)
                 : mx::fast::scaled_dot_product_attention(queries, keys, values, scale, mode, mask, sinks));
  });
}

}  // namespace binding
