// The kernels that gain from 512-bit registers, masks and products of bytes (VNNI). Compiled with the instructions that
// cpu.cpp asks for, and called only after it has seen that the processor has them.
#include <immintrin.h>

#include "kernels_plain.inl"

namespace lossfloor {
namespace {

constexpr std::size_t kPanel = kStrip;             // a panel is a whole strip: four registers
constexpr std::size_t kParts = kPanel / 16;        // of 32 bits a column

__m512i load(const void* address) { return _mm512_loadu_si512(address); }
void store(void* address, __m512i value) { _mm512_storeu_si512(address, value); }

__m512i four_bytes(const void* address) {
  std::int32_t word;
  __builtin_memcpy(&word, address, sizeof word);
  return _mm512_set1_epi32(word);
}

// The first `count` < 64 bytes from an address, zeros after them.
__m512i first_bytes(const void* address, std::size_t count) {
  return _mm512_maskz_loadu_epi8((std::uint64_t{1} << count) - 1, address);
}

// out[r][c] += sum_k left[r][k] . right[k][c], where `Multiply` adds the products that one word of 32 bits holds.
template <class Multiply, class T, class U>
__attribute__((always_inline)) inline void dot_words(const T* left, std::size_t stride, const U* right,
                                                     std::size_t words, std::int32_t* out, const Multiply& multiply) {
  constexpr std::size_t kDepth = 4 / sizeof(T);
  __m512i sums[kTile][kParts];
  for (auto& row : sums) {
    for (auto& sum : row) sum = _mm512_setzero_si512();
  }
  for (std::size_t k = 0; k < words; ++k) {
    __m512i columns[kParts];
#pragma GCC unroll 4
    for (std::size_t q = 0; q < kParts; ++q) columns[q] = load(right + (k * kPanel + q * 16) * kDepth);
#pragma GCC unroll 6
    for (std::size_t r = 0; r < kTile; ++r) {
      const __m512i value = four_bytes(left + r * stride + k * kDepth);
#pragma GCC unroll 4
      for (std::size_t q = 0; q < kParts; ++q) sums[r][q] = multiply(sums[r][q], columns[q], value);
    }
  }
#pragma GCC unroll 6
  for (std::size_t r = 0; r < kTile; ++r) {
#pragma GCC unroll 4
    for (std::size_t q = 0; q < kParts; ++q) {
      std::int32_t* const place = out + r * kStrip + q * 16;
      store(place, _mm512_add_epi32(load(place), sums[r][q]));
    }
  }
}

void dot_u8_avx512(const std::uint8_t* left, std::size_t stride, const std::uint8_t* right, std::size_t fours,
                   std::int32_t* out) {
  dot_words(left, stride, right, fours, out,
            [](__m512i sum, __m512i b, __m512i a) { return _mm512_dpbusd_epi32(sum, b, a); });
}

void dot_i16_avx512(const std::int16_t* left, std::size_t stride, const std::int16_t* right, std::size_t pairs,
                    std::int32_t* out) {
  dot_words(left, stride, right, pairs, out,
            [](__m512i sum, __m512i b, __m512i a) { return _mm512_dpwssd_epi32(sum, b, a); });
}

__attribute__((always_inline)) inline void multiply_f32(const float* left, std::size_t stride, const float* right,
                                                        std::size_t count, __m512 (&sums)[kTile][kParts]) {
  for (auto& row : sums) {
    for (auto& sum : row) sum = _mm512_setzero_ps();
  }
  for (std::size_t k = 0; k < count; ++k) {
    __m512 columns[kParts];
#pragma GCC unroll 4
    for (std::size_t q = 0; q < kParts; ++q) columns[q] = _mm512_loadu_ps(right + k * kPanel + q * 16);
#pragma GCC unroll 6
    for (std::size_t r = 0; r < kTile; ++r) {
      const __m512 value = _mm512_set1_ps(left[r * stride + k]);
#pragma GCC unroll 4
      for (std::size_t q = 0; q < kParts; ++q) sums[r][q] = _mm512_fmadd_ps(value, columns[q], sums[r][q]);
    }
  }
}

void dot_f32_avx512(const float* left, std::size_t stride, const float* right, std::size_t count, float* out) {
  __m512 sums[kTile][kParts];
  multiply_f32(left, stride, right, count, sums);
#pragma GCC unroll 6
  for (std::size_t r = 0; r < kTile; ++r) {
#pragma GCC unroll 4
    for (std::size_t q = 0; q < kParts; ++q) {
      float* const place = out + r * kStrip + q * 16;
      _mm512_storeu_ps(place, _mm512_add_ps(_mm512_loadu_ps(place), sums[r][q]));
    }
  }
}

// Half a panel at a time: eight accumulators of doubles a row would not fit the registers.
void dot_f64_avx512(const double* left, std::size_t stride, const double* right, std::size_t count, double* out) {
  for (std::size_t begin = 0; begin < kPanel; begin += kPanel / 2) {
    __m512d sums[kTile][4];
    for (auto& row : sums) {
      for (auto& sum : row) sum = _mm512_setzero_pd();
    }
    for (std::size_t k = 0; k < count; ++k) {
      __m512d columns[4];
#pragma GCC unroll 4
      for (std::size_t q = 0; q < 4; ++q) columns[q] = _mm512_loadu_pd(right + k * kPanel + begin + q * 8);
#pragma GCC unroll 6
      for (std::size_t r = 0; r < kTile; ++r) {
        const __m512d value = _mm512_set1_pd(left[r * stride + k]);
#pragma GCC unroll 4
        for (std::size_t q = 0; q < 4; ++q) sums[r][q] = _mm512_fmadd_pd(value, columns[q], sums[r][q]);
      }
    }
#pragma GCC unroll 6
    for (std::size_t r = 0; r < kTile; ++r) {
#pragma GCC unroll 4
      for (std::size_t q = 0; q < 4; ++q) {
        double* const place = out + r * kStrip + begin + q * 8;
        _mm512_storeu_pd(place, _mm512_add_pd(_mm512_loadu_pd(place), sums[r][q]));
      }
    }
  }
}

// Sums of |a - b| over groups of eight bytes (vpsadbw), six rows at a time against the sixteen columns of a quarter.
template <std::size_t kRows>
void l1_rows(const std::uint8_t* left, const std::uint8_t* right, std::size_t groups, std::int32_t limit,
             std::int32_t* keys) {
  const __m512i bound = _mm512_set1_epi64(limit);
  __m512i sums[kRows][2];
  for (auto& row : sums) row[0] = row[1] = _mm512_setzero_si512();
  for (std::size_t g = 0; g < groups; ++g) {
    const __m512i b0 = load(right + g * 128);
    const __m512i b1 = load(right + g * 128 + 64);
#pragma GCC unroll 6
    for (std::size_t r = 0; r < kRows; ++r) {
      std::int64_t eight;
      __builtin_memcpy(&eight, left + (r * groups + g) * 8, sizeof eight);
      const __m512i a = _mm512_set1_epi64(eight);
      sums[r][0] = _mm512_add_epi64(sums[r][0], _mm512_sad_epu8(a, b0));
      sums[r][1] = _mm512_add_epi64(sums[r][1], _mm512_sad_epu8(a, b1));
    }
    if (g % 8 == 7) {
      __m512i least = sums[0][0];
      for (const auto& row : sums) least = _mm512_min_epi64(least, _mm512_min_epi64(row[0], row[1]));
      if (_mm512_cmple_epi64_mask(least, bound) == 0) break;
    }
  }
  for (std::size_t r = 0; r < kRows; ++r) {
    for (std::size_t half = 0; half < 2; ++half) {
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(keys + r * kStrip + half * 8),
                          _mm512_cvtepi64_epi32(sums[r][half]));
    }
  }
}

void l1_u8_avx512(const std::uint8_t* left, std::size_t rows, const std::uint8_t* right, std::size_t groups,
                  std::int32_t limit, std::int32_t* keys) {
  std::size_t r = 0;
  for (; r + 6 <= rows; r += 6) l1_rows<6>(left + r * groups * 8, right, groups, limit, keys + r * kStrip);
  for (; r < rows; ++r) l1_rows<1>(left + r * groups * 8, right, groups, limit, keys + r * kStrip);
}

// Bits of the columns within `limit` of a row in every feature, whose largest differences come in `worst`; features
// are passed over once no column is left.
__attribute__((always_inline)) inline std::uint64_t worst_u8(const std::uint8_t* left, const std::uint8_t* right,
                                                             std::size_t features, std::uint8_t limit,
                                                             __m512i& worst) {
  const __m512i bound = _mm512_set1_epi8(static_cast<char>(limit));
  worst = _mm512_setzero_si512();
  std::uint64_t alive = ~std::uint64_t{0};
  for (std::size_t begin = 0; begin < features && alive != 0; begin += 4) {
    const std::size_t end = begin + 4 < features ? begin + 4 : features;
    for (std::size_t k = begin; k < end; ++k) {
      const __m512i a = _mm512_set1_epi8(static_cast<char>(left[k]));
      const __m512i b = load(right + k * kStrip);
      worst = _mm512_max_epu8(worst, _mm512_or_si512(_mm512_subs_epu8(a, b), _mm512_subs_epu8(b, a)));
    }
    alive = _mm512_cmple_epu8_mask(worst, bound);
  }
  return alive;
}

bool linf_u8_avx512(const std::uint8_t* left, const std::uint8_t* right, std::size_t features, std::int32_t limit,
                    std::int32_t* keys) {
  if (limit < 0) return false;
  __m512i worst;
  if (worst_u8(left, right, features, static_cast<std::uint8_t>(limit > 255 ? 255 : limit), worst) == 0) return false;
  alignas(64) std::uint8_t bytes[kStrip];
  store(bytes, worst);
  for (std::size_t c = 0; c < kStrip; ++c) keys[c] = bytes[c];
  return true;
}

void linf_within_u8_avx512(const std::uint8_t* left, std::size_t rows, const std::uint8_t* right,
                         std::size_t features, std::uint8_t limit, std::uint64_t* within) {
  __m512i worst;
  for (std::size_t r = 0; r < rows; ++r) within[r] = worst_u8(left + r * features, right, features, limit, worst);
}

bool linf_pair_u8_avx512(const std::uint8_t* left, const std::uint8_t* right, std::size_t features,
                         std::uint8_t limit) {
  const __m512i bound = _mm512_set1_epi8(static_cast<char>(limit));
  const auto beyond = [&](__m512i a, __m512i b) {
    return _mm512_cmpgt_epu8_mask(_mm512_or_si512(_mm512_subs_epu8(a, b), _mm512_subs_epu8(b, a)), bound) != 0;
  };
  std::size_t k = 0;
  for (; k + 64 <= features; k += 64) {
    if (beyond(load(left + k), load(right + k))) return false;
  }
  return k == features || !beyond(first_bytes(left + k, features - k), first_bytes(right + k, features - k));
}

std::uint64_t at_most_i32_avx512(const std::int32_t* keys, std::int32_t limit) {
  const __m512i bound = _mm512_set1_epi32(limit);
  std::uint64_t within = 0;
  for (std::size_t c = 0; c < kStrip; c += 16) {
    within |= std::uint64_t{_mm512_cmple_epi32_mask(load(keys + c), bound)} << c;
  }
  return within;
}

std::uint64_t at_most_u8_avx512(const std::uint8_t* bytes, std::uint8_t limit) {
  return _mm512_cmple_epu8_mask(load(bytes), _mm512_set1_epi8(static_cast<char>(limit)));
}

StripOutcome at_most_f64_avx512(const double* keys, const double* scale, double relative, double absolute,
                                Bracket threshold) {
  const __m512d lower = _mm512_set1_pd(threshold.lower);
  const __m512d upper = _mm512_set1_pd(threshold.upper);
  StripOutcome outcome{0, 0};
  for (std::size_t c = 0; c < kStrip; c += 8) {
    const __m512d key = _mm512_loadu_pd(keys + c);
    const __m512d margin = _mm512_add_pd(_mm512_mul_pd(_mm512_set1_pd(relative), _mm512_loadu_pd(scale + c)),
                                         _mm512_set1_pd(absolute));
    const __mmask8 inside = _mm512_cmp_pd_mask(_mm512_add_pd(key, margin), lower, _CMP_LE_OQ);
    const __mmask8 outside = _mm512_cmp_pd_mask(_mm512_sub_pd(key, margin), upper, _CMP_GT_OQ);
    outcome.within |= std::uint64_t{inside} << c;
    outcome.doubtful |= (std::uint64_t{0xff} & ~std::uint64_t{inside} & ~std::uint64_t{outside}) << c;
  }
  return outcome;
}

StripOutcome between_f32_avx512(const float* products, float near, const float* nears, float far, const float* fars) {
  StripOutcome outcome{0, 0};
  for (std::size_t c = 0; c < kStrip; c += 16) {
    const __m512 product = _mm512_loadu_ps(products + c);
    const __m512 within = _mm512_add_ps(_mm512_set1_ps(near), _mm512_loadu_ps(nears + c));
    const __m512 beyond = _mm512_add_ps(_mm512_set1_ps(far), _mm512_loadu_ps(fars + c));
    const __mmask16 inside = _mm512_cmp_ps_mask(product, within, _CMP_GE_OQ);
    const __mmask16 outside = _mm512_cmp_ps_mask(product, beyond, _CMP_LT_OQ);
    outcome.within |= std::uint64_t{inside} << c;
    outcome.doubtful |= std::uint64_t{_mm512_knot(_mm512_kor(inside, outside))} << c;
  }
  return outcome;
}

// Up to 64 thresholds wait in four registers, and each of sixteen keys halves its way through them.
void levels_i32_avx512(const std::int32_t* keys, const std::int32_t* thresholds, std::size_t count,
                       std::uint8_t* levels) {
  if (count > 64) return levels_i32_plain(keys, thresholds, count, levels);
  const __m512i table[4] = {load(thresholds), load(thresholds + 16), load(thresholds + 32), load(thresholds + 48)};
  for (std::size_t c = 0; c < kStrip; c += 16) {
    const __m512i key = load(keys + c);
    __m512i below = _mm512_setzero_si512();  // thresholds known to lie below the key
#pragma GCC unroll 6
    for (std::int32_t step = 32; step > 0; step /= 2) {
      const __m512i place = _mm512_add_epi32(below, _mm512_set1_epi32(step - 1));
      const __m512i threshold =
          _mm512_mask_blend_epi32(_mm512_test_epi32_mask(place, _mm512_set1_epi32(32)),
                                  _mm512_permutex2var_epi32(table[0], place, table[1]),
                                  _mm512_permutex2var_epi32(table[2], place, table[3]));
      below = _mm512_mask_add_epi32(below, _mm512_cmpgt_epi32_mask(key, threshold), below, _mm512_set1_epi32(step));
    }
    // Sixty-three steps at most were made; the last threshold may lie below the key too.
    const __m512i last = _mm512_set1_epi32(thresholds[63]);
    below = _mm512_mask_add_epi32(below, _mm512_cmpgt_epi32_mask(key, last), below, _mm512_set1_epi32(1));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(levels + c), _mm512_cvtepi32_epi8(below));
  }
}

