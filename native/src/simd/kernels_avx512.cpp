// The kernels for registers of 512 bits, masks and products of bytes (VNNI). Compiled with the instructions that
// isa.cpp asks for, and called only after it has seen that the processor has them.
#include "kernels_wide.inl"

namespace lossfloor {
namespace {

// The wrapper that kernels_wide.inl asks for.
struct V {
  using Ints = __m512i;
  using Floats = __m512;
  using Doubles = __m512d;
  using Mask = __mmask16;
  static constexpr std::size_t kBytes = 64;
  static constexpr std::size_t kParts = 4;
  static constexpr std::size_t kL1Rows = 6;
  static constexpr std::size_t kLinfStep = 4;
  static constexpr bool kHasFirstBytes = true;

  static Ints load(const void* address) { return _mm512_loadu_si512(address); }
  static Floats load(const float* address) { return _mm512_loadu_ps(address); }
  static Doubles load(const double* address) { return _mm512_loadu_pd(address); }
  static void store(void* address, Ints value) { _mm512_storeu_si512(address, value); }
  static void store(float* address, Floats value) { _mm512_storeu_ps(address, value); }
  static void store(double* address, Doubles value) { _mm512_storeu_pd(address, value); }

  static Ints zero() { return _mm512_setzero_si512(); }
  static Floats zero_floats() { return _mm512_setzero_ps(); }
  static Doubles zero_doubles() { return _mm512_setzero_pd(); }
  static Floats set(float value) { return _mm512_set1_ps(value); }
  static Doubles set(double value) { return _mm512_set1_pd(value); }
  static Ints set8(std::uint8_t value) { return _mm512_set1_epi8(static_cast<char>(value)); }
  static Ints set32(std::int32_t value) { return _mm512_set1_epi32(value); }
  static Ints set64(std::int64_t value) { return _mm512_set1_epi64(value); }
  static Ints four_bytes(const void* address) {
    std::int32_t word;
    __builtin_memcpy(&word, address, sizeof word);
    return _mm512_set1_epi32(word);
  }
  static Ints eight_bytes(const void* address) {
    std::int64_t word;
    __builtin_memcpy(&word, address, sizeof word);
    return _mm512_set1_epi64(word);
  }
  static Ints first_bytes(const void* address, std::size_t count) {  // fewer than 64
    return _mm512_maskz_loadu_epi8((std::uint64_t{1} << count) - 1, address);
  }
  static Floats first(const float* address, std::size_t count) {
    return _mm512_maskz_loadu_ps(static_cast<__mmask16>((1u << count) - 1), address);
  }
  static Doubles first(const double* address, std::size_t count) {
    return _mm512_maskz_loadu_pd(static_cast<__mmask8>((1u << count) - 1), address);
  }

  static Ints add32(Ints a, Ints b) { return _mm512_add_epi32(a, b); }
  static Ints add64(Ints a, Ints b) { return _mm512_add_epi64(a, b); }
  static Ints multiply_i16(Ints sum, Ints a, Ints b) { return _mm512_dpwssd_epi32(sum, a, b); }
  static Ints in_order(Ints sum) { return sum; }  // one instruction multiplies and adds
  static Ints sad_u8(Ints a, Ints b) { return _mm512_sad_epu8(a, b); }
  static Ints max_u8(Ints a, Ints b) { return _mm512_max_epu8(a, b); }
  static Ints apart_u8(Ints a, Ints b) { return _mm512_or_si512(_mm512_subs_epu8(a, b), _mm512_subs_epu8(b, a)); }
  static Ints least64(Ints a, Ints b) { return _mm512_min_epi64(a, b); }
  static Floats add(Floats a, Floats b) { return _mm512_add_ps(a, b); }
  static Floats sub(Floats a, Floats b) { return _mm512_sub_ps(a, b); }
  static Floats fmadd(Floats a, Floats b, Floats c) { return _mm512_fmadd_ps(a, b, c); }
  static Doubles add(Doubles a, Doubles b) { return _mm512_add_pd(a, b); }
  static Doubles sub(Doubles a, Doubles b) { return _mm512_sub_pd(a, b); }
  static Doubles fmadd(Doubles a, Doubles b, Doubles c) { return _mm512_fmadd_pd(a, b, c); }

