// The kernels that gain from 256-bit integers and fused multiply-add. Compiled with -mavx2 -mfma and called only
// after cpu.cpp has seen that the processor has both.
#include <immintrin.h>

#include "kernels_plain.inl"

namespace lossfloor {
namespace {

__m256i load(const void* address) { return _mm256_loadu_si256(static_cast<const __m256i*>(address)); }
void store(void* address, __m256i value) { _mm256_storeu_si256(static_cast<__m256i*>(address), value); }

std::int32_t two_int16(const std::int16_t* pair) {
  std::int32_t both;
  __builtin_memcpy(&both, pair, sizeof both);
  return both;
}

void dot_i16_avx2(const std::int16_t* left, std::size_t stride, const std::int16_t* right, std::size_t pairs,
                  std::int32_t* out) {
  __m256i sums[kTile][2];
  for (auto& row : sums) row[0] = row[1] = _mm256_setzero_si256();
  for (std::size_t k = 0; k < pairs; ++k) {
    const __m256i right0 = load(right);
    const __m256i right1 = load(right + 16);
#pragma GCC unroll 6
    for (std::size_t r = 0; r < kTile; ++r) {
      const __m256i both = _mm256_set1_epi32(two_int16(left + r * stride));
      sums[r][0] = _mm256_add_epi32(sums[r][0], _mm256_madd_epi16(both, right0));
      sums[r][1] = _mm256_add_epi32(sums[r][1], _mm256_madd_epi16(both, right1));
    }
    left += 2;
    right += 32;
  }
  for (std::size_t r = 0; r < kTile; ++r) {
    std::int32_t* row = out + r * kStrip;
    store(row, _mm256_add_epi32(load(row), sums[r][0]));
    store(row + 8, _mm256_add_epi32(load(row + 8), sums[r][1]));
  }
}

// sums[r][half] += sum_k left[r * stride + k] * right[k][half].
__attribute__((always_inline)) inline void multiply_f32(const float* left, std::size_t stride, const float* right,
                                                        std::size_t count, __m256 (&sums)[kTile][2]) {
  for (std::size_t k = 0; k < count; ++k) {
    const __m256 right0 = _mm256_loadu_ps(right);
    const __m256 right1 = _mm256_loadu_ps(right + 8);
#pragma GCC unroll 6
    for (std::size_t r = 0; r < kTile; ++r) {
      const __m256 value = _mm256_broadcast_ss(left + r * stride);
      sums[r][0] = _mm256_fmadd_ps(value, right0, sums[r][0]);
      sums[r][1] = _mm256_fmadd_ps(value, right1, sums[r][1]);
    }
    left += 1;
    right += 16;
  }
}

void dot_f32_avx2(const float* left, std::size_t stride, const float* right, std::size_t count, float* out) {
  __m256 sums[kTile][2];
  for (auto& row : sums) row[0] = row[1] = _mm256_setzero_ps();
  multiply_f32(left, stride, right, count, sums);
  for (std::size_t r = 0; r < kTile; ++r) {
    float* row = out + r * kStrip;
    _mm256_storeu_ps(row, _mm256_add_ps(_mm256_loadu_ps(row), sums[r][0]));
    _mm256_storeu_ps(row + 8, _mm256_add_ps(_mm256_loadu_ps(row + 8), sums[r][1]));
  }
}

// Eight columns at a time: four accumulators of doubles a row would not fit the registers.
void dot_f64_avx2(const double* left, std::size_t stride, const double* right, std::size_t count, double* out) {
  for (std::size_t begin = 0; begin < kPlainPanel; begin += 8) {
    __m256d sums[kTile][2];
    for (auto& row : sums) row[0] = row[1] = _mm256_setzero_pd();
    for (std::size_t k = 0; k < count; ++k) {
      const double* const columns = right + k * kPlainPanel + begin;
      const __m256d right0 = _mm256_loadu_pd(columns);
      const __m256d right1 = _mm256_loadu_pd(columns + 4);
#pragma GCC unroll 6
      for (std::size_t r = 0; r < kTile; ++r) {
        const __m256d value = _mm256_broadcast_sd(left + r * stride + k);
        sums[r][0] = _mm256_fmadd_pd(value, right0, sums[r][0]);
        sums[r][1] = _mm256_fmadd_pd(value, right1, sums[r][1]);
      }
    }
    for (std::size_t r = 0; r < kTile; ++r) {
      double* const row = out + r * kStrip + begin;
      _mm256_storeu_pd(row, _mm256_add_pd(_mm256_loadu_pd(row), sums[r][0]));
      _mm256_storeu_pd(row + 4, _mm256_add_pd(_mm256_loadu_pd(row + 4), sums[r][1]));
    }
  }
}

std::uint64_t at_most_i32_avx2(const std::int32_t* keys, std::int32_t limit) {
  const __m256i bound = _mm256_set1_epi32(limit);
  std::uint64_t above = 0;
  for (std::size_t c = 0; c < kStrip; c += 8) {
    const __m256i greater = _mm256_cmpgt_epi32(load(keys + c), bound);
    above |= std::uint64_t{static_cast<std::uint8_t>(_mm256_movemask_ps(_mm256_castsi256_ps(greater)))} << c;
  }
  return ~above;
}

StripOutcome between_f32_avx2(const float* products, float near, const float* nears, float far, const float* fars) {
  StripOutcome outcome{0, 0};
  for (std::size_t c = 0; c < kStrip; c += 8) {
    const __m256 product = _mm256_loadu_ps(products + c);
    const __m256 within = _mm256_add_ps(_mm256_set1_ps(near), _mm256_loadu_ps(nears + c));
    const __m256 beyond = _mm256_add_ps(_mm256_set1_ps(far), _mm256_loadu_ps(fars + c));
    const int inside = _mm256_movemask_ps(_mm256_cmp_ps(product, within, _CMP_GE_OQ));
    const int outside = _mm256_movemask_ps(_mm256_cmp_ps(product, beyond, _CMP_LT_OQ));
    outcome.within |= std::uint64_t{static_cast<std::uint8_t>(inside)} << c;
    outcome.doubtful |= std::uint64_t{static_cast<std::uint8_t>(~(inside | outside))} << c;
  }
  return outcome;
}

// Sums of |a - b| over groups of eight bytes (vpsadbw), two rows at a time against the sixteen columns of a quarter,
// whose features stay in the first-level cache from one pair of rows to the next.
void l1_u8_avx2(const std::uint8_t* left, std::size_t rows, const std::uint8_t* right, std::size_t groups,
                std::int32_t limit, std::int32_t* keys) {
  constexpr std::size_t kVectors = kQuarter / 4;
  const __m256i bound = _mm256_set1_epi64x(limit);
  for (std::size_t r = 0; r < rows; r += 2) {
    const std::size_t pair[2] = {r, r + 1 < rows ? r + 1 : r};
    const std::uint8_t* const row0 = left + pair[0] * groups * 8;
    const std::uint8_t* const row1 = left + pair[1] * groups * 8;
    __m256i sums[2][kVectors];
    for (auto& row : sums) {
      for (auto& sum : row) sum = _mm256_setzero_si256();
    }
    for (std::size_t g = 0; g < groups; ++g) {
      std::int64_t eight[2];
      __builtin_memcpy(&eight[0], row0 + 8 * g, 8);
      __builtin_memcpy(&eight[1], row1 + 8 * g, 8);
      const __m256i a0 = _mm256_set1_epi64x(eight[0]);
      const __m256i a1 = _mm256_set1_epi64x(eight[1]);
#pragma GCC unroll 4
      for (std::size_t i = 0; i < kVectors; ++i) {
        const __m256i b = load(right + (g * kVectors + i) * 32);
        sums[0][i] = _mm256_add_epi64(sums[0][i], _mm256_sad_epu8(a0, b));
        sums[1][i] = _mm256_add_epi64(sums[1][i], _mm256_sad_epu8(a1, b));
      }
      if (g % 8 == 7) {
        __m256i above = _mm256_set1_epi64x(-1);
        for (const auto& row : sums) {
          for (const auto& sum : row) above = _mm256_and_si256(above, _mm256_cmpgt_epi64(sum, bound));
        }
        if (_mm256_movemask_epi8(above) == -1) break;
      }
    }
    for (std::size_t e = 0; e < 2; ++e) {
      for (std::size_t i = 0; i < kVectors; i += 2) {
        // The low halves of eight sums of 64 bits, in order.
        const __m256 both = _mm256_shuffle_ps(_mm256_castsi256_ps(sums[e][i]), _mm256_castsi256_ps(sums[e][i + 1]),
                                              _MM_SHUFFLE(2, 0, 2, 0));
        store(keys + pair[e] * kStrip + i * 4, _mm256_permute4x64_epi64(_mm256_castps_si256(both), 0xD8));
      }
    }
  }
}

// Bits of the columns within `limit` of a row in every feature, whose largest differences come in `worst`; features
// are passed over once no column is left.
__attribute__((always_inline)) inline std::uint64_t worst_u8(const std::uint8_t* left, const std::uint8_t* right,
                                                             std::size_t features, std::uint8_t limit,
                                                             __m256i (&worst)[2]) {
  const __m256i bound = _mm256_set1_epi8(static_cast<char>(limit));
  const __m256i zero = _mm256_setzero_si256();
  worst[0] = worst[1] = zero;
  std::uint64_t alive = ~std::uint64_t{0};
  for (std::size_t begin = 0; begin < features && alive != 0; begin += kStep) {
    const std::size_t end = begin + kStep < features ? begin + kStep : features;
    for (std::size_t k = begin; k < end; ++k) {
      const __m256i a = _mm256_set1_epi8(static_cast<char>(left[k]));
#pragma GCC unroll 2
      for (std::size_t half = 0; half < 2; ++half) {
        const __m256i b = load(right + k * kStrip + 32 * half);
        worst[half] = _mm256_max_epu8(worst[half], _mm256_or_si256(_mm256_subs_epu8(a, b), _mm256_subs_epu8(b, a)));
      }
    }
    // A column is still within the limit where the saturating difference worst - limit is zero.
    const int low = _mm256_movemask_epi8(_mm256_cmpeq_epi8(_mm256_subs_epu8(worst[0], bound), zero));
    const int high = _mm256_movemask_epi8(_mm256_cmpeq_epi8(_mm256_subs_epu8(worst[1], bound), zero));
    alive = std::uint64_t{static_cast<std::uint32_t>(high)} << 32 | static_cast<std::uint32_t>(low);
  }
  return alive;
}

bool linf_u8_avx2(const std::uint8_t* left, const std::uint8_t* right, std::size_t features, std::int32_t limit,
                  std::int32_t* keys) {
  if (limit < 0) return false;
  __m256i worst[2];
  if (worst_u8(left, right, features, static_cast<std::uint8_t>(limit > 255 ? 255 : limit), worst) == 0) return false;
  alignas(32) std::uint8_t bytes[kStrip];
  store(bytes, worst[0]);
  store(bytes + 32, worst[1]);
  for (std::size_t c = 0; c < kStrip; ++c) keys[c] = bytes[c];
  return true;
}

void linf_within_u8_avx2(const std::uint8_t* left, std::size_t rows, const std::uint8_t* right,
                         std::size_t features, std::uint8_t limit, std::uint64_t* within) {
  __m256i worst[2];
  for (std::size_t r = 0; r < rows; ++r) within[r] = worst_u8(left + r * features, right, features, limit, worst);
}

bool linf_pair_u8_avx2(const std::uint8_t* left, const std::uint8_t* right, std::size_t features,
                       std::uint8_t limit) {
  const __m256i bound = _mm256_set1_epi8(static_cast<char>(limit));
  std::size_t k = 0;
  for (; k + 32 <= features; k += 32) {
    const __m256i a = load(left + k);
    const __m256i b = load(right + k);
    const __m256i beyond =
        _mm256_subs_epu8(_mm256_or_si256(_mm256_subs_epu8(a, b), _mm256_subs_epu8(b, a)), bound);
    if (!_mm256_testz_si256(beyond, beyond)) return false;
  }
  return linf_pair_u8_plain(left + k, right + k, features - k, limit);
}

void levels_i32_avx2(const std::int32_t* keys, const std::int32_t* thresholds, std::size_t count,
                     std::uint8_t* levels) {
  for (std::size_t c = 0; c < kStrip; c += 32) {
    const __m256i key[4] = {load(keys + c), load(keys + c + 8), load(keys + c + 16), load(keys + c + 24)};
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
    store(levels + c, _mm256_permutevar8x32_epi32(bytes, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7)));
  }
}

std::uint64_t at_most_u8_avx2(const std::uint8_t* bytes, std::uint8_t limit) {
  const __m256i bound = _mm256_set1_epi8(static_cast<char>(limit));
  const __m256i zero = _mm256_setzero_si256();
  const int low = _mm256_movemask_epi8(_mm256_cmpeq_epi8(_mm256_subs_epu8(load(bytes), bound), zero));
  const int high = _mm256_movemask_epi8(_mm256_cmpeq_epi8(_mm256_subs_epu8(load(bytes + 32), bound), zero));
  return std::uint64_t{static_cast<std::uint32_t>(high)} << 32 | static_cast<std::uint32_t>(low);
}

std::int32_t sum_of_lanes(__m256i lanes) {
  const __m128i four = _mm_add_epi32(_mm256_castsi256_si128(lanes), _mm256_extracti128_si256(lanes, 1));
  const __m128i two = _mm_add_epi32(four, _mm_shuffle_epi32(four, 0x4E));
  return _mm_cvtsi128_si32(_mm_add_epi32(two, _mm_shuffle_epi32(two, 0xB1)));
}

template <std::size_t kCount>
void products_i16_fixed(const std::int16_t* left, const std::int16_t* const* rights, std::size_t features,
                        std::int32_t* out) {
  __m256i sums[kCount];
  for (auto& sum : sums) sum = _mm256_setzero_si256();
  std::size_t k = 0;
  for (; k + 16 <= features; k += 16) {
    const __m256i a = load(left + k);
#pragma GCC unroll 4
    for (std::size_t j = 0; j < kCount; ++j) {
      sums[j] = _mm256_add_epi32(sums[j], _mm256_madd_epi16(a, load(rights[j] + k)));
    }
  }
  for (std::size_t j = 0; j < kCount; ++j) {
    out[j] = sum_of_lanes(sums[j]);
    for (std::size_t e = k; e < features; ++e) out[j] += std::int32_t{left[e]} * std::int32_t{rights[j][e]};
  }
}

void products_i16_avx2(const std::int16_t* left, const std::int16_t* const* rights, std::size_t count,
                       std::size_t features, std::int32_t* out) {
  switch (count) {
    case 4: return products_i16_fixed<4>(left, rights, features, out);
    case 3: return products_i16_fixed<3>(left, rights, features, out);
    case 2: return products_i16_fixed<2>(left, rights, features, out);
    default: return products_i16_fixed<1>(left, rights, features, out);
  }
}

double square_near_f32_avx2(const float* left, const float* right, std::size_t features) {
  __m256 sums[4];
  for (auto& sum : sums) sum = _mm256_setzero_ps();
  std::size_t k = 0;
  for (; k + 32 <= features; k += 32) {
#pragma GCC unroll 4
    for (std::size_t e = 0; e < 4; ++e) {
      const __m256 difference = _mm256_sub_ps(_mm256_loadu_ps(left + k + 8 * e), _mm256_loadu_ps(right + k + 8 * e));
      sums[e] = _mm256_fmadd_ps(difference, difference, sums[e]);
    }
  }
  float rest = 0;
  for (; k < features; ++k) rest += (left[k] - right[k]) * (left[k] - right[k]);
  alignas(32) float lanes[8];
  _mm256_store_ps(lanes, _mm256_add_ps(_mm256_add_ps(sums[0], sums[1]), _mm256_add_ps(sums[2], sums[3])));
  return static_cast<double>(rest + (((lanes[0] + lanes[4]) + (lanes[1] + lanes[5])) +
                                     ((lanes[2] + lanes[6]) + (lanes[3] + lanes[7]))));
}

double square_f64_avx2(const double* left, const double* right, std::size_t features) {
  __m256d sums[4];
  for (auto& sum : sums) sum = _mm256_setzero_pd();
  std::size_t k = 0;
  for (; k + 16 <= features; k += 16) {
#pragma GCC unroll 4
    for (std::size_t e = 0; e < 4; ++e) {
      const __m256d difference =
          _mm256_sub_pd(_mm256_loadu_pd(left + k + 4 * e), _mm256_loadu_pd(right + k + 4 * e));
      sums[e] = _mm256_fmadd_pd(difference, difference, sums[e]);
    }
  }
  double rest = 0;
  for (; k < features; ++k) rest += (left[k] - right[k]) * (left[k] - right[k]);
  alignas(32) double lanes[4];
  _mm256_store_pd(lanes, _mm256_add_pd(_mm256_add_pd(sums[0], sums[1]), _mm256_add_pd(sums[2], sums[3])));
  return rest + ((lanes[0] + lanes[2]) + (lanes[1] + lanes[3]));
}

void filter_f32_avx2(const float* left, std::size_t stride, const float* right, std::size_t count, FilterRows rows,
                     FilterColumns columns, unsigned shift, std::uint64_t* within, std::uint64_t* doubtful) {
  __m256 sums[kTile][2];
  for (auto& row : sums) row[0] = row[1] = _mm256_setzero_ps();
  multiply_f32(left, stride, right, count, sums);
  const __m256 size = _mm256_castsi256_ps(_mm256_set1_epi32(0x7fffffff));
  const __m256 slack = _mm256_set1_ps(rows.tolerance);
  const __m256 offsets[2] = {_mm256_loadu_ps(columns.offset), _mm256_loadu_ps(columns.offset + 8)};
  const __m256 rests[2] = {_mm256_loadu_ps(columns.rest), _mm256_loadu_ps(columns.rest + 8)};
#pragma GCC unroll 6
  for (std::size_t r = 0; r < kTile; ++r) {
    const __m256 offset = _mm256_broadcast_ss(rows.offset + r);
    const __m256 rest = _mm256_broadcast_ss(rows.rest + r);
    unsigned above = 0;
    unsigned near = 0;
#pragma GCC unroll 2
    for (unsigned half = 0; half < 2; ++half) {
      const __m256 signal = _mm256_sub_ps(sums[r][half], _mm256_add_ps(offset, offsets[half]));
      const __m256 margin = _mm256_fmadd_ps(rest, rests[half], slack);
      const __m256 is_above = _mm256_cmp_ps(signal, margin, _CMP_GT_OQ);
      const __m256 is_near = _mm256_cmp_ps(_mm256_and_ps(signal, size), margin, _CMP_NGT_UQ);  // a NaN is near
      above |= static_cast<unsigned>(_mm256_movemask_ps(is_above)) << (8 * half);
      near |= static_cast<unsigned>(_mm256_movemask_ps(is_near)) << (8 * half);
    }
    within[r] |= std::uint64_t{above} << shift;
    doubtful[r] |= std::uint64_t{near} << shift;
  }
}

}  // namespace

const Kernels& avx2_kernels() {
  static const Kernels table = [] {
    Kernels wide = plain_kernels("avx2");
    wide.dot_i16 = dot_i16_avx2;
    wide.dot_f32 = dot_f32_avx2;
    wide.dot_f64 = dot_f64_avx2;
    wide.l1_u8 = l1_u8_avx2;
    wide.linf_u8 = linf_u8_avx2;
    wide.linf_within_u8 = linf_within_u8_avx2;
    wide.linf_pair_u8 = linf_pair_u8_avx2;
    wide.at_most_i32 = at_most_i32_avx2;
    wide.between_f32 = between_f32_avx2;
    wide.levels_i32 = levels_i32_avx2;
    wide.at_most_u8 = at_most_u8_avx2;
    wide.products_i16 = products_i16_avx2;
    wide.filter_f32 = filter_f32_avx2;
    wide.square_near_f32 = square_near_f32_avx2;
    wide.square_f64 = square_f64_avx2;
    return wide;
  }();
  return table;
}

}  // namespace lossfloor
