// How an array of float32 lies in memory, row by row of its last axis: views need no copy before they are read.
#pragma once

#include <cstdint>
#include <vector>

#include "mlx/array.h"

namespace binding {

namespace mx = mlx::core;

class Rows {
 public:
  /** Of an array that is allocated: its numbers may still be on their way. */
  explicit Rows(const mx::array& x) : data_(x.data<float>()), size_(x.shape(-1)), step_(x.strides(-1)), begins_{0} {
    for (int axis = 0; axis + 1 < static_cast<int>(x.ndim()); axis++) {
      std::vector<int64_t> next;
      next.reserve(begins_.size() * x.shape(axis));
      for (auto begin : begins_)
        for (int64_t place = 0; place < x.shape(axis); place++) next.push_back(begin + place * x.strides(axis));
      begins_ = std::move(next);
    }
  }

  size_t count() const { return begins_.size(); }
  size_t size() const { return size_; }

  /** @param scratch room for a row, used where its elements do not lie side by side */
  const float* row(size_t index, float* scratch) const {
    const float* begin = data_ + begins_[index];
    if (step_ == 1 || size_ == 1) return begin;
    for (size_t i = 0; i < size_; i++) scratch[i] = begin[static_cast<int64_t>(i) * step_];
    return scratch;
  }

 private:
  const float* data_;
  size_t size_;
  int64_t step_;
  std::vector<int64_t> begins_;
};

}  // namespace binding
