// What JavaScript passes, as C++ has it. Whatever does not fit is a TypeError or RangeError that names the operation
// and the argument.
#pragma once

#include <napi.h>

#include <string>
#include <vector>

#include "mlx/ops.h"
#include "tensor.h"

namespace binding {

class Arguments {
 public:
  Arguments(const char* operation, const Napi::CallbackInfo& info) : operation_(operation), info_(info) {}

  Napi::Env env() const { return info_.Env(); }
  size_t count() const { return info_.Length(); }
  Napi::Value at(size_t index) const { return info_[index]; }
  bool has(size_t index) const { return index < info_.Length() && !info_[index].IsUndefined(); }

  mx::array& tensor(size_t index) const;
  std::optional<mx::array> optionalTensor(size_t index) const;
  /** Of an array; not empty. */
  std::vector<mx::array> tensors(size_t index) const;
  /** Of all arguments, arrays among them. */
  std::vector<mx::array> allTensors() const;
  /** Two of which at most one is a number, which takes the type of the other. */
  std::pair<mx::array, mx::array> operands(size_t first, size_t second) const;
  mx::array operand(size_t index, const mx::array& like) const;

  int integer(size_t index) const;
  int integer(size_t index, int fallback) const;
  std::optional<int> optionalInteger(size_t index) const;
  /** Bytes and seeds: whole, not negative, at most 2^53. */
  uint64_t natural(size_t index) const;
  double real(size_t index) const;
  double real(size_t index, double fallback) const;
  bool flag(size_t index, bool fallback) const;
  std::string text(size_t index) const;
  std::string text(size_t index, const char* fallback) const;
  std::vector<int> integers(size_t index) const;
  mx::Shape shape(size_t index) const;
  mx::Dtype dtype(size_t index) const;
  mx::Dtype dtype(size_t index, mx::Dtype fallback) const;

  [[noreturn]] void refuse(size_t index, const std::string& expected) const;

 private:
  int integerOf(Napi::Value value, size_t index) const;

  const char* operation_;
  const Napi::CallbackInfo& info_;
};

using Operation = Napi::Value (*)(const Arguments&);

/** Adds a function whose C++ exceptions are JavaScript errors with the same message. */
void define(Napi::Object target, const char* name, Operation operation);

/** The same for a body that is written elsewhere, such as a method of Tensor. */
template <typename Body>
auto guarded(Napi::Env env, Body body) -> decltype(body()) {
  try {
    return body();
  } catch (const Napi::Error&) {
    throw;
  } catch (const std::exception& error) {
    throw Napi::Error::New(env, error.what());
  }
}

}  // namespace binding