template <std::size_t kCount>
void products_u8_fixed(const std::uint8_t* left, const std::uint8_t* const* rights, std::size_t features,
                       std::int32_t* out) {
  __m512i sums[kCount];
  for (auto& sum : sums) sum = _mm512_setzero_si512();
  std::size_t k = 0;
  for (; k + 64 <= features; k += 64) {
    const __m512i a = load(left + k);
#pragma GCC unroll 4
    for (std::size_t j = 0; j < kCount; ++j) sums[j] = _mm512_dpbusd_epi32(sums[j], load(rights[j] + k), a);
  }
  if (k < features) {
    const __m512i a = first_bytes(left + k, features - k);
#pragma GCC unroll 4
    for (std::size_t j = 0; j < kCount; ++j) {
      sums[j] = _mm512_dpbusd_epi32(sums[j], first_bytes(rights[j] + k, features - k), a);
    }
  }
  for (std::size_t j = 0; j < kCount; ++j) out[j] = _mm512_reduce_add_epi32(sums[j]);
}

void products_u8_avx512(const std::uint8_t* left, const std::uint8_t* const* rights, std::size_t count,
                        std::size_t features, std::int32_t* out) {
  switch (count) {
    case 4: return products_u8_fixed<4>(left, rights, features, out);
    case 3: return products_u8_fixed<3>(left, rights, features, out);
    case 2: return products_u8_fixed<2>(left, rights, features, out);
    default: return products_u8_fixed<1>(left, rights, features, out);
  }
}

