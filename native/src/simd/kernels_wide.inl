// The kernels that AVX2 and AVX-512 share, written once for any width of registers. The translation unit of each
// instruction set includes this file and calls wide_kernels with its own wrapper V of registers and instructions:
//
//   Ints, Floats, Doubles       registers of whole numbers (of any width), floats and doubles, of kBytes bytes
//   Mask                        one bit per float of a register
//   kParts                      registers per row of a tile of the product kernels: as many as do not spill
//   kL1Rows, kLinfStep          rows at a time for l1; features between two checks for linf
//   kHasFirstBytes              whether first_bytes(address, count) exists: some bytes of a register, zeros after them
//
// What the functions of V do is what the instruction of that name does, for whole numbers with the width of a lane in
// bits at the end; set... copies one value to all lanes. The names of the others:
//
//   four_bytes, eight_bytes     four or eight bytes of memory copied to all lanes
//   first(address, count)       the first floats or doubles of a register, zeros after them
//   multiply_i16(sum, a, b)     sum32 + products of pairs of int16
//   apart_u8(a, b)              |a - b| for bytes
//   least64                     the smaller of two numbers from 0 to 2^31 - 1 in 64-bit lanes
//   all_above64, above32, at_most_u8, at_least, less, greater    comparisons, as bits or as one bool
//   in_order                    keeps the compiler from making all products before it adds any, which would spill
//   joined                      the masks of the parts of a panel as one word
//   sum                         of all lanes
#pragma once

#include <immintrin.h>

#include "kernels_plain.inl"

namespace lossfloor {
namespace {

__m256i load4(const std::uint64_t* words) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(words)); }
void store4(std::uint64_t* words, __m256i value) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(words), value); }

// Registers of 256 bits for both, as 64 x 64 bits are too few to gain from wider ones.
void transpose_avx2(std::uint64_t* block) {
  std::uint64_t mask = 0x00000000FFFFFFFFULL;
  for (std::size_t step = 32; step >= 4; step >>= 1, mask ^= mask << step) {
    const __m256i masks = _mm256_set1_epi64x(static_cast<long long>(mask));
    const __m128i shift = _mm_cvtsi32_si128(static_cast<int>(step));
    for (std::size_t k = 0; k < 64; k = ((k | step) + 4) & ~step) {
      const __m256i upper = load4(block + k);
      const __m256i lower = load4(block + (k | step));
      const __m256i swapped = _mm256_and_si256(_mm256_xor_si256(_mm256_srl_epi64(upper, shift), lower), masks);
      store4(block + k, _mm256_xor_si256(upper, _mm256_sll_epi64(swapped, shift)));
      store4(block + (k | step), _mm256_xor_si256(lower, swapped));
    }
  }
  // Now the two words to swap bits between are in one register.
  const __m256i pairs = _mm256_set1_epi64x(0x3333333333333333LL);
  const __m256i singles = _mm256_set1_epi64x(0x5555555555555555LL);
  const __m256i none = _mm256_setzero_si256();
  for (std::size_t k = 0; k < 64; k += 4) {
    __m256i rows = load4(block + k);
    __m256i swapped = _mm256_xor_si256(_mm256_srli_epi64(rows, 2), _mm256_permute4x64_epi64(rows, 0x4E));
    swapped = _mm256_blend_epi32(_mm256_and_si256(swapped, pairs), none, 0xF0);
    rows =
        _mm256_xor_si256(rows, _mm256_or_si256(_mm256_slli_epi64(swapped, 2), _mm256_permute4x64_epi64(swapped, 0x4E)));
    swapped = _mm256_xor_si256(_mm256_srli_epi64(rows, 1), _mm256_shuffle_epi32(rows, 0x4E));
    swapped = _mm256_blend_epi32(_mm256_and_si256(swapped, singles), none, 0xCC);
    rows = _mm256_xor_si256(rows, _mm256_or_si256(_mm256_slli_epi64(swapped, 1), _mm256_shuffle_epi32(swapped, 0x4E)));
    store4(block + k, rows);
  }
}

// Products of rows, and squared distances.
template <class V>
struct WideProducts {
  using Ints = typename V::Ints;
  using Floats = typename V::Floats;
  using Doubles = typename V::Doubles;

  static constexpr std::size_t kParts = V::kParts;
  static constexpr std::size_t kWords = V::kBytes / 4;    // lanes of 32 bits
  static constexpr std::size_t kDoubles = V::kBytes / 8;  // lanes of 64 bits
  static constexpr std::size_t kPanel = kParts * kWords;  // columns of a panel

