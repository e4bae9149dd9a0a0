#include "kernels_plain.inl"

namespace lossfloor {

const Kernels& portable_kernels() {
  static constexpr Kernels table = plain_kernels(Isa::portable);
  return table;
}

}  // namespace lossfloor