void sums_u8_avx512(const std::uint8_t* row, std::size_t features, std::int32_t* sum, std::int32_t* square) {
  // b * (b - 128) for bytes b, since products of bytes want one signed factor.
  const __m512i flip = _mm512_set1_epi8(static_cast<char>(0x80));
  __m512i products = _mm512_setzero_si512();
  __m512i sums = _mm512_setzero_si512();
  for (std::size_t k = 0; k < features; k += 64) {
    const __m512i b = k + 64 <= features ? load(row + k) : first_bytes(row + k, features - k);
    products = _mm512_dpbusd_epi32(products, b, _mm512_xor_si512(b, flip));
    sums = _mm512_add_epi64(sums, _mm512_sad_epu8(b, _mm512_setzero_si512()));
  }
  *sum = static_cast<std::int32_t>(_mm512_reduce_add_epi64(sums));
  *square = _mm512_reduce_add_epi32(products) + 128 * *sum;
}

std::int32_t centre_u8_avx512(const std::uint8_t* row, const std::int16_t* centre, std::size_t features, float* out) {
  __m512i squares = _mm512_setzero_si512();
  std::size_t k = 0;
  for (; k + 32 <= features; k += 32) {
    const __m512i difference = _mm512_sub_epi16(
        _mm512_cvtepu8_epi16(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(row + k))), load(centre + k));
    squares = _mm512_dpwssd_epi32(squares, difference, difference);
    const __m256i low = _mm512_castsi512_si256(difference);
    const __m256i high = _mm512_extracti64x4_epi64(difference, 1);
    _mm512_storeu_ps(out + k, _mm512_cvtepi32_ps(_mm512_cvtepi16_epi32(low)));
    _mm512_storeu_ps(out + k + 16, _mm512_cvtepi32_ps(_mm512_cvtepi16_epi32(high)));
  }
  std::int32_t sum = _mm512_reduce_add_epi32(squares);
  for (; k < features; ++k) {
    const std::int32_t difference = std::int32_t{row[k]} - std::int32_t{centre[k]};
    sum += difference * difference;
    out[k] = static_cast<float>(difference);
  }
  return sum;
}