  // out[r][c] += sum_k left[r][k] . right[k][c], where `multiply` adds the products that one word of 32 bits holds.
  template <class T, class Multiply>
  __attribute__((always_inline)) static void dot_words(const T* left, std::size_t stride, const T* right,
                                                       std::size_t words, std::int32_t* out, const Multiply& multiply) {
    constexpr std::size_t kDepth = 4 / sizeof(T);
    Ints sums[kTile][kParts];
    for (auto& row : sums) {
      for (auto& sum : row) sum = V::zero();
    }
    for (std::size_t k = 0; k < words; ++k) {
      Ints columns[kParts];
#pragma GCC unroll 8
      for (std::size_t q = 0; q < kParts; ++q) columns[q] = V::load(right + (k * kPanel + q * kWords) * kDepth);
#pragma GCC unroll 8
      for (std::size_t r = 0; r < kTile; ++r) {
        const Ints value = V::four_bytes(left + r * stride + k * kDepth);
#pragma GCC unroll 8
        for (std::size_t q = 0; q < kParts; ++q) sums[r][q] = V::in_order(multiply(sums[r][q], columns[q], value));
      }
    }
#pragma GCC unroll 8
    for (std::size_t r = 0; r < kTile; ++r) {
#pragma GCC unroll 8
      for (std::size_t q = 0; q < kParts; ++q) {
        std::int32_t* const place = out + r * kStrip + q * kWords;
        V::store(place, V::add32(V::load(place), sums[r][q]));
      }
    }
  }

  static void dot_i16(const std::int16_t* left, std::size_t stride, const std::int16_t* right, std::size_t pairs,
                      std::int32_t* out) {
    dot_words(left, stride, right, pairs, out, [](Ints sum, Ints b, Ints a) { return V::multiply_i16(sum, b, a); });
  }

  // sums[r][q] = sum_k left[r * stride + k] * right[k][q].
  __attribute__((always_inline)) static void multiply_f32(const float* left, std::size_t stride, const float* right,
                                                          std::size_t count, Floats (&sums)[kTile][kParts]) {
    for (auto& row : sums) {
      for (auto& sum : row) sum = V::zero_floats();
    }
    for (std::size_t k = 0; k < count; ++k) {
      Floats columns[kParts];
#pragma GCC unroll 8
      for (std::size_t q = 0; q < kParts; ++q) columns[q] = V::load(right + k * kPanel + q * kWords);
#pragma GCC unroll 8
      for (std::size_t r = 0; r < kTile; ++r) {
        const Floats value = V::set(left[r * stride + k]);
#pragma GCC unroll 8
        for (std::size_t q = 0; q < kParts; ++q) sums[r][q] = V::fmadd(value, columns[q], sums[r][q]);
      }
    }
  }

  static void dot_f32(const float* left, std::size_t stride, const float* right, std::size_t count, float* out) {
    Floats sums[kTile][kParts];
    multiply_f32(left, stride, right, count, sums);
#pragma GCC unroll 8
    for (std::size_t r = 0; r < kTile; ++r) {
#pragma GCC unroll 8
      for (std::size_t q = 0; q < kParts; ++q) {
        float* const place = out + r * kStrip + q * kWords;
        V::store(place, V::add(V::load(place), sums[r][q]));
      }
    }
  }

  // Half a panel at a time: twice as many accumulators per row would not fit the registers.
  static void dot_f64(const double* left, std::size_t stride, const double* right, std::size_t count, double* out) {
    for (std::size_t begin = 0; begin < kPanel; begin += kParts * kDoubles) {
      Doubles sums[kTile][kParts];
      for (auto& row : sums) {
        for (auto& sum : row) sum = V::zero_doubles();
      }
      for (std::size_t k = 0; k < count; ++k) {
        Doubles columns[kParts];
#pragma GCC unroll 8
        for (std::size_t q = 0; q < kParts; ++q) columns[q] = V::load(right + k * kPanel + begin + q * kDoubles);
#pragma GCC unroll 8
        for (std::size_t r = 0; r < kTile; ++r) {
          const Doubles value = V::set(left[r * stride + k]);
#pragma GCC unroll 8
          for (std::size_t q = 0; q < kParts; ++q) sums[r][q] = V::fmadd(value, columns[q], sums[r][q]);
        }
      }
#pragma GCC unroll 8
      for (std::size_t r = 0; r < kTile; ++r) {
#pragma GCC unroll 8
        for (std::size_t q = 0; q < kParts; ++q) {
          double* const place = out + r * kStrip + begin + q * kDoubles;
          V::store(place, V::add(V::load(place), sums[r][q]));
        }
      }
    }
  }

