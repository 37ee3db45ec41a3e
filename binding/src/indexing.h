// Parts of arrays by slices, single places and an ellipsis, as NumPy has them.
#pragma once

#include <napi.h>

#include <optional>
#include <variant>
#include <vector>

#include "mlx/array.h"

namespace binding {

namespace mx = mlx::core;

struct Range {
  std::optional<int> start;
  std::optional<int> stop;
  int step = 1;
};

struct NewAxis {};
struct Ellipsis {};

/** One thing for each axis, of which single places and tensors of them take the axis away or replace it. */
using IndexPart = std::variant<Range, int, NewAxis, Ellipsis, mx::array>;

/** From the arguments of a call. */
std::vector<IndexPart> readIndex(const Napi::CallbackInfo& info);
/** From the first argument: a part, or an array of them. */
std::vector<IndexPart> readIndexArgument(const Napi::CallbackInfo& info);

mx::array pick(const mx::array& array, const std::vector<IndexPart>& index);
/** The array with that part replaced. In place where nothing else holds its buffer when it is evaluated. */
mx::array put(const mx::array& array, const std::vector<IndexPart>& index, const mx::array& value);

/** Slice(start, stop, step), of which each may be left out. */
void defineSlice(Napi::Env env, Napi::Object exports);

}  // namespace binding
