#include "arguments.h"
#include "dtypes.h"
#include "operations.h"
#include "read.h"

namespace binding {

void defineCreation(Napi::Object exports) {
  define(exports, "array", [](const Arguments& arguments) {
    std::optional<mx::Dtype> dtype;
    if (arguments.has(1)) dtype = arguments.dtype(1);
    return Tensor::wrap(arguments.env(), makeArray(arguments.at(0), dtype));
  });
  define(exports, "zeros", [](const Arguments& arguments) {
    return Tensor::wrap(arguments.env(), mx::zeros(arguments.shape(0), arguments.dtype(1, mx::float32)));
  });
  define(exports, "ones", [](const Arguments& arguments) {
    return Tensor::wrap(arguments.env(), mx::ones(arguments.shape(0), arguments.dtype(1, mx::float32)));
  });
  define(exports, "full", [](const Arguments& arguments) {
    auto dtype = arguments.dtype(2, mx::float32);
    return Tensor::wrap(arguments.env(), mx::full(arguments.shape(0), mx::array(arguments.real(1), dtype)));
  });
  define(exports, "arange", [](const Arguments& arguments) {
    auto step = arguments.real(2, 1);
    auto dtype = arguments.dtype(3, mx::float32);
    return Tensor::wrap(arguments.env(), mx::arange(arguments.real(0), arguments.real(1), step, dtype));
  });
}

}  // namespace binding
