// The one class of the binding: a handle on a lazy array of MLX.
#pragma once

#include <napi.h>

#include <memory>
#include <optional>
#include <vector>

#include "mlx/array.h"

namespace binding {

namespace mx = mlx::core;

/**
 * Holds an array until it is disposed of, its scope closes, or V8 collects the handle; the last is only the net. Every
 * use after that throws.
 */
class Tensor : public Napi::ObjectWrap<Tensor> {
 public:
  static void define(Napi::Env env, Napi::Object exports);

  /** A new handle, in the innermost open scope. */
  static Napi::Value wrap(Napi::Env env, mx::array array);

  /** Undefined where the value is no handle; throws where it has been disposed of. */
  static Tensor* from(Napi::Value value);

  explicit Tensor(const Napi::CallbackInfo& info);
  ~Tensor() override;

  mx::array& array();
  /** Puts another array in its place. */
  void become(mx::array array);
  void release();

 private:
  friend class Scopes;

  Napi::Value shape(const Napi::CallbackInfo& info);
  Napi::Value size(const Napi::CallbackInfo& info);
  Napi::Value ndim(const Napi::CallbackInfo& info);
  Napi::Value nbytes(const Napi::CallbackInfo& info);
  Napi::Value dtype(const Napi::CallbackInfo& info);
  Napi::Value isDisposed(const Napi::CallbackInfo& info);
  Napi::Value tolist(const Napi::CallbackInfo& info);
  Napi::Value toTypedArray(const Napi::CallbackInfo& info);
  Napi::Value item(const Napi::CallbackInfo& info);
  Napi::Value astype(const Napi::CallbackInfo& info);
  Napi::Value reshape(const Napi::CallbackInfo& info);
  Napi::Value transpose(const Napi::CallbackInfo& info);
  Napi::Value index(const Napi::CallbackInfo& info);
  Napi::Value indexPut(const Napi::CallbackInfo& info);
  Napi::Value putColumns(const Napi::CallbackInfo& info);
  Napi::Value dispose(const Napi::CallbackInfo& info);
  Napi::Value keep(const Napi::CallbackInfo& info);

  std::optional<mx::array> array_;
  /** What V8 has been told that it holds. */
  int64_t told_ = 0;
  /** The scope that it belongs to, from 1, and its place there; 0: none. */
  size_t scope_ = 0;
  size_t place_ = 0;
};

/** Open scopes, innermost last: what is made in one is released when it closes, except what was kept. */
class Scopes {
 public:
  static void define(Napi::Env env, Napi::Object exports);
  static void add(Tensor* tensor);
  static void remove(Tensor* tensor);

 private:
  static Napi::Value open(const Napi::CallbackInfo& info);
  static Napi::Value close(const Napi::CallbackInfo& info);
};

}  // namespace binding
