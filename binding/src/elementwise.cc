#include "arguments.h"
#include "cpu-kernels.h"
#include "operations.h"

namespace binding {

namespace {

using Unary = mx::array (*)(const mx::array&, mx::StreamOrDevice);
using Binary = mx::array (*)(const mx::array&, const mx::array&, mx::StreamOrDevice);

template <Unary operation>
Napi::Value unary(const Arguments& arguments) {
  return Tensor::wrap(arguments.env(), operation(arguments.tensor(0), {}));
}

template <Unary operation, std::optional<mx::array> (*onCpu)(const mx::array&)>
Napi::Value unary(const Arguments& arguments) {
  const auto& x = arguments.tensor(0);
  auto computed = onCpu(x);
  return Tensor::wrap(arguments.env(), computed ? std::move(*computed) : operation(x, {}));
}

template <Binary operation>
Napi::Value binary(const Arguments& arguments) {
  auto [a, b] = arguments.operands(0, 1);
  return Tensor::wrap(arguments.env(), operation(a, b, {}));
}

}  // namespace

void defineElementwise(Napi::Object exports) {
  define(exports, "abs", unary<mx::abs>);
  define(exports, "negative", unary<mx::negative>);
  define(exports, "floor", unary<mx::floor>);
  define(exports, "exp", unary<mx::exp, cpuExp>);
  define(exports, "log", unary<mx::log>);
  define(exports, "cos", unary<mx::cos>);
  define(exports, "sin", unary<mx::sin>);
  define(exports, "sqrt", unary<mx::sqrt>);
  define(exports, "rsqrt", unary<mx::rsqrt>);
  define(exports, "square", unary<mx::square>);
  define(exports, "sigmoid", unary<mx::sigmoid, cpuSigmoid>);
  define(exports, "tanh", unary<mx::tanh>);
  define(exports, "isfinite", unary<mx::isfinite>);
  define(exports, "logicalNot", unary<mx::logical_not>);

  define(exports, "add", binary<mx::add>);
  define(exports, "subtract", binary<mx::subtract>);
  define(exports, "multiply", binary<mx::multiply>);
  define(exports, "divide", binary<mx::divide>);
  define(exports, "power", binary<mx::power>);
  define(exports, "maximum", binary<mx::maximum>);
  define(exports, "minimum", binary<mx::minimum>);
  define(exports, "less", binary<mx::less>);
  define(exports, "lessEqual", binary<mx::less_equal>);
  define(exports, "greater", binary<mx::greater>);
  define(exports, "greaterEqual", binary<mx::greater_equal>);
  define(exports, "equal", binary<mx::equal>);
  define(exports, "notEqual", binary<mx::not_equal>);
  define(exports, "logicalAnd", binary<mx::logical_and>);
  define(exports, "logicalOr", binary<mx::logical_or>);
  define(exports, "bitwiseAnd", binary<mx::bitwise_and>);
  define(exports, "bitwiseOr", binary<mx::bitwise_or>);
  define(exports, "leftShift", binary<mx::left_shift>);
  define(exports, "rightShift", binary<mx::right_shift>);

  define(exports, "where", [](const Arguments& arguments) {
    auto [a, b] = arguments.operands(1, 2);
    return Tensor::wrap(arguments.env(), mx::where(arguments.tensor(0), a, b));
  });
}

}  // namespace binding
