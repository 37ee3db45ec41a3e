#include "cpu-kernels.h"

#ifdef __linux__

#include <algorithm>

#include "cpu-primitive.h"
#include "mlx/backend/cpu/encoder.h"
#include "mlx/ops.h"
#include "vector-math.h"

namespace binding {

namespace {

using Loop = void (*)(const float* x, float* out, size_t count);

class Elementwise : public CpuPrimitive {
 public:
  Elementwise(mx::Stream stream, const char* name, Loop loop) : CpuPrimitive(stream), name_(name), loop_(loop) {}

  void eval_cpu(const std::vector<mx::array>& inputs, mx::array& output) override {
    const auto& input = inputs[0];
    allocate(input, output);
    mx::cpu::get_command_encoder(stream()).dispatch(
        [loop = loop_, x = input.data<float>(), out = output.data<float>(), count = output.size()] {
          loop(x, out, count);
        });
  }

  const char* name() const override { return name_; }

 private:
  const char* name_;
  Loop loop_;
};

/** Scores [rows, kvHeads, groups, tokens, columns], multiplied by a scale first; a mask [rows or 1, tokens, columns]. */
class Softmax : public CpuPrimitive {
 public:
  Softmax(mx::Stream stream, float scale, bool isCausal) : CpuPrimitive(stream), scale_(scale), isCausal_(isCausal) {}

  void eval_cpu(const std::vector<mx::array>& inputs, mx::array& output) override {
    const auto& input = inputs[0];
    allocate(input, output);
    const float* mask = inputs.size() > 1 ? inputs[1].data<float>() : nullptr;
    size_t columns = output.shape(-1);
    size_t all = columns == 0 ? 0 : output.size() / columns;
    size_t tokens = mask != nullptr ? inputs[1].shape(-2) : isCausal_ ? output.shape(-2) : 1;
    size_t ofRow = mask == nullptr || inputs[1].shape(0) == 1 ? all : all / inputs[1].shape(0);
    // The queries are those of the last columns.
    size_t before = isCausal_ ? columns - tokens : columns - 1;
    mx::cpu::get_command_encoder(stream()).dispatch(
        [mask, columns, all, tokens, ofRow, before, scale = scale_, x = input.data<float>(), out = output.data<float>()] {
          for (size_t i = 0; i < all; i++) {
            const float* own = mask == nullptr ? nullptr : mask + (i / ofRow * tokens + i % tokens) * columns;
            size_t visible = before + 1 + i % tokens;
            vectorSoftmax(x + i * columns, own, scale, out + i * columns, mask == nullptr ? visible : columns);
            if (mask == nullptr) std::fill(out + i * columns + visible, out + (i + 1) * columns, 0.0f);
          }
        });
  }

  const char* name() const override { return "Softmax"; }

 private:
  float scale_;
  bool isCausal_;
};

std::optional<mx::array> elementwise(const mx::array& x, const char* name, Loop loop) {
  if (!computesHere(x)) return std::nullopt;
  auto primitive = std::make_shared<Elementwise>(mx::default_stream(mx::Device::cpu), name, loop);
  return mx::array(x.shape(), mx::float32, std::move(primitive), {mx::contiguous(x)});
}

mx::array softmaxOf(const mx::array& scores, const std::optional<mx::array>& mask, float scale, bool isCausal) {
  std::vector<mx::array> inputs{mx::contiguous(scores)};
  if (mask) inputs.push_back(mx::contiguous(*mask));
  auto primitive = std::make_shared<Softmax>(mx::default_stream(mx::Device::cpu), scale, isCausal);
  return mx::array(scores.shape(), mx::float32, std::move(primitive), std::move(inputs));
}

}  // namespace

std::optional<mx::array> cpuExp(const mx::array& x) {
  return elementwise(x, "Exp", vectorExp);
}

std::optional<mx::array> cpuSigmoid(const mx::array& x) {
  return elementwise(x, "Sigmoid", vectorSigmoid);
}

std::optional<mx::array> cpuSoftmax(const mx::array& x) {
  if (!computesHere(x) || x.ndim() == 0 || x.size() == 0) return std::nullopt;
  return softmaxOf(x, std::nullopt, 1.0f, false);
}

std::optional<mx::array> cpuAttention(
    const mx::array& queries,
    const mx::array& keys,
    const mx::array& values,
    float scale,
    const std::optional<mx::array>& mask,
    bool isCausal) {
  for (const auto* each : {&queries, &keys, &values}) {
    if (!computesHere(*each) || each->ndim() != 4) return std::nullopt;
  }
  auto rows = queries.shape(0);
  auto heads = queries.shape(1);
  auto tokens = queries.shape(2);
  auto size = queries.shape(3);
  auto kvHeads = keys.shape(1);
  auto columns = keys.shape(2);
  auto isFitting = kvHeads > 0 && heads % kvHeads == 0 && keys.shape(0) == rows && keys.shape(3) == size &&
      values.shape(0) == rows && values.shape(1) == kvHeads && values.shape(2) == columns;
  // What does not fit, MLX tells.
  if (!isFitting || (isCausal && (mask || tokens > columns))) return std::nullopt;
  if (mask) {
    const auto& shape = mask->shape();
    auto isPlain = shape.size() == 4 && (shape[0] == rows || shape[0] == 1) && shape[1] == 1 && shape[2] == tokens &&
        shape[3] == columns && mask->dtype() == mx::float32;
    if (!isPlain) return std::nullopt;
  }
  // Heads that share keys are rows of one product: the keys are read once for all of them.
  auto groups = heads / kvHeads;
  auto grouped = mx::reshape(queries, {rows, kvHeads, groups * tokens, size});
  auto scores = mx::matmul(grouped, mx::swapaxes(keys, -1, -2));
  std::optional<mx::array> rowMask;
  if (mask) rowMask = mx::reshape(*mask, {mask->shape(0), tokens, columns});
  auto shares = softmaxOf(mx::reshape(scores, {rows, kvHeads, groups, tokens, columns}), rowMask, scale, isCausal);
  auto attended = mx::matmul(mx::reshape(shares, {rows, kvHeads, groups * tokens, columns}), values);
  return mx::reshape(attended, {rows, heads, tokens, values.shape(3)});
}

}  // namespace binding

#else

namespace binding {

std::optional<mx::array> cpuExp(const mx::array&) {
  return std::nullopt;
}

std::optional<mx::array> cpuSigmoid(const mx::array&) {
  return std::nullopt;
}

std::optional<mx::array> cpuSoftmax(const mx::array&) {
  return std::nullopt;
}

std::optional<mx::array> cpuAttention(
    const mx::array&,
    const mx::array&,
    const mx::array&,
    float,
    const std::optional<mx::array>&,
    bool) {
  return std::nullopt;
}

}  // namespace binding

#endif
