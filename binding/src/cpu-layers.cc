#include "cpu-layers.h"

#ifdef __linux__

#include <algorithm>

#include "cpu-primitive.h"
#include "cpu-rows.h"
#include "mlx/backend/cpu/encoder.h"
#include "mlx/ops.h"
#include "vector-math.h"

namespace binding {

namespace {

class RmsNorm : public CpuPrimitive {
 public:
  RmsNorm(mx::Stream stream, float eps) : CpuPrimitive(stream), eps_(eps) {}

  void eval_cpu(const std::vector<mx::array>& inputs, mx::array& output) override {
    Rows rows(inputs[0]);
    allocate(inputs[0], output);
    mx::cpu::get_command_encoder(stream()).dispatch(
        [rows = std::move(rows), weight = inputs[1].data<float>(), eps = eps_, out = output.data<float>()] {
          std::vector<float> scratch(rows.size());
          for (size_t i = 0; i < rows.count(); i++) {
            vectorRmsNorm(rows.row(i, scratch.data()), weight, eps, out + i * rows.size(), rows.size());
          }
        });
  }

  const char* name() const override { return "RMSNorm"; }

 private:
  float eps_;
};

class SwiGlu : public CpuPrimitive {
 public:
  using CpuPrimitive::CpuPrimitive;

  void eval_cpu(const std::vector<mx::array>& inputs, mx::array& output) override {
    Rows gates(inputs[0]);
    Rows ups(inputs[1]);
    allocate(output);
    mx::cpu::get_command_encoder(stream()).dispatch(
        [gates = std::move(gates), ups = std::move(ups), out = output.data<float>()] {
          auto size = gates.size();
          std::vector<float> scratch(2 * size);
          for (size_t i = 0; i < gates.count(); i++) {
            auto* gate = gates.row(i, scratch.data());
            vectorSwiGlu(gate, ups.row(i, scratch.data() + size), out + i * size, size);
          }
        });
  }

  const char* name() const override { return "SwiGLU"; }
};

/** x [rows, heads, tokens, size], offsets int32 [rows], frequencies [dims / 2]. */
class Rope : public CpuPrimitive {
 public:
  Rope(mx::Stream stream, int dims, bool inPairs, float scale)
      : CpuPrimitive(stream), dims_(dims), inPairs_(inPairs), scale_(scale) {}

  void eval_cpu(const std::vector<mx::array>& inputs, mx::array& output) override {
    const auto& x = inputs[0];
    Rows rows(x);
    allocate(output);
    mx::cpu::get_command_encoder(stream()).dispatch([rows = std::move(rows),
                                                     batch = static_cast<size_t>(x.shape(0)),
                                                     heads = static_cast<size_t>(x.shape(1)),
                                                     tokens = static_cast<size_t>(x.shape(2)),
                                                     dims = static_cast<size_t>(dims_),
                                                     inPairs = inPairs_,
                                                     scale = scale_,
                                                     offsets = inputs[1].data<int32_t>(),
                                                     frequencies = inputs[2].data<float>(),
                                                     out = output.data<float>()] {
      auto half = dims / 2;
      auto size = rows.size();
      std::vector<float> scratch(size);
      std::vector<float> cosines(half);
      std::vector<float> sines(half);
      for (size_t row = 0; row < batch; row++) {
        for (size_t token = 0; token < tokens; token++) {
          // In 32 bits, as MLX has it: a position times a frequency.
          float position = static_cast<float>(offsets[row] + static_cast<int64_t>(token)) * scale;
          vectorRotation(position, frequencies, cosines.data(), sines.data(), half);
          for (size_t head = 0; head < heads; head++) {
            auto index = (row * heads + head) * tokens + token;
            auto* from = rows.row(index, scratch.data());
            auto* to = out + index * size;
            vectorRotate(from, cosines.data(), sines.data(), to, half, inPairs);
            std::copy(from + dims, from + size, to + dims);
          }
        }
      }
    });
  }

  const char* name() const override { return "RoPE"; }

