#include "arguments.h"
#include "operations.h"

namespace binding {

namespace {

/** Integer places, or one as a number. */
mx::array placesOf(const Arguments& arguments, size_t index) {
  if (arguments.at(index).IsNumber()) return mx::array(arguments.integer(index));
  return arguments.tensor(index);
}

}  // namespace

void defineShapes(Napi::Object exports) {
  define(exports, "reshape", [](const Arguments& arguments) {
    auto sizes = arguments.integers(1);
    return Tensor::wrap(arguments.env(), mx::reshape(arguments.tensor(0), mx::Shape(sizes.begin(), sizes.end())));
  });
  define(exports, "transpose", [](const Arguments& arguments) {
    const auto& array = arguments.tensor(0);
    return Tensor::wrap(
        arguments.env(), arguments.has(1) ? mx::transpose(array, arguments.integers(1)) : mx::transpose(array));
  });
  define(exports, "flatten", [](const Arguments& arguments) {
    return Tensor::wrap(arguments.env(), mx::flatten(arguments.tensor(0)));
  });
  define(exports, "squeeze", [](const Arguments& arguments) {
    return Tensor::wrap(arguments.env(), mx::squeeze(arguments.tensor(0), arguments.integer(1)));
  });
  define(exports, "expandDims", [](const Arguments& arguments) {
    return Tensor::wrap(arguments.env(), mx::expand_dims(arguments.tensor(0), arguments.integer(1)));
  });
  define(exports, "broadcastTo", [](const Arguments& arguments) {
    return Tensor::wrap(arguments.env(), mx::broadcast_to(arguments.tensor(0), arguments.shape(1)));
  });
  define(exports, "contiguous", [](const Arguments& arguments) {
    return Tensor::wrap(arguments.env(), mx::contiguous(arguments.tensor(0)));
  });
  define(exports, "view", [](const Arguments& arguments) {
    return Tensor::wrap(arguments.env(), mx::view(arguments.tensor(0), arguments.dtype(1)));
  });
  define(exports, "concatenate", [](const Arguments& arguments) {
    return Tensor::wrap(arguments.env(), mx::concatenate(arguments.tensors(0), arguments.integer(1, 0)));
  });
  define(exports, "stack", [](const Arguments& arguments) {
    return Tensor::wrap(arguments.env(), mx::stack(arguments.tensors(0), arguments.integer(1, 0)));
  });
  // (tensor, parts: number | places[], axis)
  define(exports, "split", [](const Arguments& arguments) -> Napi::Value {
    auto axis = arguments.integer(2, 0);
    const auto& array = arguments.tensor(0);
    std::vector<mx::array> parts;
    if (arguments.at(1).IsArray()) {
      auto places = arguments.integers(1);
      parts = mx::split(array, mx::Shape(places.begin(), places.end()), axis);
    } else {
      auto count = arguments.integer(1);
      if (count < 1) arguments.refuse(1, "1 or more");
      parts = mx::split(array, count, axis);
    }
    auto result = Napi::Array::New(arguments.env(), parts.size());
    for (uint32_t place = 0; place < parts.size(); place++) {
      result.Set(place, Tensor::wrap(arguments.env(), std::move(parts[place])));
    }
    return result;
  });
  define(exports, "take", [](const Arguments& arguments) {
    auto axis = arguments.optionalInteger(2);
    const auto& array = arguments.tensor(0);
    auto places = placesOf(arguments, 1);
    return Tensor::wrap(arguments.env(), axis ? mx::take(array, places, *axis) : mx::take(array, places));
  });
  define(exports, "takeAlongAxis", [](const Arguments& arguments) {
    return Tensor::wrap(
        arguments.env(), mx::take_along_axis(arguments.tensor(0), arguments.tensor(1), arguments.integer(2)));
  });
  define(exports, "putAlongAxis", [](const Arguments& arguments) {
    return Tensor::wrap(
        arguments.env(),
        mx::put_along_axis(
            arguments.tensor(0), arguments.tensor(1), arguments.tensor(2), arguments.integer(3)));
  });
  // (tensor [n, m], rows [k], columns [k], values [k] | number): each value added at its place, also at one place again.
  define(exports, "addAt", [](const Arguments& arguments) {
    const auto& array = arguments.tensor(0);
    const auto& rows = arguments.tensor(1);
    const auto& columns = arguments.tensor(2);
    if (array.ndim() != 2 || rows.ndim() != 1 || columns.shape() != rows.shape()) {
      throw std::invalid_argument("addAt: a tensor of two dimensions, and as many rows as columns, are needed");
    }
    auto values = mx::broadcast_to(mx::astype(arguments.operand(3, array), array.dtype()), rows.shape());
    auto updates = mx::reshape(values, {rows.shape(0), 1, 1});
    return Tensor::wrap(arguments.env(), mx::scatter_add(array, {rows, columns}, updates, {0, 1}));
  });
}

}  // namespace binding