  static bool all_above64(Ints a, Ints bound) { return _mm512_cmple_epi64_mask(a, bound) == 0; }
  static std::uint64_t above32(Ints a, Ints bound) { return _mm512_cmpgt_epi32_mask(a, bound); }
  static std::uint64_t at_most_u8(Ints a, Ints bound) { return _mm512_cmple_epu8_mask(a, bound); }
  static bool any_above_u8(Ints a, Ints bound) { return _mm512_cmpgt_epu8_mask(a, bound) != 0; }
  static Mask at_least(Floats a, Floats b) { return _mm512_cmp_ps_mask(a, b, _CMP_GE_OQ); }
  static Mask less(Floats a, Floats b) { return _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ); }
  static Mask greater(Floats a, Floats b) { return _mm512_cmp_ps_mask(a, b, _CMP_GT_OQ); }
  static std::uint64_t joined(const Mask (&parts)[kParts]) {
    return _mm512_kunpackd(_mm512_kunpackw(parts[3], parts[2]), _mm512_kunpackw(parts[1], parts[0]));
  }

  static std::int32_t sum32(Ints lanes) { return _mm512_reduce_add_epi32(lanes); }
  static float sum(Floats value) { return _mm512_reduce_add_ps(value); }
  static double sum(Doubles value) { return _mm512_reduce_add_pd(value); }

  static void store_low_halves(std::int32_t* out, const Ints (&sums)[2]) {
    for (std::size_t i = 0; i < 2; ++i) {
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + i * 8), _mm512_cvtepi64_epi32(sums[i]));
    }
  }
};

void dot_u8_avx512(const std::uint8_t* left, std::size_t stride, const std::uint8_t* right, std::size_t fours,
                   std::int32_t* out) {
  WideProducts<V>::dot_words(left, stride, right, fours, out,
                             [](__m512i sum, __m512i b, __m512i a) { return _mm512_dpbusd_epi32(sum, b, a); });
}

StripOutcome at_most_f64_avx512(const double* keys, const double* scale, double relative, double absolute,
                                Bracket threshold) {
  const __m512d lower = _mm512_set1_pd(threshold.lower);
  const __m512d upper = _mm512_set1_pd(threshold.upper);
  StripOutcome outcome{0, 0};
  for (std::size_t c = 0; c < kStrip; c += 8) {
    const __m512d key = _mm512_loadu_pd(keys + c);
    const __m512d margin =
        _mm512_add_pd(_mm512_mul_pd(_mm512_set1_pd(relative), _mm512_loadu_pd(scale + c)), _mm512_set1_pd(absolute));
    const __mmask8 inside = _mm512_cmp_pd_mask(_mm512_add_pd(key, margin), lower, _CMP_LE_OQ);
    const __mmask8 outside = _mm512_cmp_pd_mask(_mm512_sub_pd(key, margin), upper, _CMP_GT_OQ);
    outcome.within |= std::uint64_t{inside} << c;
    outcome.undecided |= (std::uint64_t{0xff} & ~std::uint64_t{inside} & ~std::uint64_t{outside}) << c;
  }
  return outcome;
}

