#include "read.h"

#include <cstring>

#include "mlx/ops.h"
#include "mlx/transforms.h"

namespace binding {

namespace {

/** The shape that nested arrays have by their first elements; every other one has to have it too. */
mx::Shape shapeOf(Napi::Value value) {
  mx::Shape shape;
  Napi::Value current = value;
  while (current.IsArray()) {
    auto array = current.As<Napi::Array>();
    shape.push_back(static_cast<int>(array.Length()));
    if (array.Length() == 0) break;
    current = array.Get(uint32_t{0});
  }
  return shape;
}

void flattenInto(std::vector<double>& numbers, Napi::Value value, const mx::Shape& shape, size_t axis) {
  if (axis == shape.size()) {
    if (value.IsBoolean()) {
      numbers.push_back(value.As<Napi::Boolean>().Value() ? 1 : 0);
      return;
    }
    if (!value.IsNumber()) throw std::invalid_argument("array: values have to be numbers, in rows of one length");
    numbers.push_back(value.As<Napi::Number>().DoubleValue());
    return;
  }
  if (!value.IsArray() || static_cast<int>(value.As<Napi::Array>().Length()) != shape[axis]) {
    throw std::invalid_argument("array: rows have to be of one length");
  }
  auto array = value.As<Napi::Array>();
  for (uint32_t place = 0; place < array.Length(); place++) {
    Napi::HandleScope scope(array.Env());
    flattenInto(numbers, array.Get(place), shape, axis + 1);
  }
}

template <typename Element>
mx::array copyOf(Napi::TypedArray values, mx::Dtype dtype) {
  const auto* data = reinterpret_cast<const Element*>(
      static_cast<const char*>(values.ArrayBuffer().Data()) + values.ByteOffset());
  return mx::array(data, {static_cast<int>(values.ElementLength())}, dtype);
}

mx::array fromTyped(Napi::TypedArray values) {
  if (values.ElementLength() > 2147483647) throw std::invalid_argument("array: over 2^31 - 1 values");
  switch (values.TypedArrayType()) {
    case napi_float32_array: return copyOf<float>(values, mx::float32);
    case napi_float64_array: return copyOf<double>(values, mx::float32);
    case napi_int32_array: return copyOf<int32_t>(values, mx::int32);
    case napi_uint32_array: return copyOf<uint32_t>(values, mx::uint32);
    case napi_int16_array: return copyOf<int16_t>(values, mx::int16);
    case napi_uint16_array: return copyOf<uint16_t>(values, mx::uint16);
    case napi_int8_array: return copyOf<int8_t>(values, mx::int8);
    case napi_uint8_array:
    case napi_uint8_clamped_array: return copyOf<uint8_t>(values, mx::uint8);
    default: throw std::invalid_argument("array: typed arrays of 64-bit integers are not taken");
  }
}

/** Evaluated, its elements one after another; 16-bit floats as 32 bits. */
mx::array readable(const mx::array& array) {
  auto isHalf = array.dtype() == mx::float16 || array.dtype() == mx::bfloat16;
  auto whole = mx::contiguous(isHalf ? mx::astype(array, mx::float32) : array);
  mx::eval(whole);
  return whole;
}

/** Calls `visit` with a pointer to the elements, typed. */
template <typename Visit>
auto withData(const mx::array& array, Visit visit) {
  switch (array.dtype()) {
    case mx::bool_: return visit(array.data<bool>());
    case mx::uint8: return visit(array.data<uint8_t>());
    case mx::uint16: return visit(array.data<uint16_t>());
    case mx::uint32: return visit(array.data<uint32_t>());
    case mx::uint64: return visit(array.data<uint64_t>());
    case mx::int8: return visit(array.data<int8_t>());
    case mx::int16: return visit(array.data<int16_t>());
    case mx::int32: return visit(array.data<int32_t>());
    case mx::int64: return visit(array.data<int64_t>());
    case mx::float32: return visit(array.data<float>());
    case mx::float64: return visit(array.data<double>());
    default: throw std::invalid_argument("complex numbers cannot be read");
  }
}

template <typename Element>
Napi::Value nest(Napi::Env env, const Element*& data, const mx::Shape& shape, size_t axis) {
  if (axis == shape.size()) return Napi::Number::New(env, static_cast<double>(*data++));
  auto result = Napi::Array::New(env, shape[axis]);
  for (int place = 0; place < shape[axis]; place++) {
    Napi::HandleScope scope(env);
    result.Set(place, nest(env, data, shape, axis + 1));
  }
  return result;
}

template <typename Typed, typename Element>
Napi::Value copyOut(Napi::Env env, const Element* data, size_t count) {
  auto result = Typed::New(env, count);
  if (count > 0) std::memcpy(result.Data(), data, count * sizeof(Element));
  return result;
}

}  // namespace

mx::array makeArray(Napi::Value value, std::optional<mx::Dtype> dtype) {
  if (value.IsNumber()) {
    return mx::array(value.As<Napi::Number>().DoubleValue(), dtype.value_or(mx::float32));
  }
  if (value.IsBoolean()) return mx::array(value.As<Napi::Boolean>().Value(), dtype.value_or(mx::bool_));
  if (value.IsTypedArray()) {
    auto made = fromTyped(value.As<Napi::TypedArray>());
    return dtype ? mx::astype(made, *dtype) : made;
  }
  if (!value.IsArray()) throw std::invalid_argument("array: argument 1 has to be a number, an array or a typed array");
  auto shape = shapeOf(value);
  std::vector<double> numbers;
  flattenInto(numbers, value, shape, 0);
  return mx::array(numbers.begin(), shape, dtype.value_or(mx::float32));
}

Napi::Value readNested(Napi::Env env, const mx::array& array) {
  auto whole = readable(array);
  return withData(whole, [&](const auto* data) { return nest(env, data, whole.shape(), 0); });
}

Napi::Value readTyped(Napi::Env env, const mx::array& array) {
  auto whole = readable(array);
  auto count = whole.size();
  switch (whole.dtype()) {
    case mx::bool_: return copyOut<Napi::Uint8Array>(env, whole.data<bool>(), count);
    case mx::uint8: return copyOut<Napi::Uint8Array>(env, whole.data<uint8_t>(), count);
    case mx::uint16: return copyOut<Napi::Uint16Array>(env, whole.data<uint16_t>(), count);
    case mx::uint32: return copyOut<Napi::Uint32Array>(env, whole.data<uint32_t>(), count);
    case mx::int8: return copyOut<Napi::Int8Array>(env, whole.data<int8_t>(), count);
    case mx::int16: return copyOut<Napi::Int16Array>(env, whole.data<int16_t>(), count);
    case mx::int32: return copyOut<Napi::Int32Array>(env, whole.data<int32_t>(), count);
    case mx::float32: return copyOut<Napi::Float32Array>(env, whole.data<float>(), count);
    case mx::float64: return copyOut<Napi::Float64Array>(env, whole.data<double>(), count);
    default: throw std::invalid_argument("toTypedArray: 64-bit integers and complex numbers have no typed array here");
  }
}

Napi::Value readItem(Napi::Env env, const mx::array& array) {
  if (array.size() != 1) {
    throw std::invalid_argument("item: the tensor has " + std::to_string(array.size()) + " elements, not one");
  }
  auto whole = readable(array);
  return withData(whole, [&](const auto* data) -> Napi::Value {
    return Napi::Number::New(env, static_cast<double>(*data));
  });
}

}  // namespace binding