template <std::size_t kCount>
void products_i16_fixed(const std::int16_t* left, const std::int16_t* const* rights, std::size_t features,
                        std::int32_t* out) {
  __m512i sums[kCount];
  for (auto& sum : sums) sum = _mm512_setzero_si512();
  std::size_t k = 0;
  for (; k + 32 <= features; k += 32) {
    const __m512i a = load(left + k);
#pragma GCC unroll 4
    for (std::size_t j = 0; j < kCount; ++j) sums[j] = _mm512_dpwssd_epi32(sums[j], a, load(rights[j] + k));
  }
  if (k < features) {
    const __m512i a = first_bytes(left + k, 2 * (features - k));
#pragma GCC unroll 4
    for (std::size_t j = 0; j < kCount; ++j) {
      sums[j] = _mm512_dpwssd_epi32(sums[j], a, first_bytes(rights[j] + k, 2 * (features - k)));
    }
  }
  for (std::size_t j = 0; j < kCount; ++j) out[j] = _mm512_reduce_add_epi32(sums[j]);
}

void products_i16_avx512(const std::int16_t* left, const std::int16_t* const* rights, std::size_t count,
                         std::size_t features, std::int32_t* out) {
  switch (count) {
    case 4: return products_i16_fixed<4>(left, rights, features, out);
    case 3: return products_i16_fixed<3>(left, rights, features, out);
    case 2: return products_i16_fixed<2>(left, rights, features, out);
    default: return products_i16_fixed<1>(left, rights, features, out);
  }
}

