#include "arguments.h"
#include "cpu-kernels.h"
#include "operations.h"

namespace binding {

namespace {

using OverAll = mx::array (*)(const mx::array&, bool, mx::StreamOrDevice);
using OverOne = mx::array (*)(const mx::array&, int, bool, mx::StreamOrDevice);

/** (tensor, axis?, keepdims = false): of all elements without an axis. */
template <OverAll overAll, OverOne overOne>
Napi::Value reduce(const Arguments& arguments) {
  auto keepdims = arguments.flag(2, false);
  auto axis = arguments.optionalInteger(1);
  const auto& array = arguments.tensor(0);
  return Tensor::wrap(arguments.env(), axis ? overOne(array, *axis, keepdims, {}) : overAll(array, keepdims, {}));
}

}  // namespace

void defineReductions(Napi::Object exports) {
  define(exports, "sum", reduce<mx::sum, mx::sum>);
  define(exports, "mean", reduce<mx::mean, mx::mean>);
  define(exports, "max", reduce<mx::max, mx::max>);
  define(exports, "min", reduce<mx::min, mx::min>);
  define(exports, "all", reduce<mx::all, mx::all>);
  define(exports, "any", reduce<mx::any, mx::any>);
  define(exports, "argmax", reduce<mx::argmax, mx::argmax>);
  define(exports, "argmin", reduce<mx::argmin, mx::argmin>);
  define(exports, "logsumexp", reduce<mx::logsumexp, mx::logsumexp>);
  define(exports, "softmax", [](const Arguments& arguments) {
    const auto& x = arguments.tensor(0);
    auto axis = arguments.integer(1);
    auto isLast = axis == -1 || axis + 1 == static_cast<int>(x.ndim());
    auto computed = isLast ? cpuSoftmax(x) : std::nullopt;
    return Tensor::wrap(
        arguments.env(), computed ? std::move(*computed) : mx::softmax(x, axis, arguments.flag(2, false)));
  });
  define(exports, "cumsum", [](const Arguments& arguments) {
    auto reverse = arguments.flag(2, false);
    auto inclusive = arguments.flag(3, true);
    return Tensor::wrap(
        arguments.env(), mx::cumsum(arguments.tensor(0), arguments.integer(1), reverse, inclusive));
  });
  define(exports, "sort", [](const Arguments& arguments) {
    return Tensor::wrap(arguments.env(), mx::sort(arguments.tensor(0), arguments.integer(1)));
  });
  define(exports, "argsort", [](const Arguments& arguments) {
    return Tensor::wrap(arguments.env(), mx::argsort(arguments.tensor(0), arguments.integer(1)));
  });
  define(exports, "argpartition", [](const Arguments& arguments) {
    return Tensor::wrap(
        arguments.env(), mx::argpartition(arguments.tensor(0), arguments.integer(1), arguments.integer(2)));
  });
}

}  // namespace binding