  template <std::size_t kCount>
  static void products_fixed(const std::int16_t* left, const std::int16_t* const* rights, std::size_t features,
                             std::int32_t* out) {
    constexpr std::size_t kShorts = V::kBytes / 2;
    Ints sums[kCount];
    for (auto& sum : sums) sum = V::zero();
    std::size_t k = 0;
    for (; k + kShorts <= features; k += kShorts) {
      const Ints a = V::load(left + k);
#pragma GCC unroll 8
      for (std::size_t j = 0; j < kCount; ++j) sums[j] = V::multiply_i16(sums[j], a, V::load(rights[j] + k));
    }
    if constexpr (V::kHasFirstBytes) {
      if (k < features) {
        const Ints a = V::first_bytes(left + k, 2 * (features - k));
#pragma GCC unroll 8
        for (std::size_t j = 0; j < kCount; ++j) {
          sums[j] = V::multiply_i16(sums[j], a, V::first_bytes(rights[j] + k, 2 * (features - k)));
        }
        k = features;
      }
    }
    for (std::size_t j = 0; j < kCount; ++j) {
      out[j] = V::sum32(sums[j]);
      for (std::size_t e = k; e < features; ++e) out[j] += std::int32_t{left[e]} * std::int32_t{rights[j][e]};
    }
  }

  static void products_i16(const std::int16_t* left, const std::int16_t* const* rights, std::size_t count,
                           std::size_t features, std::int32_t* out) {
    switch (count) {
      case 4:
        return products_fixed<4>(left, rights, features, out);
      case 3:
        return products_fixed<3>(left, rights, features, out);
      case 2:
        return products_fixed<2>(left, rights, features, out);
      default:
        return products_fixed<1>(left, rights, features, out);
    }
  }

  // Squared distance, in four sums that do not wait for each other. T is float or double.
  template <class T>
  static double square(const T* left, const T* right, std::size_t features) {
    constexpr std::size_t kLanes = V::kBytes / sizeof(T);
    using Register = decltype(V::load(left));
    Register sums[4];
    for (auto& sum : sums) sum = V::set(T{0});
    const auto add = [&](std::size_t e, Register a, Register b) {
      const Register difference = V::sub(a, b);
      sums[e] = V::fmadd(difference, difference, sums[e]);
    };
    std::size_t k = 0;
    for (; k + 4 * kLanes <= features; k += 4 * kLanes) {
#pragma GCC unroll 8
      for (std::size_t e = 0; e < 4; ++e) add(e, V::load(left + k + kLanes * e), V::load(right + k + kLanes * e));
    }
    for (; k < features; k += kLanes) {
      const std::size_t count = features - k < kLanes ? features - k : kLanes;
      add(0, V::first(left + k, count), V::first(right + k, count));
    }
    return static_cast<double>(V::sum(V::add(V::add(sums[0], sums[1]), V::add(sums[2], sums[3]))));
  }

  static void filter_f32(const float* left, std::size_t stride, const float* right, std::size_t count, FilterRows rows,
                         FilterColumns columns, unsigned shift, std::uint64_t* within, std::uint64_t* undecided) {
    constexpr std::uint64_t kAll = ~std::uint64_t{0} >> (64 - kPanel);
    Floats sums[kTile][kParts];
    multiply_f32(left, stride, right, count, sums);
    const Floats slack = V::set(rows.tolerance);
    Floats offsets[kParts];
    Floats rests[kParts];
    for (std::size_t q = 0; q < kParts; ++q) {
      offsets[q] = V::load(columns.offset + kWords * q);
      rests[q] = V::load(columns.rest + kWords * q);
    }
#pragma GCC unroll 8
    for (std::size_t r = 0; r < kTile; ++r) {
      const Floats offset = V::set(rows.offset[r]);
      const Floats rest = V::set(rows.rest[r]);
      // Most pairs are far apart, so that is checked first. A NaN is not far.
      typename V::Mask far[kParts];
#pragma GCC unroll 8
      for (std::size_t q = 0; q < kParts; ++q) {
        sums[r][q] = V::sub(sums[r][q], V::add(offset, offsets[q]));
        far[q] = V::less(V::add(sums[r][q], V::fmadd(rest, rests[q], slack)), V::zero_floats());
      }
      const std::uint64_t all_far = V::joined(far);
      if (all_far == kAll) continue;
      std::uint64_t near = 0;
#pragma GCC unroll 8
      for (std::size_t q = 0; q < kParts; ++q) {
        const Floats margin = V::fmadd(rest, rests[q], slack);
        near |= std::uint64_t{V::greater(sums[r][q], margin)} << (kWords * q);
      }
      within[r] |= near << shift;
      undecided[r] |= (kAll & ~(all_far | near)) << shift;
    }
  }
};