// Up to 64 thresholds wait in four registers, and each of sixteen keys halves its way through them.
void levels_i32_avx512(const std::int32_t* keys, const std::int32_t* thresholds, std::size_t count,
                       std::uint8_t* levels) {
  if (count > 64) return levels_i32_plain(keys, thresholds, count, levels);
  const __m512i table[4] = {V::load(thresholds), V::load(thresholds + 16), V::load(thresholds + 32),
                            V::load(thresholds + 48)};
  for (std::size_t c = 0; c < kStrip; c += 16) {
    const __m512i key = V::load(keys + c);
    __m512i below = _mm512_setzero_si512();  // thresholds known to lie below the key
#pragma GCC unroll 6
    for (std::int32_t step = 32; step > 0; step /= 2) {
      const __m512i place = _mm512_add_epi32(below, _mm512_set1_epi32(step - 1));
      const __m512i threshold = _mm512_mask_blend_epi32(_mm512_test_epi32_mask(place, _mm512_set1_epi32(32)),
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
    const __m512i a = V::load(left + k);
#pragma GCC unroll 4
    for (std::size_t j = 0; j < kCount; ++j) sums[j] = _mm512_dpbusd_epi32(sums[j], V::load(rights[j] + k), a);
  }
  if (k < features) {
    const __m512i a = V::first_bytes(left + k, features - k);
#pragma GCC unroll 4
    for (std::size_t j = 0; j < kCount; ++j) {
      sums[j] = _mm512_dpbusd_epi32(sums[j], V::first_bytes(rights[j] + k, features - k), a);
    }
  }
  for (std::size_t j = 0; j < kCount; ++j) out[j] = _mm512_reduce_add_epi32(sums[j]);
}

void products_u8_avx512(const std::uint8_t* left, const std::uint8_t* const* rights, std::size_t count,
                        std::size_t features, std::int32_t* out) {
  switch (count) {
    case 4:
      return products_u8_fixed<4>(left, rights, features, out);
    case 3:
      return products_u8_fixed<3>(left, rights, features, out);
    case 2:
      return products_u8_fixed<2>(left, rights, features, out);
    default:
      return products_u8_fixed<1>(left, rights, features, out);
  }
}

void sums_u8_avx512(const std::uint8_t* row, std::size_t features, std::int32_t* sum, std::int32_t* square) {
  // b * (b - 128) for bytes b, since products of bytes want one signed factor.
  const __m512i flip = _mm512_set1_epi8(static_cast<char>(0x80));
  __m512i products = _mm512_setzero_si512();
  __m512i sums = _mm512_setzero_si512();
  for (std::size_t k = 0; k < features; k += 64) {
    const __m512i b = k + 64 <= features ? V::load(row + k) : V::first_bytes(row + k, features - k);
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
        _mm512_cvtepu8_epi16(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(row + k))), V::load(centre + k));
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
        sum, _mm512_popcnt_epi64(i + 8 <= count ? V::load(words + i) : V::first_bytes(words + i, 8 * (count - i))));
  }
  return _mm512_reduce_add_epi64(sum);
}

__mmask8 lanes(std::size_t chunk, std::size_t words) {
  return static_cast<__mmask8>((1u << words_in(chunk, words)) - 1);
}

std::size_t visit_avx512(const std::uint64_t* row, std::size_t words, std::uint64_t* unvisited, std::uint64_t* alive,
                         std::uint32_t* open, std::size_t* n_open, std::int32_t* found) {
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

std::size_t meet_avx512(const std::uint64_t* row, std::size_t words, const std::uint64_t* alive,
                        const std::uint32_t* chunks, std::size_t begin, std::size_t count, std::int32_t* place) {
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

void pack_avx512(const std::uint64_t* row, const Piece* pieces, std::size_t count, std::uint64_t* out) {
  BitWriter writer(out);
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint64_t word = row[pieces[i].word];
    writer.add(pieces[i].width < 64 ? _pext_u64(word, pieces[i].mask) : word & pieces[i].mask, pieces[i].width);
  }
  writer.finish();
}

}  // namespace

const Kernels& avx512_kernels() {
  static constexpr Kernels table = [] {
    Kernels wide = wide_kernels<V>(Isa::avx512);
    wide.dot_u8 = dot_u8_avx512;
    wide.at_most_f64 = at_most_f64_avx512;
    wide.levels_i32 = levels_i32_avx512;
    wide.products_u8 = products_u8_avx512;
    wide.sums_u8 = sums_u8_avx512;
    wide.centre_u8 = centre_u8_avx512;
    wide.triples_f64 = triples_f64_avx512;
    wide.count_bits = count_bits_avx512;
    wide.bit_rows.visit = visit_avx512;
    wide.bit_rows.meet = meet_avx512;
    wide.bit_rows.pack = pack_avx512;
    // Every processor with these instructions packs 64 bits in a few cycles; some with only AVX2 take hundreds.
    wide.bit_rows.most_packed = 63;
    return wide;
  }();
  return table;
}

}  // namespace lossfloor
