#include "tensor.h"

#include "arguments.h"
#include "cpu-layers.h"
#include "dtypes.h"
#include "indexing.h"
#include "read.h"

namespace binding {

namespace {

Napi::FunctionReference* constructor;
const napi_type_tag tag = {0x6d6c78642d62696eull, 0x64696e672d74656eull};

/**
 * Small amounts are told together: a call for each would cost more than the array. Positive and negative ones cancel
 * out, so that what lives for a step is hardly ever told.
 */
constexpr int64_t toldAtOnce = 1 << 20;
int64_t untold = 0;

void tellBytes(Napi::Env env, int64_t bytes) {
  untold += bytes;
  if (untold > -toldAtOnce && untold < toldAtOnce) return;
  Napi::MemoryManagement::AdjustExternalMemory(env, untold);
  untold = 0;
}

struct OpenScope {
  std::vector<Tensor*> made;
};

std::vector<OpenScope>& openScopes() {
  static auto* scopes = new std::vector<OpenScope>();
  return *scopes;
}

}  // namespace

void Tensor::define(Napi::Env env, Napi::Object exports) {
  auto made = DefineClass(
      env,
      "Tensor",
      {
          InstanceAccessor<&Tensor::shape>("shape"),
          InstanceAccessor<&Tensor::size>("size"),
          InstanceAccessor<&Tensor::ndim>("ndim"),
          InstanceAccessor<&Tensor::nbytes>("nbytes"),
          InstanceAccessor<&Tensor::dtype>("dtype"),
          InstanceAccessor<&Tensor::isDisposed>("isDisposed"),
          InstanceMethod<&Tensor::tolist>("tolist"),
          InstanceMethod<&Tensor::toTypedArray>("toTypedArray"),
          InstanceMethod<&Tensor::item>("item"),
          InstanceMethod<&Tensor::astype>("astype"),
          InstanceMethod<&Tensor::reshape>("reshape"),
          InstanceMethod<&Tensor::transpose>("transpose"),
          InstanceMethod<&Tensor::index>("index"),
          InstanceMethod<&Tensor::indexPut>("indexPut_"),
          InstanceMethod<&Tensor::putColumns>("putColumns_"),
          InstanceMethod<&Tensor::dispose>("dispose"),
          InstanceMethod<&Tensor::keep>("keep"),
      });
  constructor = new Napi::FunctionReference(Napi::Persistent(made));
  exports.Set("Tensor", made);
}

Napi::Value Tensor::wrap(Napi::Env env, mx::array array) {
  auto object = constructor->New({});
  auto* tensor = Unwrap(object);
  tensor->become(std::move(array));
  Scopes::add(tensor);
  return object;
}

Tensor* Tensor::from(Napi::Value value) {
  if (!value.IsObject()) return nullptr;
  auto object = value.As<Napi::Object>();
  bool isTensor = false;
  if (napi_check_object_type_tag(object.Env(), object, &tag, &isTensor) != napi_ok || !isTensor) return nullptr;
  return Unwrap(object);
}

Tensor::Tensor(const Napi::CallbackInfo& info) : Napi::ObjectWrap<Tensor>(info) {
  napi_type_tag_object(info.Env(), info.This(), &tag);
}

Tensor::~Tensor() { release(); }

mx::array& Tensor::array() {
  if (!array_) throw std::runtime_error("this tensor has been disposed of");
  return *array_;
}

void Tensor::become(mx::array array) {
  auto bytes = static_cast<int64_t>(array.nbytes());
  tellBytes(Env(), bytes - told_);
  told_ = bytes;
  array_ = std::move(array);
}

void Tensor::release() {
  Scopes::remove(this);
  if (!array_) return;
  tellBytes(Env(), -told_);
  told_ = 0;
  array_.reset();
}

Napi::Value Tensor::shape(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const auto& sizes = array().shape();
    auto result = Napi::Array::New(info.Env(), sizes.size());
    for (uint32_t axis = 0; axis < sizes.size(); axis++) result.Set(axis, Napi::Number::New(info.Env(), sizes[axis]));
    return result;
  });
}

Napi::Value Tensor::size(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] { return Napi::Number::New(info.Env(), static_cast<double>(array().size())); });
}

Napi::Value Tensor::ndim(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] { return Napi::Number::New(info.Env(), static_cast<double>(array().ndim())); });
}

Napi::Value Tensor::nbytes(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] { return Napi::Number::New(info.Env(), static_cast<double>(array().nbytes())); });
}

Napi::Value Tensor::dtype(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] { return dtypeObject(info.Env(), array().dtype()); });
}

Napi::Value Tensor::isDisposed(const Napi::CallbackInfo& info) { return Napi::Boolean::New(info.Env(), !array_); }

Napi::Value Tensor::tolist(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] { return readNested(info.Env(), array()); });
}

Napi::Value Tensor::toTypedArray(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] { return readTyped(info.Env(), array()); });
}

