#include "lossfloor/kernels.hpp"

namespace lossfloor {

const Kernels& kernels(bool portable) {
#if defined(LOSSFLOOR_HAVE_AVX2)
  static const bool wide = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("popcnt");
  if (wide && !portable) return avx2_kernels();
#endif
  (void)portable;
  return portable_kernels();
}

}  // namespace lossfloor
