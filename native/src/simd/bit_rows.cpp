#include "lossfloor/simd/bit_rows.hpp"

#include <algorithm>
#include <string_view>

#if defined(LOSSFLOOR_HAVE_X86_LEVELS)
#include <immintrin.h>
#endif

namespace lossfloor {
namespace {

std::int32_t lowest_bit(std::uint64_t word) { return static_cast<std::int32_t>(__builtin_ctzll(word)); }

std::size_t words_in(std::size_t chunk, std::size_t words) {
  return std::min<std::size_t>(kChunk, words - chunk * kChunk);
}

std::int32_t* list_bits(std::uint64_t word, std::size_t index, std::int32_t* out) {
  const auto base = static_cast<std::int32_t>(64 * index);
  for (; word != 0; word &= word - 1) *out++ = base + lowest_bit(word);
  return out;
}

// `visit` in some words, which moves `end` past the places that it writes. True if something is left unvisited there.
bool visit_words(const std::uint64_t* row, std::size_t first, std::size_t last, std::uint64_t* unvisited,
                 std::uint64_t* alive, std::int32_t*& end) {
  std::uint64_t left = 0;
  for (std::size_t i = first; i < last; ++i) {
    const std::uint64_t fresh = row[i] & unvisited[i];
    left |= unvisited[i] &= ~fresh;
    if (fresh == 0) continue;
    alive[i] |= fresh;
    end = list_bits(fresh, i, end);
  }
  return left != 0;
}

// `meet` in some words. True if the row meets `alive` there.
bool meet_words(const std::uint64_t* row, std::size_t first, std::size_t last, const std::uint64_t* alive,
                std::int32_t* place) {
  for (std::size_t i = first; i < last; ++i) {
    if (const std::uint64_t hit = row[i] & alive[i]) {
      *place = static_cast<std::int32_t>(64 * i) + lowest_bit(hit);
      return true;
    }
  }
  return false;
}

std::size_t visit_plain(const std::uint64_t* row, std::size_t words, std::uint64_t* unvisited, std::uint64_t* alive,
                        std::uint32_t* open, std::size_t* n_open, std::int32_t* found) {
  std::int32_t* end = found;
  for (std::size_t k = 0; k < *n_open;) {
    const std::size_t first = open[k] * kChunk;
    const std::size_t last = first + words_in(open[k], words);
    if (visit_words(row, first, last, unvisited, alive, end)) {
      ++k;
    } else {
      open[k] = open[--*n_open];
    }
  }
  return static_cast<std::size_t>(end - found);
}

std::size_t meet_plain(const std::uint64_t* row, std::size_t words, const std::uint64_t* alive,
                       const std::uint32_t* chunks, std::size_t begin, std::size_t count, std::int32_t* place) {
  for (std::size_t k = begin; k < count; ++k) {
    const std::size_t first = chunks[k] * kChunk;
    const std::size_t last = first + words_in(chunks[k], words);
    if (meet_words(row, first, last, alive, place)) return k;
  }
  return count;
}

// Writes the low `count` bits of words one behind the other.
class BitWriter {
 public:
  explicit BitWriter(std::uint64_t* out) : out_(out) {}
  // Without branches, as whether a word gets full is hard to foresee.
  void add(std::uint64_t bits, unsigned count) {
    word_ |= bits << filled_;
    *out_ = word_;
    const std::uint64_t rest = (bits >> 1) >> (63 - filled_);
    const unsigned full = (filled_ + count) / 64;
    word_ = full != 0 ? rest : word_;
    out_ += full;
    filled_ = (filled_ + count) % 64;
  }
  void finish() {
    if (filled_ > 0) *out_ = word_;
  }

