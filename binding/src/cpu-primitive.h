// What the primitives of this addon have in common: float32 on a Linux CPU.
#pragma once

#include <stdexcept>

#include "mlx/allocator.h"
#include "mlx/device.h"
#include "mlx/primitives.h"

namespace binding {

namespace mx = mlx::core;

inline bool computesHere(const mx::array& x) {
  return x.dtype() == mx::float32 && mx::default_device() == mx::Device::cpu;
}

class CpuPrimitive : public mx::UnaryPrimitive {
 public:
  using mx::UnaryPrimitive::UnaryPrimitive;

  void eval_gpu(const std::vector<mx::array>&, mx::array&) override {
    throw std::runtime_error("it is computed on a CPU alone");
  }

 protected:
  static void allocate(mx::array& output) { output.set_data(mx::allocator::malloc(output.nbytes())); }

  /** In the input's buffer where nobody else has it. */
  static void allocate(const mx::array& input, mx::array& output) {
    if (input.is_donatable() && input.flags().row_contiguous) {
      output.copy_shared_buffer(input);
    } else {
      allocate(output);
    }
  }
};

}  // namespace binding