 private:
  int dims_;
  bool inPairs_;
  float scale_;
};

/** Writes columns of [rows, heads, columns, size] where they lie, whoever else holds the buffer. */
class PutColumns : public CpuPrimitive {
 public:
  PutColumns(mx::Stream stream, int from) : CpuPrimitive(stream), from_(from) {}

  void eval_cpu(const std::vector<mx::array>& inputs, mx::array& output) override {
    const auto& update = inputs[1];
    output.copy_shared_buffer(inputs[0]);
    Rows rows(update);
    mx::cpu::get_command_encoder(stream()).dispatch([rows = std::move(rows),
                                                     tokens = static_cast<size_t>(update.shape(2)),
                                                     columns = static_cast<size_t>(output.shape(2)),
                                                     from = static_cast<size_t>(from_),
                                                     out = output.data<float>()] {
      std::vector<float> scratch(rows.size());
      for (size_t i = 0; i < rows.count(); i++) {
        auto* row = rows.row(i, scratch.data());
        std::copy(row, row + rows.size(), out + (i / tokens * columns + from + i % tokens) * rows.size());
      }
    });
  }

  const char* name() const override { return "PutColumns"; }

 private:
  int from_;
};

mx::Stream cpuStream() { return mx::default_stream(mx::Device::cpu); }

}  // namespace

std::optional<mx::array> cpuRmsNorm(const mx::array& x, const mx::array& weight, float eps) {
  if (!computesHere(x) || x.ndim() == 0 || x.size() == 0) return std::nullopt;
  if (!computesHere(weight) || weight.ndim() != 1 || weight.shape(0) != x.shape(-1)) return std::nullopt;
  auto primitive = std::make_shared<RmsNorm>(cpuStream(), eps);
  return mx::array(x.shape(), mx::float32, std::move(primitive), {x, mx::contiguous(weight)});
}

std::optional<mx::array> cpuSwiGlu(const mx::array& gate, const mx::array& up) {
  if (!computesHere(gate) || !computesHere(up) || gate.ndim() == 0 || gate.size() == 0) return std::nullopt;
  if (gate.shape() != up.shape()) return std::nullopt;
  return mx::array(gate.shape(), mx::float32, std::make_shared<SwiGlu>(cpuStream()), {gate, up});
}

std::optional<mx::array> cpuRope(
    const mx::array& x,
    int dims,
    bool inPairs,
    float scale,
    const mx::array& offsets,
    const mx::array& frequencies) {
  if (!computesHere(x) || x.ndim() != 4 || x.size() == 0 || dims < 2 || dims % 2 != 0 || dims > x.shape(-1)) {
    return std::nullopt;
  }
  auto isFitting = offsets.dtype() == mx::int32 && offsets.shape() == mx::Shape{x.shape(0)} &&
      frequencies.dtype() == mx::float32 && frequencies.shape() == mx::Shape{dims / 2};
  if (!isFitting) return std::nullopt;
  auto primitive = std::make_shared<Rope>(cpuStream(), dims, inPairs, scale);
  return mx::array(
      x.shape(), mx::float32, std::move(primitive), {x, mx::contiguous(offsets), mx::contiguous(frequencies)});
}

std::optional<mx::array> cpuPutColumns(const mx::array& array, const mx::array& update, int from) {
  if (!computesHere(array) || !computesHere(update)) return std::nullopt;
  auto primitive = std::make_shared<PutColumns>(cpuStream(), from);
  return mx::array(array.shape(), mx::float32, std::move(primitive), {mx::contiguous(array), update});
}

}  // namespace binding

#else

namespace binding {

std::optional<mx::array> cpuRmsNorm(const mx::array&, const mx::array&, float) { return std::nullopt; }

std::optional<mx::array> cpuSwiGlu(const mx::array&, const mx::array&) { return std::nullopt; }

std::optional<mx::array> cpuRope(const mx::array&, int, bool, float, const mx::array&, const mx::array&) {
  return std::nullopt;
}

std::optional<mx::array> cpuPutColumns(const mx::array&, const mx::array&, int) { return std::nullopt; }

}  // namespace binding

#endif
