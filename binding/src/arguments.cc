#include "arguments.h"

#include <cmath>

#include "dtypes.h"

namespace binding {

namespace {

std::string describe(Napi::Value value) {
  if (value.IsUndefined()) return "undefined";
  if (value.IsNull()) return "null";
  if (value.IsNumber() || value.IsBoolean()) return value.ToString().Utf8Value();
  if (value.IsString()) return "\"" + value.As<Napi::String>().Utf8Value().substr(0, 40) + "\"";
  if (value.IsArray()) return "an array";
  if (value.IsFunction()) return "a function";
  if (value.IsBigInt()) return "a bigint";
  return "another object";
}

/** The type that a number takes beside an array: the array's, where it can hold the number. */
mx::Dtype typeBeside(mx::Dtype dtype, double value) {
  if (mx::issubdtype(dtype, mx::inexact)) return dtype;
  if (value != std::trunc(value)) return mx::float32;
  return dtype == mx::bool_ ? mx::int32 : dtype;
}

}  // namespace

void Arguments::refuse(size_t index, const std::string& expected) const {
  throw Napi::TypeError::New(
      env(),
      std::string(operation_) + ": argument " + std::to_string(index + 1) + " has to be " + expected + ", not " +
          describe(at(index)));
}

mx::array& Arguments::tensor(size_t index) const {
  auto* tensor = Tensor::from(at(index));
  if (tensor == nullptr) refuse(index, "a tensor");
  return tensor->array();
}

std::optional<mx::array> Arguments::optionalTensor(size_t index) const {
  if (!has(index)) return std::nullopt;
  return tensor(index);
}

std::vector<mx::array> Arguments::tensors(size_t index) const {
  if (!at(index).IsArray()) refuse(index, "an array of tensors");
  auto values = at(index).As<Napi::Array>();
  std::vector<mx::array> result;
  result.reserve(values.Length());
  for (uint32_t place = 0; place < values.Length(); place++) {
    Napi::HandleScope scope(env());
    auto* tensor = Tensor::from(values.Get(place));
    if (tensor == nullptr) refuse(index, "an array of tensors");
    result.push_back(tensor->array());
  }
  if (result.empty()) refuse(index, "an array of one tensor or more");
  return result;
}

std::vector<mx::array> Arguments::allTensors() const {
  std::vector<mx::array> result;
  for (size_t index = 0; index < count(); index++) {
    if (at(index).IsArray()) {
      if (at(index).As<Napi::Array>().Length() == 0) continue;
      for (auto& each : tensors(index)) result.push_back(each);
    } else {
      result.push_back(tensor(index));
    }
  }
  return result;
}

std::pair<mx::array, mx::array> Arguments::operands(size_t first, size_t second) const {
  auto* a = Tensor::from(at(first));
  auto* b = Tensor::from(at(second));
  if (a != nullptr && b != nullptr) return {a->array(), b->array()};
  if (a != nullptr) return {a->array(), operand(second, a->array())};
  if (b != nullptr) return {operand(first, b->array()), b->array()};
  auto like = mx::array(0.0f);
  return {operand(first, like), operand(second, like)};
}

mx::array Arguments::operand(size_t index, const mx::array& like) const {
  auto value = at(index);
  if (value.IsNumber()) {
    auto number = value.As<Napi::Number>().DoubleValue();
    return mx::array(number, typeBeside(like.dtype(), number));
  }
  auto* tensor = Tensor::from(value);
  if (tensor == nullptr) refuse(index, "a tensor or a number");
  return tensor->array();
}

int Arguments::integerOf(Napi::Value value, size_t index) const {
  if (!value.IsNumber()) refuse(index, "whole numbers");
  auto number = value.As<Napi::Number>().DoubleValue();
  if (number != std::trunc(number) || std::abs(number) > 2147483647.0) {
    throw Napi::RangeError::New(
        env(),
        std::string(operation_) + ": argument " + std::to_string(index + 1) + " has " + value.ToString().Utf8Value() +
            ", which is no whole number of 32 bits");
  }
  return static_cast<int>(number);
}

int Arguments::integer(size_t index) const {
  if (!at(index).IsNumber()) refuse(index, "a whole number");
  return integerOf(at(index), index);
}

int Arguments::integer(size_t index, int fallback) const { return has(index) ? integer(index) : fallback; }

std::optional<int> Arguments::optionalInteger(size_t index) const {
  if (!has(index)) return std::nullopt;
  return integer(index);
}

uint64_t Arguments::natural(size_t index) const {
  if (!at(index).IsNumber()) refuse(index, "a whole number");
  auto number = at(index).As<Napi::Number>().DoubleValue();
  if (!(number >= 0 && number <= 9007199254740992.0 && number == std::trunc(number))) {
    refuse(index, "a whole number from 0 to 2^53");
  }
  return static_cast<uint64_t>(number);
}

double Arguments::real(size_t index) const {
  if (!at(index).IsNumber()) refuse(index, "a number");
  return at(index).As<Napi::Number>().DoubleValue();
}

double Arguments::real(size_t index, double fallback) const { return has(index) ? real(index) : fallback; }

bool Arguments::flag(size_t index, bool fallback) const {
  if (!has(index)) return fallback;
  if (!at(index).IsBoolean()) refuse(index, "true or false");
  return at(index).As<Napi::Boolean>().Value();
}

std::string Arguments::text(size_t index) const {
  if (!at(index).IsString()) refuse(index, "a string");
  return at(index).As<Napi::String>().Utf8Value();
}

std::string Arguments::text(size_t index, const char* fallback) const { return has(index) ? text(index) : fallback; }

std::vector<int> Arguments::integers(size_t index) const {
  if (!at(index).IsArray()) refuse(index, "an array of whole numbers");
  auto values = at(index).As<Napi::Array>();
  std::vector<int> result;
  result.reserve(values.Length());
  for (uint32_t place = 0; place < values.Length(); place++) {
    Napi::HandleScope scope(env());
    result.push_back(integerOf(values.Get(place), index));
  }
  return result;
}

mx::Shape Arguments::shape(size_t index) const {
  auto sizes = integers(index);
  for (auto size : sizes) {
    if (size < 0) refuse(index, "sizes of 0 and more");
  }
  return mx::Shape(sizes.begin(), sizes.end());
}

mx::Dtype Arguments::dtype(size_t index) const {
  auto dtype = dtypeFrom(at(index));
  if (!dtype) refuse(index, "a type of elements such as float32");
  return *dtype;
}

mx::Dtype Arguments::dtype(size_t index, mx::Dtype fallback) const { return has(index) ? dtype(index) : fallback; }

void define(Napi::Object target, const char* name, Operation operation) {
  // Lives as long as the process: there is one such function for each operation.
  struct Named {
    const char* name;
    Operation operation;
  };
  auto* named = new Named{name, operation};
  auto env = target.Env();
  auto function = Napi::Function::New(
      env,
      [](const Napi::CallbackInfo& info) -> Napi::Value {
        auto* named = static_cast<Named*>(info.Data());
        return guarded(info.Env(), [&] { return named->operation(Arguments(named->name, info)); });
      },
      name,
      named);
  target.Set(name, function);
}

}  // namespace binding
