#include <unordered_map>
#include <unordered_set>

#include "mlx/primitives.h"
#include "mlx/transforms.h"

#include "arguments.h"
#include "operations.h"

namespace binding {

namespace {

/** What is still to be computed for these, by the names of the primitives. */
std::unordered_map<std::string, int> pendingPrimitives(const std::vector<mx::array>& outputs) {
  std::unordered_map<std::string, int> counts;
  std::unordered_set<std::uintptr_t> seen;
  std::vector<mx::array> open(outputs);
  while (!open.empty()) {
    auto array = open.back();
    open.pop_back();
    if (array.status() != mx::array::Status::unscheduled || !array.has_primitive()) continue;
    if (!seen.insert(array.id()).second) continue;
    // The outputs of one primitive are computed together.
    for (const auto& sibling : array.siblings()) seen.insert(sibling.id());
    counts[array.primitive().name()]++;
    for (const auto& input : array.inputs()) open.push_back(input);
  }
  return counts;
}

}  // namespace

void defineEvaluation(Napi::Object exports) {
  // Waits for all of these.
  define(exports, "eval", [](const Arguments& arguments) -> Napi::Value {
    mx::eval(arguments.allTensors());
    return arguments.env().Undefined();
  });
  // Starts them and returns.
  define(exports, "asyncEval", [](const Arguments& arguments) -> Napi::Value {
    mx::async_eval(arguments.allTensors());
    return arguments.env().Undefined();
  });
  define(exports, "pendingPrimitives", [](const Arguments& arguments) -> Napi::Value {
    auto result = Napi::Object::New(arguments.env());
    for (const auto& [name, count] : pendingPrimitives(arguments.allTensors())) {
      result.Set(name, Napi::Number::New(arguments.env(), count));
    }
    return result;
  });
}

}  // namespace binding
