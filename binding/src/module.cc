// MLX for Node: docs/engine.md tells what of it is bound, how it is built, and how it is brought to a newer MLX.
#include <napi.h>

#include <mutex>
#include <optional>
#include <thread>

#include "mlx/version.h"

#include "dtypes.h"
#include "indexing.h"
#include "operations.h"
#include "tensor.h"

namespace binding {

namespace {

#define TEXT_OF(number) #number
#define TEXT(number) TEXT_OF(number)

/** Of the headers that this was compiled against. */
constexpr const char* builtFor =
    TEXT(MLX_VERSION_MAJOR) "." TEXT(MLX_VERSION_MINOR) "." TEXT(MLX_VERSION_PATCH);

void assertVersion(Napi::Env env) {
  std::string found = mlx::core::version();
  if (found == builtFor) return;
  throw Napi::Error::New(
      env, "the MLX library is version " + found + ", and this binding was built for " + std::string(builtFor));
}

/** MLX's arrays, streams and scopes belong to the thread that loads it first. */
void assertOneThread(Napi::Env env) {
  static std::mutex mutex;
  static std::optional<std::thread::id> owner;
  std::lock_guard<std::mutex> lock(mutex);
  if (!owner) owner = std::this_thread::get_id();
  if (*owner == std::this_thread::get_id()) return;
  throw Napi::Error::New(env, "MLX belongs to another thread of this process: it is loaded by one only");
}

Napi::Object load(Napi::Env env, Napi::Object exports) {
  assertVersion(env);
  assertOneThread(env);
  exports.Set("version", Napi::String::New(env, builtFor));
  defineDtypes(env, exports);
  Tensor::define(env, exports);
  Scopes::define(env, exports);
  defineSlice(env, exports);
  defineCreation(exports);
  defineElementwise(exports);
  defineReductions(exports);
  defineShapes(exports);
  defineProducts(exports);
  defineFast(exports);
  defineRandom(exports);
  defineFiles(exports);
  defineEvaluation(exports);
  defineMemory(exports);
  defineDevices(exports);
  return exports;
}

}  // namespace

NODE_API_MODULE(mlx, load)

}  // namespace binding
