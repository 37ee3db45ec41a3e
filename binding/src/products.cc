#include "arguments.h"
#include "operations.h"

namespace binding {

void defineProducts(Napi::Object exports) {
  define(exports, "matmul", [](const Arguments& arguments) {
    return Tensor::wrap(arguments.env(), mx::matmul(arguments.tensor(0), arguments.tensor(1)));
  });
  // a + b @ c.
  define(exports, "addmm", [](const Arguments& arguments) {
    return Tensor::wrap(
        arguments.env(), mx::addmm(arguments.tensor(0), arguments.tensor(1), arguments.tensor(2)));
  });
  // (a, b, indicesOfA?, indicesOfB?, sorted = false)
  define(exports, "gatherMm", [](const Arguments& arguments) {
    return Tensor::wrap(
        arguments.env(),
        mx::gather_mm(
            arguments.tensor(0),
            arguments.tensor(1),
            arguments.optionalTensor(2),
            arguments.optionalTensor(3),
            arguments.flag(4, false)));
  });
  // (w, groupSize, bits, mode = "affine"): packed numbers, scales and, of the affine mode, biases.
  define(exports, "quantize", [](const Arguments& arguments) -> Napi::Value {
    auto parts = mx::quantize(
        arguments.tensor(0),
        arguments.optionalInteger(1),
        arguments.optionalInteger(2),
        arguments.text(3, "affine"));
    auto result = Napi::Array::New(arguments.env(), parts.size());
    for (uint32_t place = 0; place < parts.size(); place++) {
      result.Set(place, Tensor::wrap(arguments.env(), std::move(parts[place])));
    }
    return result;
  });
  // (w, scales, biases | undefined, groupSize, bits, mode = "affine", dtype?)
  define(exports, "dequantize", [](const Arguments& arguments) {
    std::optional<mx::Dtype> dtype;
    if (arguments.has(6)) dtype = arguments.dtype(6);
    return Tensor::wrap(
        arguments.env(),
        mx::dequantize(
            arguments.tensor(0),
            arguments.tensor(1),
            arguments.optionalTensor(2),
            arguments.optionalInteger(3),
            arguments.optionalInteger(4),
            arguments.text(5, "affine"),
            std::nullopt,
            dtype));
  });
  // (x, w, scales, biases | undefined, transpose, groupSize, bits, mode = "affine")
  define(exports, "quantizedMatmul", [](const Arguments& arguments) {
    return Tensor::wrap(
        arguments.env(),
        mx::quantized_matmul(
            arguments.tensor(0),
            arguments.tensor(1),
            arguments.tensor(2),
            arguments.optionalTensor(3),
            arguments.flag(4, true),
            arguments.optionalInteger(5),
            arguments.optionalInteger(6),
            arguments.text(7, "affine")));
  });
  // (x, w, scales, biases | undefined, indicesOfX?, indicesOfW?, transpose, groupSize, bits, mode = "affine", sorted)
  define(exports, "gatherQmm", [](const Arguments& arguments) {
    return Tensor::wrap(
        arguments.env(),
        mx::gather_qmm(
            arguments.tensor(0),
            arguments.tensor(1),
            arguments.tensor(2),
            arguments.optionalTensor(3),
            arguments.optionalTensor(4),
            arguments.optionalTensor(5),
            arguments.flag(6, true),
            arguments.optionalInteger(7),
            arguments.optionalInteger(8),
            arguments.text(9, "affine"),
            std::nullopt,
            arguments.flag(10, false)));
  });
}

}  // namespace binding
