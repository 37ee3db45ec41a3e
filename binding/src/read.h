// The values of arrays, in and out. Reading waits for the device.
#pragma once

#include <napi.h>

#include <optional>

#include "mlx/array.h"

namespace binding {

namespace mx = mlx::core;

/** From a number, nested arrays of numbers, or a typed array, which is one-dimensional. */
mx::array makeArray(Napi::Value value, std::optional<mx::Dtype> dtype);

/** Nested arrays of numbers; a number for a scalar. */
Napi::Value readNested(Napi::Env env, const mx::array& array);
/** All values in one typed array; 16-bit floats become Float32Array. */
Napi::Value readTyped(Napi::Env env, const mx::array& array);
/** Of an array of one element. */
Napi::Value readItem(Napi::Env env, const mx::array& array);

}  // namespace binding