 private:
  std::uint64_t* out_;
  std::uint64_t word_ = 0;
  unsigned filled_ = 0;
};

void pack_plain(const std::uint64_t* row, const Piece* pieces, std::size_t count, std::uint64_t* out) {
  BitWriter writer(out);
  for (std::size_t i = 0; i < count; ++i) {
    std::uint64_t word = row[pieces[i].word] & pieces[i].mask;
    if (pieces[i].width < 64) {
      std::uint64_t packed = 0;
      unsigned to = 0;
      for (std::uint64_t mask = pieces[i].mask; mask != 0; mask &= mask - 1) {
        packed |= ((word >> lowest_bit(mask)) & 1) << to++;
      }
      word = packed;
    }
    writer.add(word, pieces[i].width);
  }
  writer.finish();
}

void at_most_plain(const std::uint8_t* row, std::size_t strips, int first, std::size_t count, std::uint64_t* out,
                   std::size_t stride) {
  const auto at_most = portable_kernels().at_most_u8;
  for (std::size_t w = 0; w < strips; ++w) {
    for (std::size_t k = 0; k < count; ++k) {
      out[k * stride + w] = at_most(row + w * kStrip, static_cast<std::uint8_t>(first + static_cast<int>(k)));
    }
  }
}

void transpose_plain(std::uint64_t* block) {
  std::uint64_t mask = 0x00000000FFFFFFFFULL;
  for (std::size_t step = 32; step != 0; step >>= 1, mask ^= mask << step) {
    for (std::size_t k = 0; k < 64; k = ((k | step) + 1) & ~step) {
      const std::uint64_t swapped = ((block[k] >> step) ^ block[k | step]) & mask;
      block[k] ^= swapped << step;
      block[k | step] ^= swapped;
    }
  }
}

#if defined(LOSSFLOOR_HAVE_X86_LEVELS)

#define LOSSFLOOR_AVX2 __attribute__((target("avx2,popcnt")))
#define LOSSFLOOR_AVX512 __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,popcnt,bmi,bmi2")))

LOSSFLOOR_AVX2 __m256i load4(const std::uint64_t* words) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(words));
}
LOSSFLOOR_AVX2 void store4(std::uint64_t* words, __m256i value) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(words), value);
}