Napi::Value Tensor::item(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] { return readItem(info.Env(), array()); });
}

Napi::Value Tensor::astype(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    auto dtype = Arguments("astype", info).dtype(0);
    return wrap(info.Env(), mx::astype(array(), dtype));
  });
}

namespace {

/** Numbers one by one, or all in one array. */
std::vector<int> sizesOf(const char* operation, const Napi::CallbackInfo& info) {
  Arguments arguments(operation, info);
  if (arguments.count() == 1 && arguments.at(0).IsArray()) return arguments.integers(0);
  std::vector<int> sizes;
  for (size_t index = 0; index < arguments.count(); index++) sizes.push_back(arguments.integer(index));
  return sizes;
}

}  // namespace

Napi::Value Tensor::reshape(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    auto sizes = sizesOf("reshape", info);
    return wrap(info.Env(), mx::reshape(array(), mx::Shape(sizes.begin(), sizes.end())));
  });
}

Napi::Value Tensor::transpose(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    auto axes = sizesOf("transpose", info);
    return wrap(info.Env(), axes.empty() ? mx::transpose(array()) : mx::transpose(array(), axes));
  });
}

Napi::Value Tensor::index(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value { return wrap(info.Env(), pick(array(), readIndex(info))); });
}

Napi::Value Tensor::indexPut(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    auto target = readIndexArgument(info);
    auto value = Arguments("indexPut_", info).operand(1, array());
    become(put(array(), target, value));
    return info.Env().Undefined();
  });
}

/** (from, value [rows, heads, tokens, size]), of [rows, heads, columns, size]. */
Napi::Value Tensor::putColumns(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    Arguments arguments("putColumns_", info);
    auto from = arguments.integer(0);
    auto value = mx::astype(arguments.tensor(1), array().dtype());
    const auto& shape = array().shape();
    const auto& part = value.shape();
    auto isFitting = shape.size() == 4 && part.size() == 4 && part[0] == shape[0] && part[1] == shape[1] &&
        part[3] == shape[3] && from >= 0 && part[2] <= shape[2] - from;
    if (!isFitting) arguments.refuse(1, "[rows, heads, tokens, size] that fits into the columns from there on");
    auto written = cpuPutColumns(array(), value, from);
    if (!written) {
      written = mx::slice_update(
          array(), value, mx::Shape{0, 0, from, 0}, mx::Shape{shape[0], shape[1], from + part[2], shape[3]});
    }
    become(std::move(*written));
    return info.Env().Undefined();
  });
}

Napi::Value Tensor::dispose(const Napi::CallbackInfo& info) {
  release();
  return info.Env().Undefined();
}

Napi::Value Tensor::keep(const Napi::CallbackInfo& info) {
  Scopes::remove(this);
  return info.This();
}

void Scopes::define(Napi::Env env, Napi::Object exports) {
  exports.Set("openScope", Napi::Function::New<&Scopes::open>(env, "openScope"));
  exports.Set("closeScope", Napi::Function::New<&Scopes::close>(env, "closeScope"));
}

void Scopes::add(Tensor* tensor) {
  auto& scopes = openScopes();
  if (scopes.empty()) return;
  tensor->scope_ = scopes.size();
  tensor->place_ = scopes.back().made.size();
  scopes.back().made.push_back(tensor);
}

void Scopes::remove(Tensor* tensor) {
  if (tensor->scope_ == 0) return;
  openScopes()[tensor->scope_ - 1].made[tensor->place_] = nullptr;
  tensor->scope_ = 0;
}

Napi::Value Scopes::open(const Napi::CallbackInfo& info) {
  openScopes().emplace_back();
  return Napi::Number::New(info.Env(), static_cast<double>(openScopes().size()));
}

/** Releases what was made since the scope was opened; the tensors given go over to the scope around it. */
Napi::Value Scopes::close(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    Arguments arguments("closeScope", info);
    auto depth = static_cast<size_t>(arguments.natural(0));
    if (depth == 0 || depth != openScopes().size()) {
      throw std::runtime_error("closeScope: scopes close in the order in which they were opened, from the innermost");
    }
    for (size_t index = 1; index < arguments.count(); index++) {
      auto* kept = Tensor::from(arguments.at(index));
      if (kept == nullptr) arguments.refuse(index, "a tensor");
      // What an outer scope holds, or none, stays there.
      if (kept->scope_ != depth) continue;
      remove(kept);
      if (depth == 1) continue;
      auto& outer = openScopes()[depth - 2].made;
      kept->scope_ = depth - 1;
      kept->place_ = outer.size();
      outer.push_back(kept);
    }
    auto made = std::move(openScopes().back().made);
    openScopes().pop_back();
    for (auto* tensor : made) {
      if (tensor == nullptr) continue;
      tensor->scope_ = 0;
      tensor->release();
    }
    return info.Env().Undefined();
  });
}

}  // namespace binding