double square_near_f32_avx512(const float* left, const float* right, std::size_t features) {
  __m512 sums[4];
  for (auto& sum : sums) sum = _mm512_setzero_ps();
  const auto add = [&](std::size_t e, __m512 a, __m512 b) {
    const __m512 difference = _mm512_sub_ps(a, b);
    sums[e] = _mm512_fmadd_ps(difference, difference, sums[e]);
  };
  std::size_t k = 0;
  for (; k + 64 <= features; k += 64) {
#pragma GCC unroll 4
    for (std::size_t e = 0; e < 4; ++e) {
      add(e, _mm512_loadu_ps(left + k + 16 * e), _mm512_loadu_ps(right + k + 16 * e));
    }
  }
  for (; k < features; k += 16) {
    const __mmask16 used = static_cast<__mmask16>(features - k >= 16 ? 0xffff : (1 << (features - k)) - 1);
    add(0, _mm512_maskz_loadu_ps(used, left + k), _mm512_maskz_loadu_ps(used, right + k));
  }
  return static_cast<double>(
      _mm512_reduce_add_ps(_mm512_add_ps(_mm512_add_ps(sums[0], sums[1]), _mm512_add_ps(sums[2], sums[3]))));
}

double square_f64_avx512(const double* left, const double* right, std::size_t features) {
  __m512d sums[4];
  for (auto& sum : sums) sum = _mm512_setzero_pd();
  const auto add = [&](std::size_t e, __m512d a, __m512d b) {
    const __m512d difference = _mm512_sub_pd(a, b);
    sums[e] = _mm512_fmadd_pd(difference, difference, sums[e]);
  };
  std::size_t k = 0;
  for (; k + 32 <= features; k += 32) {
#pragma GCC unroll 4
    for (std::size_t e = 0; e < 4; ++e) {
      add(e, _mm512_loadu_pd(left + k + 8 * e), _mm512_loadu_pd(right + k + 8 * e));
    }
  }
  for (; k < features; k += 8) {
    const __mmask8 used = static_cast<__mmask8>(features - k >= 8 ? 0xff : (1 << (features - k)) - 1);
    add(0, _mm512_maskz_loadu_pd(used, left + k), _mm512_maskz_loadu_pd(used, right + k));
  }
  return _mm512_reduce_add_pd(_mm512_add_pd(_mm512_add_pd(sums[0], sums[1]), _mm512_add_pd(sums[2], sums[3])));
}

