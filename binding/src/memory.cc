#include "mlx/memory.h"

#include "arguments.h"
#include "operations.h"

namespace binding {

namespace {

template <size_t (*read)()>
Napi::Value bytes(const Arguments& arguments) {
  return Napi::Number::New(arguments.env(), static_cast<double>(read()));
}

/** Takes bytes and gives the limit before. */
template <size_t (*set)(size_t)>
Napi::Value limit(const Arguments& arguments) {
  return Napi::Number::New(arguments.env(), static_cast<double>(set(arguments.natural(0))));
}

}  // namespace

void defineMemory(Napi::Object exports) {
  define(exports, "getActiveMemory", bytes<mx::get_active_memory>);
  define(exports, "getCacheMemory", bytes<mx::get_cache_memory>);
  define(exports, "getPeakMemory", bytes<mx::get_peak_memory>);
  define(exports, "getMemoryLimit", bytes<mx::get_memory_limit>);
  define(exports, "setMemoryLimit", limit<mx::set_memory_limit>);
  define(exports, "setCacheLimit", limit<mx::set_cache_limit>);
  define(exports, "setWiredLimit", limit<mx::set_wired_limit>);
  define(exports, "resetPeakMemory", [](const Arguments& arguments) -> Napi::Value {
    mx::reset_peak_memory();
    return arguments.env().Undefined();
  });
  define(exports, "clearCache", [](const Arguments& arguments) -> Napi::Value {
    mx::clear_cache();
    return arguments.env().Undefined();
  });
}

}  // namespace binding
