#include "mlx/fast.h"

#include "arguments.h"
#include "cpu-kernels.h"
#include "operations.h"

namespace binding {

void defineFast(Napi::Object exports) {
  auto fast = Napi::Object::New(exports.Env());
  exports.Set("fast", fast);
  define(fast, "rmsNorm", [](const Arguments& arguments) {
    auto eps = static_cast<float>(arguments.real(2));
    return Tensor::wrap(
        arguments.env(), mx::fast::rms_norm(arguments.tensor(0), arguments.optionalTensor(1), eps));
  });
  // (x [..., tokens, dims], dims, traditional, base | undefined, scale, offset: number | int32 [rows], frequencies?)
  define(fast, "rope", [](const Arguments& arguments) {
    const auto& x = arguments.tensor(0);
    auto dims = arguments.integer(1);
    auto traditional = arguments.flag(2, false);
    std::optional<float> base;
    if (arguments.has(3)) base = static_cast<float>(arguments.real(3));
    auto scale = static_cast<float>(arguments.real(4, 1));
    auto frequencies = arguments.optionalTensor(6);
    auto rotated = arguments.at(5).IsNumber()
        ? mx::fast::rope(x, dims, traditional, base, scale, arguments.integer(5), frequencies)
        : mx::fast::rope(x, dims, traditional, base, scale, arguments.tensor(5), frequencies);
    return Tensor::wrap(arguments.env(), std::move(rotated));
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
    auto computed = isCausal || sinks ? std::nullopt : cpuAttention(queries, keys, values, scale, mask);
    return Tensor::wrap(
        arguments.env(),
        computed ? std::move(*computed)
                 : mx::fast::scaled_dot_product_attention(queries, keys, values, scale, mode, mask, sinks));
  });
}

}  // namespace binding