void filter_f32_avx512(const float* left, std::size_t stride, const float* right, std::size_t count, FilterRows rows,
                       FilterColumns columns, unsigned, std::uint64_t* within, std::uint64_t* doubtful) {
  __m512 sums[kTile][kParts];
  multiply_f32(left, stride, right, count, sums);
  const __m512 slack = _mm512_set1_ps(rows.tolerance);
  __m512 offsets[kParts];
  __m512 rests[kParts];
  for (std::size_t q = 0; q < kParts; ++q) {
    offsets[q] = _mm512_loadu_ps(columns.offset + 16 * q);
    rests[q] = _mm512_loadu_ps(columns.rest + 16 * q);
  }
  const __m512 zero = _mm512_setzero_ps();
#pragma GCC unroll 6
  for (std::size_t r = 0; r < kTile; ++r) {
    const __m512 offset = _mm512_set1_ps(rows.offset[r]);
    const __m512 rest = _mm512_set1_ps(rows.rest[r]);
    // Most pairs are far apart: whether one is not, a NaN included, is asked first.
    __mmask16 far[kParts];
#pragma GCC unroll 4
    for (std::size_t q = 0; q < kParts; ++q) {
      sums[r][q] = _mm512_sub_ps(sums[r][q], _mm512_add_ps(offset, offsets[q]));
      far[q] = _mm512_cmp_ps_mask(_mm512_add_ps(sums[r][q], _mm512_fmadd_ps(rest, rests[q], slack)), zero, _CMP_LT_OQ);
    }
    const std::uint64_t all_far = _mm512_kunpackd(_mm512_kunpackw(far[3], far[2]), _mm512_kunpackw(far[1], far[0]));
    if (all_far == ~std::uint64_t{0}) continue;
    std::uint64_t near = 0;
#pragma GCC unroll 4
    for (std::size_t q = 0; q < kParts; ++q) {
      const __m512 margin = _mm512_fmadd_ps(rest, rests[q], slack);
      near |= std::uint64_t{_mm512_cmp_ps_mask(sums[r][q], margin, _CMP_GT_OQ)} << (16 * q);
    }
    within[r] |= near;
    doubtful[r] |= ~(all_far | near);
  }
}

