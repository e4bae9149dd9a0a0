// The kernels for registers of 256 bits and fused multiply-add. Compiled with -mavx2 -mfma -mpopcnt and called only
// after isa.cpp has seen that the processor has them.
#include "kernels_wide.inl"

namespace lossfloor {
namespace {

// The wrapper that kernels_wide.inl asks for.
struct V {
  using Ints = __m256i;
  using Floats = __m256;
  using Doubles = __m256d;
  using Mask = unsigned;
  static constexpr std::size_t kBytes = 32;
  static constexpr std::size_t kParts = 2;
  static constexpr std::size_t kL1Rows = 2;
  static constexpr std::size_t kLinfStep = 8;
  static constexpr bool kHasFirstBytes = false;

  static Ints load(const void* address) { return _mm256_loadu_si256(static_cast<const __m256i*>(address)); }
  static Floats load(const float* address) { return _mm256_loadu_ps(address); }
  static Doubles load(const double* address) { return _mm256_loadu_pd(address); }
  static void store(void* address, Ints value) { _mm256_storeu_si256(static_cast<__m256i*>(address), value); }
  static void store(float* address, Floats value) { _mm256_storeu_ps(address, value); }
  static void store(double* address, Doubles value) { _mm256_storeu_pd(address, value); }

  static Ints zero() { return _mm256_setzero_si256(); }
  static Floats zero_floats() { return _mm256_setzero_ps(); }
  static Doubles zero_doubles() { return _mm256_setzero_pd(); }
  static Floats set(float value) { return _mm256_set1_ps(value); }
  static Doubles set(double value) { return _mm256_set1_pd(value); }
  static Ints set8(std::uint8_t value) { return _mm256_set1_epi8(static_cast<char>(value)); }
  static Ints set32(std::int32_t value) { return _mm256_set1_epi32(value); }
  static Ints set64(std::int64_t value) { return _mm256_set1_epi64x(value); }
  static Ints four_bytes(const void* address) {
    std::int32_t word;
    __builtin_memcpy(&word, address, sizeof word);
    return _mm256_set1_epi32(word);
  }
  static Ints eight_bytes(const void* address) {
    std::int64_t word;
    __builtin_memcpy(&word, address, sizeof word);
    return _mm256_set1_epi64x(word);
  }
  static Floats first(const float* address, std::size_t count) {
    return _mm256_maskload_ps(address, load(kFirst + (8 - count)));
  }
  static Doubles first(const double* address, std::size_t count) {
    return _mm256_maskload_pd(address, load(kFirst + (8 - 2 * count)));
  }

  static Ints add32(Ints a, Ints b) { return _mm256_add_epi32(a, b); }
  static Ints add64(Ints a, Ints b) { return _mm256_add_epi64(a, b); }
  static Ints multiply_i16(Ints sum, Ints a, Ints b) { return _mm256_add_epi32(sum, _mm256_madd_epi16(a, b)); }
  static Ints in_order(Ints sum) {
    __asm__ volatile("" : "+x"(sum));
    return sum;
  }
  static Ints sad_u8(Ints a, Ints b) { return _mm256_sad_epu8(a, b); }
  static Ints max_u8(Ints a, Ints b) { return _mm256_max_epu8(a, b); }
  static Ints apart_u8(Ints a, Ints b) { return _mm256_or_si256(_mm256_subs_epu8(a, b), _mm256_subs_epu8(b, a)); }
  // The high halves of such numbers are zero.
  static Ints least64(Ints a, Ints b) { return _mm256_min_epi32(a, b); }
  static Floats add(Floats a, Floats b) { return _mm256_add_ps(a, b); }
  static Floats sub(Floats a, Floats b) { return _mm256_sub_ps(a, b); }
  static Floats fmadd(Floats a, Floats b, Floats c) { return _mm256_fmadd_ps(a, b, c); }
  static Doubles add(Doubles a, Doubles b) { return _mm256_add_pd(a, b); }
  static Doubles sub(Doubles a, Doubles b) { return _mm256_sub_pd(a, b); }
  static Doubles fmadd(Doubles a, Doubles b, Doubles c) { return _mm256_fmadd_pd(a, b, c); }

  static bool all_above64(Ints a, Ints bound) { return _mm256_movemask_epi8(_mm256_cmpgt_epi64(a, bound)) == -1; }
  static std::uint64_t above32(Ints a, Ints bound) {
    return static_cast<std::uint8_t>(_mm256_movemask_ps(_mm256_castsi256_ps(_mm256_cmpgt_epi32(a, bound))));
  }
  // A byte is at most the bound where the saturating difference is zero.
  static std::uint64_t at_most_u8(Ints a, Ints bound) {
    return static_cast<std::uint32_t>(_mm256_movemask_epi8(_mm256_cmpeq_epi8(_mm256_subs_epu8(a, bound), zero())));
  }
  static bool any_above_u8(Ints a, Ints bound) {
    const Ints beyond = _mm256_subs_epu8(a, bound);
    return _mm256_testz_si256(beyond, beyond) == 0;
  }
  static Mask at_least(Floats a, Floats b) { return bits_of(_mm256_cmp_ps(a, b, _CMP_GE_OQ)); }
  static Mask less(Floats a, Floats b) { return bits_of(_mm256_cmp_ps(a, b, _CMP_LT_OQ)); }
  static Mask greater(Floats a, Floats b) { return bits_of(_mm256_cmp_ps(a, b, _CMP_GT_OQ)); }
  static std::uint64_t joined(const Mask (&parts)[kParts]) { return parts[0] | parts[1] << 8; }

