#include "dtypes.h"

#include <array>

namespace binding {

namespace {

struct Named {
  const char* name;
  mx::Dtype dtype;
};

const std::array<Named, 13>& all() {
  static const std::array<Named, 13> dtypes{{
      {"bool", mx::bool_},
      {"uint8", mx::uint8},
      {"uint16", mx::uint16},
      {"uint32", mx::uint32},
      {"uint64", mx::uint64},
      {"int8", mx::int8},
      {"int16", mx::int16},
      {"int32", mx::int32},
      {"int64", mx::int64},
      {"float16", mx::float16},
      {"bfloat16", mx::bfloat16},
      {"float32", mx::float32},
      {"float64", mx::float64},
  }};
  return dtypes;
}

std::array<Napi::ObjectReference, 13>& objects() {
  static auto* references = new std::array<Napi::ObjectReference, 13>();
  return *references;
}

}  // namespace

void defineDtypes(Napi::Env env, Napi::Object exports) {
  for (size_t code = 0; code < all().size(); code++) {
    auto object = Napi::Object::New(env);
    object.Set("name", all()[code].name);
    object.Set("size", Napi::Number::New(env, all()[code].dtype.size()));
    object.Set("code", Napi::Number::New(env, static_cast<double>(code)));
    object.Freeze();
    objects()[code] = Napi::Persistent(object);
    objects()[code].SuppressDestruct();
    exports.Set(all()[code].name, object);
  }
}

Napi::Value dtypeObject(Napi::Env env, mx::Dtype dtype) {
  for (size_t code = 0; code < all().size(); code++) {
    if (all()[code].dtype == dtype) return objects()[code].Value();
  }
  return env.Undefined();
}

std::optional<mx::Dtype> dtypeFrom(Napi::Value value) {
  if (!value.IsObject()) return std::nullopt;
  auto object = value.As<Napi::Object>();
  auto code = object.Get("code");
  if (!code.IsNumber()) return std::nullopt;
  auto index = code.As<Napi::Number>().DoubleValue();
  if (!(index >= 0 && index < static_cast<double>(all().size()))) return std::nullopt;
  auto place = static_cast<size_t>(index);
  // What only looks like one is none.
  if (!objects()[place].Value().StrictEquals(object)) return std::nullopt;
  return all()[place].dtype;
}

const char* dtypeName(mx::Dtype dtype) {
  for (const auto& each : all()) {
    if (each.dtype == dtype) return each.name;
  }
  return "complex64";
}

}  // namespace binding
