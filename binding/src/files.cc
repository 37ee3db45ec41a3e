#include "mlx/io.h"

#include "arguments.h"
#include "operations.h"

namespace binding {

void defineFiles(Napi::Object exports) {
  // A safetensors file's tensors by name. Their bytes are read when they are evaluated.
  define(exports, "load", [](const Arguments& arguments) -> Napi::Value {
    auto [tensors, metadata] = mx::load_safetensors(arguments.text(0), mx::Device::cpu);
    auto result = Napi::Object::New(arguments.env());
    for (auto& [name, tensor] : tensors) {
      Napi::HandleScope scope(arguments.env());
      result.Set(name, Tensor::wrap(arguments.env(), tensor));
    }
    return result;
  });
  define(exports, "saveSafetensors", [](const Arguments& arguments) -> Napi::Value {
    if (!arguments.at(1).IsObject()) arguments.refuse(1, "an object of tensors");
    auto given = arguments.at(1).As<Napi::Object>();
    auto names = given.GetPropertyNames();
    std::unordered_map<std::string, mx::array> tensors;
    for (uint32_t place = 0; place < names.Length(); place++) {
      Napi::HandleScope scope(arguments.env());
      auto name = names.Get(place).ToString().Utf8Value();
      auto* tensor = Tensor::from(given.Get(name));
      if (tensor == nullptr) arguments.refuse(1, "an object of tensors");
      tensors.insert({name, tensor->array()});
    }
    mx::save_safetensors(arguments.text(0), std::move(tensors));
    return arguments.env().Undefined();
  });
}

}  // namespace binding
