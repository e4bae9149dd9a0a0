#include "lossfloor/simd/kernels.hpp"

namespace lossfloor {

const Kernels& kernels(Level most) {
#if defined(LOSSFLOOR_HAVE_X86_LEVELS)
  // What Ice Lake and Zen 4 brought together. Processors with AVX-512 but without these are served as well by AVX2.
  static const bool has_avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                                 __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
                                 __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512vpopcntdq");
  static const bool has_avx2 =
      __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("popcnt");
  if (has_avx512 && most >= Level::avx512) return avx512_kernels();
  if (has_avx2 && most >= Level::avx2) return avx2_kernels();
#endif
  (void)most;
  return portable_kernels();
}

}  // namespace lossfloor
