#include "indexing.h"

#include <cmath>

#include "arguments.h"

namespace binding {

namespace {

std::optional<int> bound(Napi::Value value) {
  if (value.IsNull() || value.IsUndefined()) return std::nullopt;
  if (!value.IsNumber()) throw std::invalid_argument("index: a slice's bounds have to be whole numbers or null");
  auto number = value.As<Napi::Number>().DoubleValue();
  if (number != std::trunc(number)) throw std::invalid_argument("index: a slice's bounds have to be whole numbers");
  // Beyond the array is as good as its end.
  return static_cast<int>(std::max(-2147483647.0, std::min(2147483647.0, number)));
}

IndexPart partOf(Napi::Value value) {
  if (value.IsNull()) return NewAxis{};
  if (value.IsNumber()) {
    auto number = value.As<Napi::Number>().DoubleValue();
    if (number != std::trunc(number) || std::abs(number) > 2147483647.0) {
      throw std::invalid_argument("index: " + value.ToString().Utf8Value() + " is no place in an array");
    }
    return static_cast<int>(number);
  }
  if (value.IsString() && value.As<Napi::String>().Utf8Value() == "...") return Ellipsis{};
  if (auto* tensor = Tensor::from(value)) return tensor->array();
  if (value.IsObject()) {
    auto object = value.As<Napi::Object>();
    if (object.Has("start") && object.Has("stop") && object.Has("step")) {
      return Range{bound(object.Get("start")), bound(object.Get("stop")), bound(object.Get("step")).value_or(1)};
    }
  }
  throw std::invalid_argument("index: each part has to be a Slice, a whole number, a tensor, null or \"...\"");
}

struct Box {
  mx::Shape start;
  mx::Shape stop;
  mx::Shape steps;
  /** Axes of a single place, which the result does without. */
  std::vector<int> single;
  /** Where the result has new axes, in its own counting. */
  std::vector<int> added;
  /** At most one axis by a tensor of places. */
  std::optional<std::pair<int, mx::array>> places;
};

Box boxOf(const mx::array& array, const std::vector<IndexPart>& index) {
  auto dims = static_cast<int>(array.ndim());
  int named = 0;
  int ellipses = 0;
  for (const auto& part : index) {
    if (std::holds_alternative<Ellipsis>(part)) ellipses++;
    else if (!std::holds_alternative<NewAxis>(part)) named++;
  }
  if (ellipses > 1) throw std::invalid_argument("index: more than one \"...\"");
  if (named > dims) {
    throw std::invalid_argument(
        "index: " + std::to_string(named) + " parts for an array of " + std::to_string(dims) + " dimensions");
  }
  Box box{mx::Shape(dims, 0), array.shape(), mx::Shape(dims, 1), {}, {}, std::nullopt};
  int axis = 0;
  int result = 0;
  for (const auto& part : index) {
    if (std::holds_alternative<Ellipsis>(part)) {
      axis += dims - named;
      result += dims - named;
    } else if (std::holds_alternative<NewAxis>(part)) {
      box.added.push_back(result++);
    } else if (const auto* place = std::get_if<int>(&part)) {
      auto size = array.shape(axis);
      auto at = *place < 0 ? *place + size : *place;
      if (at < 0 || at >= size) {
        throw std::out_of_range(
            "index: place " + std::to_string(*place) + " of an axis of " + std::to_string(size));
      }
      box.start[axis] = at;
      box.stop[axis] = at + 1;
      box.single.push_back(axis++);
    } else if (const auto* places = std::get_if<mx::array>(&part)) {
      if (box.places) throw std::invalid_argument("index: more than one axis by a tensor");
      box.places = {axis++, *places};
      result++;
    } else {
      const auto& range = std::get<Range>(part);
      auto size = array.shape(axis);
      if (range.step < 1) throw std::invalid_argument("index: a slice's step has to be 1 or more");
      auto clamp = [size](int at) { return std::min(std::max(at < 0 ? at + size : at, 0), size); };
      box.start[axis] = clamp(range.start.value_or(0));
      box.stop[axis] = std::max(box.start[axis], clamp(range.stop.value_or(size)));
      box.steps[axis] = range.step;
      axis++;
      result++;
    }
  }
  return box;
}

std::vector<IndexPart> partsOf(Napi::Value value) {
  if (!value.IsArray()) return {partOf(value)};
  auto values = value.As<Napi::Array>();
  std::vector<IndexPart> parts;
  for (uint32_t place = 0; place < values.Length(); place++) parts.push_back(partOf(values.Get(place)));
  return parts;
}

}  // namespace

std::vector<IndexPart> readIndex(const Napi::CallbackInfo& info) {
  std::vector<IndexPart> parts;
  for (size_t argument = 0; argument < info.Length(); argument++) parts.push_back(partOf(info[argument]));
  return parts;
}

std::vector<IndexPart> readIndexArgument(const Napi::CallbackInfo& info) { return partsOf(info[0]); }

mx::array pick(const mx::array& array, const std::vector<IndexPart>& index) {
  auto box = boxOf(array, index);
  auto part = mx::slice(array, box.start, box.stop, box.steps);
  if (box.places) {
    if (box.places->second.ndim() != 1) throw std::invalid_argument("index: a tensor of places has one dimension");
    part = mx::take(part, box.places->second, box.places->first);
  }
  if (!box.single.empty()) part = mx::squeeze(part, box.single);
  return box.added.empty() ? part : mx::expand_dims(part, box.added);
}

mx::array put(const mx::array& array, const std::vector<IndexPart>& index, const mx::array& value) {
  auto box = boxOf(array, index);
  if (box.places || !box.added.empty()) {
    throw std::invalid_argument("indexPut_: only slices and single places can be written to");
  }
  auto typed = mx::astype(value, array.dtype());
  // Single places are axes that the value does without, and the array's counting keeps.
  if (!box.single.empty() && typed.ndim() + box.single.size() == array.ndim()) {
    typed = mx::expand_dims(typed, box.single);
  }
  return mx::slice_update(array, typed, box.start, box.stop, box.steps);
}

void defineSlice(Napi::Env env, Napi::Object exports) {
  exports.Set("Slice", Napi::Function::New(env, [](const Napi::CallbackInfo& info) -> Napi::Value {
    auto slice = Napi::Object::New(info.Env());
    auto part = [&](size_t at) -> Napi::Value {
      if (at < info.Length() && !info[at].IsUndefined()) return info[at];
      return info.Env().Null();
    };
    slice.Set("start", part(0));
    slice.Set("stop", part(1));
    slice.Set("step", part(2));
    return slice;
  }, "Slice"));
}

}  // namespace binding
