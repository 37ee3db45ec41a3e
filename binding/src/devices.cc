#include "mlx/device.h"
#include "mlx/stream.h"

#include "arguments.h"
#include "operations.h"

namespace binding {

namespace {

mx::Device deviceOf(const Arguments& arguments, size_t index) {
  auto name = arguments.text(index);
  if (name == "cpu") return mx::Device::cpu;
  if (name == "gpu") return mx::Device::gpu;
  arguments.refuse(index, "\"cpu\" or \"gpu\"");
}

/** Of a stream that `defaultStream` or `newStream` gave. */
mx::Stream streamOf(const Arguments& arguments, size_t index) {
  if (arguments.at(index).IsObject()) {
    auto object = arguments.at(index).As<Napi::Object>();
    auto number = object.Get("index");
    if (number.IsNumber()) {
      for (const auto& stream : mx::get_streams()) {
        if (stream.index == number.As<Napi::Number>().Int32Value()) return stream;
      }
    }
  }
  arguments.refuse(index, "a stream");
}

Napi::Value streamObject(Napi::Env env, mx::Stream stream) {
  auto object = Napi::Object::New(env);
  object.Set("index", Napi::Number::New(env, stream.index));
  object.Set("device", Napi::String::New(env, stream.device == mx::Device::gpu ? "gpu" : "cpu"));
  object.Freeze();
  return object;
}

}  // namespace

void defineDevices(Napi::Object exports) {
  define(exports, "defaultDevice", [](const Arguments& arguments) -> Napi::Value {
    return Napi::String::New(arguments.env(), mx::default_device() == mx::Device::gpu ? "gpu" : "cpu");
  });
  define(exports, "setDefaultDevice", [](const Arguments& arguments) -> Napi::Value {
    mx::set_default_device(deviceOf(arguments, 0));
    return arguments.env().Undefined();
  });
  define(exports, "isAvailable", [](const Arguments& arguments) -> Napi::Value {
    return Napi::Boolean::New(arguments.env(), mx::is_available(deviceOf(arguments, 0)));
  });
  // What the device tells of itself, such as max_recommended_working_set_size in bytes.
  define(exports, "deviceInfo", [](const Arguments& arguments) -> Napi::Value {
    auto device = arguments.has(0) ? deviceOf(arguments, 0) : mx::default_device();
    auto result = Napi::Object::New(arguments.env());
    for (const auto& [key, value] : mx::device_info(device)) {
      if (const auto* text = std::get_if<std::string>(&value)) {
        result.Set(key, Napi::String::New(arguments.env(), *text));
      } else {
        result.Set(key, Napi::Number::New(arguments.env(), static_cast<double>(std::get<size_t>(value))));
      }
    }
    return result;
  });
  define(exports, "defaultStream", [](const Arguments& arguments) {
    return streamObject(arguments.env(), mx::default_stream(deviceOf(arguments, 0)));
  });
  define(exports, "newStream", [](const Arguments& arguments) {
    return streamObject(arguments.env(), mx::new_stream(deviceOf(arguments, 0)));
  });
  define(exports, "setDefaultStream", [](const Arguments& arguments) -> Napi::Value {
    mx::set_default_stream(streamOf(arguments, 0));
    return arguments.env().Undefined();
  });
  // Waits for what was started on a stream, without one on the default stream.
  define(exports, "synchronize", [](const Arguments& arguments) -> Napi::Value {
    if (arguments.has(0)) mx::synchronize(streamOf(arguments, 0));
    else mx::synchronize();
    return arguments.env().Undefined();
  });
}

}  // namespace binding
