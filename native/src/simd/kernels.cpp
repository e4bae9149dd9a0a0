#include "lossfloor/simd/kernels.hpp"

namespace lossfloor {

const Kernels& kernels(Isa most) {
  switch (usable_isa(most)) {
#if defined(LOSSFLOOR_HAVE_X86_ISAS)
    case Isa::avx512:
      return avx512_kernels();
    case Isa::avx2:
      return avx2_kernels();
#endif
    default:
      return portable_kernels();
  }
}

}  // namespace lossfloor
