#include "mlx/random.h"

#include "arguments.h"
#include "operations.h"

namespace binding {

void defineRandom(Napi::Object exports) {
  auto random = Napi::Object::New(exports.Env());
  exports.Set("random", random);
  define(random, "key", [](const Arguments& arguments) {
    return Tensor::wrap(arguments.env(), mx::random::key(arguments.natural(0)));
  });
  // (shape, dtype, mean, deviation, key?)
  define(random, "normal", [](const Arguments& arguments) {
    auto mean = static_cast<float>(arguments.real(2, 0));
    auto deviation = static_cast<float>(arguments.real(3, 1));
    return Tensor::wrap(
        arguments.env(),
        mx::random::normal(
            arguments.shape(0), arguments.dtype(1, mx::float32), mean, deviation, arguments.optionalTensor(4)));
  });
  // (low, high, shape, dtype, key?)
  define(random, "uniform", [](const Arguments& arguments) {
    return Tensor::wrap(
        arguments.env(),
        mx::random::uniform(
            mx::array(static_cast<float>(arguments.real(0))),
            mx::array(static_cast<float>(arguments.real(1))),
            arguments.shape(2),
            arguments.dtype(3, mx::float32),
            arguments.optionalTensor(4)));
  });
  // (low, high, shape, dtype, key?)
  define(random, "randint", [](const Arguments& arguments) {
    auto dtype = arguments.dtype(3, mx::int32);
    return Tensor::wrap(
        arguments.env(),
        mx::random::randint(
            mx::array(arguments.real(0), dtype),
            mx::array(arguments.real(1), dtype),
            arguments.shape(2),
            dtype,
            arguments.optionalTensor(4)));
  });
}

}  // namespace binding