LOSSFLOOR_AVX2 std::size_t visit_avx2(const std::uint64_t* row, std::size_t words, std::uint64_t* unvisited,
                                      std::uint64_t* alive, std::uint32_t* open, std::size_t* n_open,
                                      std::int32_t* found) {
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

LOSSFLOOR_AVX2 std::size_t meet_avx2(const std::uint64_t* row, std::size_t words, const std::uint64_t* alive,
                                     const std::uint32_t* chunks, std::size_t begin, std::size_t count,
                                     std::int32_t* place) {
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

LOSSFLOOR_AVX2 void at_most_avx2(const std::uint8_t* row, std::size_t strips, int first, std::size_t count,
                                 std::uint64_t* out, std::size_t stride) {
  for (std::size_t w = 0; w < strips; ++w) {
    const auto* bytes = reinterpret_cast<const __m256i*>(row + w * kStrip);
    const __m256i low = _mm256_loadu_si256(bytes);
    const __m256i high = _mm256_loadu_si256(bytes + 1);
    for (std::size_t k = 0; k < count; ++k) {
      const __m256i limit = _mm256_set1_epi8(static_cast<char>(first + static_cast<int>(k)));
      const auto low_bits = _mm256_movemask_epi8(_mm256_cmpeq_epi8(_mm256_max_epu8(low, limit), limit));
      const auto high_bits = _mm256_movemask_epi8(_mm256_cmpeq_epi8(_mm256_max_epu8(high, limit), limit));
      out[k * stride + w] =
          static_cast<std::uint32_t>(low_bits) | std::uint64_t{static_cast<std::uint32_t>(high_bits)} << 32;
    }
  }
}

LOSSFLOOR_AVX2 void transpose_avx2(std::uint64_t* block) {
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
    rows = _mm256_xor_si256(rows, _mm256_or_si256(_mm256_slli_epi64(swapped, 2),
                                                  _mm256_permute4x64_epi64(swapped, 0x4E)));
    swapped = _mm256_xor_si256(_mm256_srli_epi64(rows, 1), _mm256_shuffle_epi32(rows, 0x4E));
    swapped = _mm256_blend_epi32(_mm256_and_si256(swapped, singles), none, 0xCC);
    rows = _mm256_xor_si256(rows, _mm256_or_si256(_mm256_slli_epi64(swapped, 1), _mm256_shuffle_epi32(swapped, 0x4E)));
    store4(block + k, rows);
  }
}

LOSSFLOOR_AVX512 __mmask8 lanes(std::size_t chunk, std::size_t words) {
  return static_cast<__mmask8>((1u << words_in(chunk, words)) - 1);
}

LOSSFLOOR_AVX512 std::size_t visit_avx512(const std::uint64_t* row, std::size_t words, std::uint64_t* unvisited,
                                          std::uint64_t* alive, std::uint32_t* open, std::size_t* n_open,
                                          std::int32_t* found) {
  std::int32_t* end = found;
  for (std::size_t k = 0; k < *n_open;) {
    const std::size_t first = open[k] * kChunk;
    const __mmask8 used = lanes(open[k], words);
    const __m512i before = _mm512_maskz_loadu_epi64(used, unvisited + first);
    const __m512i fresh = _mm512_and_si512(_mm512_maskz_loadu_epi64(used, row + first), before);
    unsigned hits = _mm512_test_epi64_mask(fresh, fresh);
    if (hits == 0) {
      ++k;
      continue;
    }
    const __m512i after = _mm512_andnot_si512(fresh, before);
    _mm512_mask_storeu_epi64(unvisited + first, used, after);
    _mm512_mask_storeu_epi64(alive + first, used,
                             _mm512_or_si512(_mm512_maskz_loadu_epi64(used, alive + first), fresh));
    alignas(64) std::uint64_t words_found[kChunk];
    _mm512_store_si512(words_found, fresh);
    for (; hits != 0; hits &= hits - 1) {
      const auto lane = static_cast<std::size_t>(__builtin_ctz(hits));
      end = list_bits(words_found[lane], first + lane, end);
    }
    if (_mm512_test_epi64_mask(after, after) != 0) {
      ++k;
    } else {
      open[k] = open[--*n_open];
    }
  }
  return static_cast<std::size_t>(end - found);
}

LOSSFLOOR_AVX512 std::size_t meet_avx512(const std::uint64_t* row, std::size_t words, const std::uint64_t* alive,
                                         const std::uint32_t* chunks, std::size_t begin, std::size_t count,
                                         std::int32_t* place) {
  for (std::size_t k = begin; k < count; ++k) {
    const std::size_t first = chunks[k] * kChunk;
    const __mmask8 used = lanes(chunks[k], words);
    const unsigned hits = _mm512_test_epi64_mask(_mm512_maskz_loadu_epi64(used, row + first),
                                                 _mm512_maskz_loadu_epi64(used, alive + first));
    if (hits != 0) {
      const std::size_t i = first + static_cast<std::size_t>(__builtin_ctz(hits));
      *place = static_cast<std::int32_t>(64 * i) + lowest_bit(row[i] & alive[i]);
      return k;
    }
  }
  return count;
}

LOSSFLOOR_AVX512 void pack_avx512(const std::uint64_t* row, const Piece* pieces, std::size_t count,
                                  std::uint64_t* out) {
  BitWriter writer(out);
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint64_t word = row[pieces[i].word];
    writer.add(pieces[i].width < 64 ? _pext_u64(word, pieces[i].mask) : word & pieces[i].mask, pieces[i].width);
  }
  writer.finish();
}

LOSSFLOOR_AVX512 void at_most_avx512(const std::uint8_t* row, std::size_t strips, int first, std::size_t count,
                                     std::uint64_t* out, std::size_t stride) {
  for (std::size_t w = 0; w < strips; ++w) {
    const __m512i bytes = _mm512_loadu_si512(row + w * kStrip);
    for (std::size_t k = 0; k < count; ++k) {
      const __m512i limit = _mm512_set1_epi8(static_cast<char>(first + static_cast<int>(k)));
      out[k * stride + w] = _mm512_cmple_epu8_mask(bytes, limit);
    }
  }
}

#endif

}  // namespace

const BitSteps& bit_steps(Level most) {
  static constexpr BitSteps plain{visit_plain, meet_plain, pack_plain, 8, at_most_plain, transpose_plain};
#if defined(LOSSFLOOR_HAVE_X86_LEVELS)
  static constexpr BitSteps avx2{visit_avx2, meet_avx2, pack_plain, 8, at_most_avx2, transpose_avx2};
  // Every processor of this level packs 64 bits in a few cycles; some of those with AVX2 only take hundreds.
  static constexpr BitSteps avx512{visit_avx512, meet_avx512, pack_avx512, 63, at_most_avx512, transpose_avx2};
  const std::string_view level = kernels(most).name;
  if (level == "avx512") return avx512;
  if (level == "avx2") return avx2;
#endif
  (void)most;
  return plain;
}

}  // namespace lossfloor