// Distances of bytes, and numbers against limits.
template <class V>
struct WideDistances {
  using Ints = typename V::Ints;
  using Floats = typename V::Floats;

  static constexpr std::size_t kWords = V::kBytes / 4;            // lanes of 32 bits
  static constexpr std::size_t kByteParts = kStrip / V::kBytes;   // registers for the bytes of a strip
  static constexpr std::size_t kSums = kQuarter * 8 / V::kBytes;  // registers for the 64-bit sums of a quarter

  // Sums of |a - b| over groups of eight bytes, some rows at a time against the sixteen columns of a quarter.
  template <std::size_t kRows>
  static void l1_rows(const std::uint8_t* left, const std::uint8_t* right, std::size_t groups, std::int32_t limit,
                      std::int32_t* keys) {
    const Ints bound = V::set64(limit);
    Ints sums[kRows][kSums];
    for (auto& row : sums) {
      for (auto& sum : row) sum = V::zero();
    }
    for (std::size_t g = 0; g < groups; ++g) {
      Ints columns[kSums];
#pragma GCC unroll 8
      for (std::size_t i = 0; i < kSums; ++i) columns[i] = V::load(right + (g * kSums + i) * V::kBytes);
#pragma GCC unroll 8
      for (std::size_t r = 0; r < kRows; ++r) {
        const Ints a = V::eight_bytes(left + (r * groups + g) * 8);
#pragma GCC unroll 8
        for (std::size_t i = 0; i < kSums; ++i) sums[r][i] = V::add64(sums[r][i], V::sad_u8(a, columns[i]));
      }
      if (g % 8 == 7) {
        Ints least = sums[0][0];
        for (const auto& row : sums) {
          Ints of_row = row[0];
          for (const auto& sum : row) of_row = V::least64(of_row, sum);
          least = V::least64(least, of_row);
        }
        if (V::all_above64(least, bound)) break;
      }
    }
    for (std::size_t r = 0; r < kRows; ++r) V::store_low_halves(keys + r * kStrip, sums[r]);
  }

  static void l1_u8(const std::uint8_t* left, std::size_t rows, const std::uint8_t* right, std::size_t groups,
                    std::int32_t limit, std::int32_t* keys) {
    constexpr std::size_t kRows = V::kL1Rows;
    std::size_t r = 0;
    for (; r + kRows <= rows; r += kRows) {
      l1_rows<kRows>(left + r * groups * 8, right, groups, limit, keys + r * kStrip);
    }
    for (; r < rows; ++r) l1_rows<1>(left + r * groups * 8, right, groups, limit, keys + r * kStrip);
  }

  // Bits of the columns within `limit` of a row in every feature, whose largest differences come in `worst`; features
  // are skipped once no column is left.
  __attribute__((always_inline)) static std::uint64_t worst_u8(const std::uint8_t* left, const std::uint8_t* right,
                                                               std::size_t features, std::uint8_t limit,
                                                               Ints (&worst)[kByteParts]) {
    const Ints bound = V::set8(limit);
    for (auto& part : worst) part = V::zero();
    std::uint64_t alive = ~std::uint64_t{0};
    for (std::size_t begin = 0; begin < features && alive != 0; begin += V::kLinfStep) {
      const std::size_t end = begin + V::kLinfStep < features ? begin + V::kLinfStep : features;
      for (std::size_t k = begin; k < end; ++k) {
        const Ints a = V::set8(left[k]);
#pragma GCC unroll 8
        for (std::size_t i = 0; i < kByteParts; ++i) {
          worst[i] = V::max_u8(worst[i], V::apart_u8(a, V::load(right + k * kStrip + i * V::kBytes)));
        }
      }
      alive = at_most(worst, bound);
    }
    return alive;
  }

  __attribute__((always_inline)) static std::uint64_t at_most(const Ints (&bytes)[kByteParts], Ints bound) {
    std::uint64_t bits = V::at_most_u8(bytes[0], bound);
#pragma GCC unroll 8
    for (std::size_t i = 1; i < kByteParts; ++i) bits |= V::at_most_u8(bytes[i], bound) << (i * V::kBytes);
    return bits;
  }

