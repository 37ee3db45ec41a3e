// On a CPU MLX's allocator does not look whether the system gave it memory, and the kernel that writes to nothing ends
// the process. The library asks `allocator()` for each buffer, and finds this one, as an addon is searched before the
// libraries that it needs; it looks, and leaves the rest to MLX's. The GPU's allocator looks for itself.
#ifdef __linux__

#include <dlfcn.h>

#include <cstdlib>
#include <stdexcept>
#include <string>

#include "mlx/allocator.h"
#include "mlx/memory.h"

namespace mlx::core::allocator {

namespace {

/** Smaller ones come out of what malloc holds already, nearly always. */
constexpr size_t triedFrom = 1 << 20;

class CheckedAllocator : public Allocator {
 public:
  explicit CheckedAllocator(Allocator& own) : own_(own) {}

  Buffer malloc(size_t size) override {
    if (size >= triedFrom) assertObtainable(size);
    return own_.malloc(size);
  }

  void free(Buffer buffer) override { own_.free(buffer); }
  size_t size(Buffer buffer) const override { return own_.size(buffer); }
  Buffer make_buffer(void* data, size_t size) override { return own_.make_buffer(data, size); }
  void release(Buffer buffer) override { own_.release(buffer); }

 private:
  static void assertObtainable(size_t size) {
    // A system that promises more than it has gives any amount, and ends the process that uses it.
    if (size <= get_memory_limit()) {
      if (void* tried = std::malloc(size)) {
        std::free(tried);
        return;
      }
    }
    throw std::runtime_error("unable to allocate " + std::to_string(size) + " bytes");
  }

  Allocator& own_;
};

Allocator& allocatorOfLibrary() {
  void* library = dlopen("libmlx.so", RTLD_LAZY | RTLD_NOLOAD);
  void* found = library == nullptr ? nullptr : dlsym(library, "_ZN3mlx4core9allocator9allocatorEv");
  if (found == nullptr) throw std::runtime_error("the MLX library has no allocator");
  return reinterpret_cast<Allocator& (*)()>(found)();
}

}  // namespace

__attribute__((visibility("default"))) Allocator& allocator() {
  static auto* checked = new CheckedAllocator(allocatorOfLibrary());
  return *checked;
}

}  // namespace mlx::core::allocator

#endif