  static std::int32_t sum32(Ints lanes) {
    const __m128i four = _mm_add_epi32(_mm256_castsi256_si128(lanes), _mm256_extracti128_si256(lanes, 1));
    const __m128i two = _mm_add_epi32(four, _mm_shuffle_epi32(four, 0x4E));
    return _mm_cvtsi128_si32(_mm_add_epi32(two, _mm_shuffle_epi32(two, 0xB1)));
  }
  static float sum(Floats value) {
    alignas(32) float lanes[8];
    _mm256_store_ps(lanes, value);
    return ((lanes[0] + lanes[4]) + (lanes[1] + lanes[5])) + ((lanes[2] + lanes[6]) + (lanes[3] + lanes[7]));
  }
  static double sum(Doubles value) {
    alignas(32) double lanes[4];
    _mm256_store_pd(lanes, value);
    return (lanes[0] + lanes[2]) + (lanes[1] + lanes[3]);
  }

  static void store_low_halves(std::int32_t* out, const Ints (&sums)[4]) {
    for (std::size_t i = 0; i < 4; i += 2) {
      const Floats both =
          _mm256_shuffle_ps(_mm256_castsi256_ps(sums[i]), _mm256_castsi256_ps(sums[i + 1]), _MM_SHUFFLE(2, 0, 2, 0));
      store(out + i * 4, _mm256_permute4x64_epi64(_mm256_castps_si256(both), 0xD8));
    }
  }

 private:
  static Mask bits_of(Floats compared) { return static_cast<Mask>(_mm256_movemask_ps(compared)); }
  // A window of eight from 8 - n on has n words of ones first.
  static constexpr std::int32_t kFirst[16] = {-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0};
};

void levels_i32_avx2(const std::int32_t* keys, const std::int32_t* thresholds, std::size_t count,
                     std::uint8_t* levels) {
  for (std::size_t c = 0; c < kStrip; c += 32) {
    const __m256i key[4] = {V::load(keys + c), V::load(keys + c + 8), V::load(keys + c + 16), V::load(keys + c + 24)};
    __m256i above[4];
    for (auto& lane : above) lane = _mm256_setzero_si256();
    for (std::size_t k = 0; k < count; ++k) {
      const __m256i threshold = _mm256_set1_epi32(thresholds[k]);
#pragma GCC unroll 4
      for (std::size_t e = 0; e < 4; ++e) {
        above[e] = _mm256_sub_epi32(above[e], _mm256_cmpgt_epi32(key[e], threshold));
      }
    }
    // Packing works within halves of 128 bits: the permutation puts the words back in order.
    const __m256i low = _mm256_packus_epi32(above[0], above[1]);
    const __m256i high = _mm256_packus_epi32(above[2], above[3]);
    const __m256i bytes = _mm256_packus_epi16(low, high);
    V::store(levels + c, _mm256_permutevar8x32_epi32(bytes, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7)));
  }
}

std::size_t visit_avx2(const std::uint64_t* row, std::size_t words, std::uint64_t* unvisited, std::uint64_t* alive,
                       std::uint32_t* open, std::size_t* n_open, std::int32_t* found) {
  std::int32_t* end = found;
  for (std::size_t k = 0; k < *n_open;) {
    const std::size_t first = open[k] * kChunk;
    const std::size_t size = words_in(open[k], words);
    if (size == kChunk) {
      const __m256i low = load4(unvisited + first);
      const __m256i high = load4(unvisited + first + 4);
      if (_mm256_testz_si256(load4(row + first), low) && _mm256_testz_si256(load4(row + first + 4), high)) {
        ++k;
        continue;
      }
    }
    if (visit_words(row, first, first + size, unvisited, alive, end)) {
      ++k;
    } else {
      open[k] = open[--*n_open];
    }
  }
  return static_cast<std::size_t>(end - found);
}

std::size_t meet_avx2(const std::uint64_t* row, std::size_t words, const std::uint64_t* alive,
                      const std::uint32_t* chunks, std::size_t begin, std::size_t count, std::int32_t* place) {
  for (std::size_t k = begin; k < count; ++k) {
    const std::size_t first = chunks[k] * kChunk;
    const std::size_t size = words_in(chunks[k], words);
    if (size == kChunk && _mm256_testz_si256(load4(row + first), load4(alive + first)) &&
        _mm256_testz_si256(load4(row + first + 4), load4(alive + first + 4))) {
      continue;
    }
    if (meet_words(row, first, first + size, alive, place)) return k;
  }
  return count;
}

}  // namespace

const Kernels& avx2_kernels() {
  static constexpr Kernels table = [] {
    Kernels wide = wide_kernels<V>(Isa::avx2);
    wide.levels_i32 = levels_i32_avx2;
    wide.bit_rows.visit = visit_avx2;
    wide.bit_rows.meet = meet_avx2;
    return wide;
  }();
  return table;
}

}  // namespace lossfloor