  static bool linf_u8(const std::uint8_t* left, const std::uint8_t* right, std::size_t features, std::int32_t limit,
                      std::int32_t* keys) {
    if (limit < 0) return false;
    Ints worst[kByteParts];
    const auto bound = static_cast<std::uint8_t>(limit > 255 ? 255 : limit);
    if (worst_u8(left, right, features, bound, worst) == 0) return false;
    alignas(V::kBytes) std::uint8_t bytes[kStrip];
    for (std::size_t i = 0; i < kByteParts; ++i) V::store(bytes + i * V::kBytes, worst[i]);
    for (std::size_t c = 0; c < kStrip; ++c) keys[c] = bytes[c];
    return true;
  }

  static void linf_within_u8(const std::uint8_t* left, std::size_t rows, const std::uint8_t* right,
                             std::size_t features, std::uint8_t limit, std::uint64_t* within) {
    Ints worst[kByteParts];
    for (std::size_t r = 0; r < rows; ++r) within[r] = worst_u8(left + r * features, right, features, limit, worst);
  }

  static bool linf_pair_u8(const std::uint8_t* left, const std::uint8_t* right, std::size_t features,
                           std::uint8_t limit) {
    const Ints bound = V::set8(limit);
    std::size_t k = 0;
    for (; k + V::kBytes <= features; k += V::kBytes) {
      if (V::any_above_u8(V::apart_u8(V::load(left + k), V::load(right + k)), bound)) return false;
    }
    if constexpr (V::kHasFirstBytes) {
      const std::size_t rest = features - k;
      return rest == 0 ||
             !V::any_above_u8(V::apart_u8(V::first_bytes(left + k, rest), V::first_bytes(right + k, rest)), bound);
    } else {
      return linf_pair_u8_plain(left + k, right + k, features - k, limit);
    }
  }

  static std::uint64_t at_most_i32(const std::int32_t* keys, std::int32_t limit) {
    const Ints bound = V::set32(limit);
    std::uint64_t above = 0;
    for (std::size_t c = 0; c < kStrip; c += kWords) above |= V::above32(V::load(keys + c), bound) << c;
    return ~above;
  }

  static std::uint64_t at_most_u8(const std::uint8_t* bytes, std::uint8_t limit) {
    Ints parts[kByteParts];
    for (std::size_t i = 0; i < kByteParts; ++i) parts[i] = V::load(bytes + i * V::kBytes);
    return at_most(parts, V::set8(limit));
  }

  static void at_most_rows(const std::uint8_t* row, std::size_t strips, int first, std::size_t count,
                           std::uint64_t* out, std::size_t stride) {
    for (std::size_t w = 0; w < strips; ++w) {
      Ints bytes[kByteParts];
      for (std::size_t i = 0; i < kByteParts; ++i) bytes[i] = V::load(row + w * kStrip + i * V::kBytes);
      for (std::size_t k = 0; k < count; ++k) {
        out[k * stride + w] = at_most(bytes, V::set8(static_cast<std::uint8_t>(first + static_cast<int>(k))));
      }
    }
  }

  static StripOutcome between_f32(const float* products, float near, const float* nears, float far, const float* fars) {
    constexpr std::uint64_t kAll = (std::uint64_t{1} << kWords) - 1;
    StripOutcome outcome{0, 0};
    for (std::size_t c = 0; c < kStrip; c += kWords) {
      const Floats product = V::load(products + c);
      const std::uint64_t inside = V::at_least(product, V::add(V::set(near), V::load(nears + c)));
      const std::uint64_t outside = V::less(product, V::add(V::set(far), V::load(fars + c)));
      outcome.within |= inside << c;
      outcome.undecided |= (kAll & ~(inside | outside)) << c;
    }
    return outcome;
  }
};

template <class V>
constexpr Kernels wide_kernels(Isa isa) {
  using Products = WideProducts<V>;
  using Distances = WideDistances<V>;
  Kernels wide = plain_kernels(isa);
  wide.panel = Products::kPanel;
  wide.dot_i16 = Products::dot_i16;
  wide.dot_f32 = Products::dot_f32;
  wide.dot_f64 = Products::dot_f64;
  wide.products_i16 = Products::products_i16;
  wide.square_near_f32 = Products::template square<float>;
  wide.square_f64 = Products::template square<double>;
  wide.filter_f32 = Products::filter_f32;
  wide.l1_u8 = Distances::l1_u8;
  wide.linf_u8 = Distances::linf_u8;
  wide.linf_within_u8 = Distances::linf_within_u8;
  wide.linf_pair_u8 = Distances::linf_pair_u8;
  wide.at_most_i32 = Distances::at_most_i32;
  wide.at_most_u8 = Distances::at_most_u8;
  wide.between_f32 = Distances::between_f32;
  wide.bit_rows.at_most = Distances::at_most_rows;
  wide.bit_rows.transpose = transpose_avx2;
  return wide;
}

}  // namespace
}  // namespace lossfloor