void triples_f64_avx512(double between, const double* to_first, double* to_second, std::size_t count,
                        double radius_square, double slack, std::uint64_t* bits) {
  const __m512d side = _mm512_set1_pd(between), side_square = _mm512_set1_pd(between * between);
  const __m512d never = _mm512_set1_pd(kInfinity), radius = _mm512_set1_pd(radius_square);
  const __m512d less = _mm512_set1_pd(1 - slack), more = _mm512_set1_pd(slack);
  for (std::size_t begin = 0; begin < count; begin += 64) {
    const std::size_t end = begin + 64 < count ? begin + 64 : count;
    std::uint64_t word = 0;
    for (std::size_t c = begin; c < end; c += 8) {
      const __m512d first = _mm512_loadu_pd(to_first + c), second = _mm512_loadu_pd(to_second + c);
      __mmask8 kept = _mm512_cmp_pd_mask(second, never, _CMP_LT_OQ);
      if (kept != 0) {
        // The operations of triples_f64_plain in the same order: both decide alike.
        const __m512d longest = _mm512_max_pd(side, _mm512_max_pd(first, second));
        const __m512d others = _mm512_sub_pd(_mm512_add_pd(_mm512_add_pd(side, first), second), longest);
        const __m512d one = _mm512_mul_pd(side, first);
        const __m512d mixed =
            _mm512_add_pd(_mm512_add_pd(one, _mm512_mul_pd(side, second)), _mm512_mul_pd(first, second));
        const __m512d sixteen_areas = _mm512_sub_pd(
            _mm512_sub_pd(_mm512_sub_pd(_mm512_add_pd(mixed, mixed), side_square), _mm512_mul_pd(first, first)),
            _mm512_mul_pd(second, second));
        const __m512d size = _mm512_mul_pd(_mm512_mul_pd(_mm512_set1_pd(4), longest), longest);
        const __m512d high = _mm512_add_pd(sixteen_areas, _mm512_mul_pd(more, size));
        const __mmask8 acute = _mm512_cmp_pd_mask(longest, _mm512_mul_pd(others, less), _CMP_LE_OQ);
        const __m512d product = _mm512_mul_pd(_mm512_mul_pd(one, second), less);
        const __mmask8 apart = _mm512_mask_cmp_pd_mask(acute, product, _mm512_mul_pd(radius, high), _CMP_GT_OQ);
        kept = static_cast<__mmask8>(kept & ~apart);
      }
      word |= std::uint64_t{kept} << (c - begin);
      _mm512_mask_storeu_pd(to_second + c, static_cast<__mmask8>(~kept), never);
    }
    bits[begin / 64] = word;
  }
}

std::int64_t count_bits_avx512(const std::uint64_t* words, std::size_t count) {
  __m512i sum = _mm512_setzero_si512();
  for (std::size_t i = 0; i < count; i += 8) {
    sum = _mm512_add_epi64(
        sum, _mm512_popcnt_epi64(i + 8 <= count ? load(words + i) : first_bytes(words + i, 8 * (count - i))));
  }
  return _mm512_reduce_add_epi64(sum);
}

}  // namespace

const Kernels& avx512_kernels() {
  static const Kernels table = [] {
    Kernels wide = plain_kernels("avx512");
    wide.panel = kPanel;
    wide.dot_u8 = dot_u8_avx512;
    wide.dot_i16 = dot_i16_avx512;
    wide.dot_f32 = dot_f32_avx512;
    wide.dot_f64 = dot_f64_avx512;
    wide.l1_u8 = l1_u8_avx512;
    wide.linf_u8 = linf_u8_avx512;
    wide.linf_within_u8 = linf_within_u8_avx512;
    wide.linf_pair_u8 = linf_pair_u8_avx512;
    wide.at_most_i32 = at_most_i32_avx512;
    wide.at_most_u8 = at_most_u8_avx512;
    wide.at_most_f64 = at_most_f64_avx512;
    wide.between_f32 = between_f32_avx512;
    wide.levels_i32 = levels_i32_avx512;
    wide.products_u8 = products_u8_avx512;
    wide.sums_u8 = sums_u8_avx512;
    wide.centre_u8 = centre_u8_avx512;
    wide.products_i16 = products_i16_avx512;
    wide.square_near_f32 = square_near_f32_avx512;
    wide.square_f64 = square_f64_avx512;
    wide.filter_f32 = filter_f32_avx512;
    wide.triples_f64 = triples_f64_avx512;
    wide.count_bits = count_bits_avx512;
    return wide;
  }();
  return table;
}

}  // namespace lossfloor
