// The types of elements, one frozen JavaScript object each: they are compared by identity.
#pragma once

#include <napi.h>

#include <optional>

#include "mlx/dtype.h"

namespace binding {

namespace mx = mlx::core;

void defineDtypes(Napi::Env env, Napi::Object exports);
Napi::Value dtypeObject(Napi::Env env, mx::Dtype dtype);
/** Undefined where the value is none. */
std::optional<mx::Dtype> dtypeFrom(Napi::Value value);
const char* dtypeName(mx::Dtype dtype);

}  // namespace binding
