// Plain C++ kernels, included by the translation unit of each instruction set, so that each compiles them for its own.
// Everything is in an unnamed namespace and uses no inline function of the standard library: the linker might otherwise
// pick a shared symbol that was compiled for the wider set and use it on a processor that has only the narrow one.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>

#include "bit_rows_plain.inl"
#include "lossfloor/simd/kernels.hpp"

namespace lossfloor {
namespace {

constexpr std::size_t kStep = 8;  // features between two checks whether a strip can be abandoned
constexpr double kInfinity = __builtin_huge_val();

constexpr std::size_t kPlainPanel = 16;

template <class T, class Sum, std::size_t kDepth>
void dot_plain(const T* left, std::size_t stride, const T* right, std::size_t count, Sum* out) {
  Sum sums[kTile][kPlainPanel] = {};
  for (std::size_t k = 0; k < count; ++k) {
    for (std::size_t r = 0; r < kTile; ++r) {
      for (std::size_t c = 0; c < kPlainPanel; ++c) {
        for (std::size_t e = 0; e < kDepth; ++e) {
          sums[r][c] += static_cast<Sum>(left[r * stride + e]) * static_cast<Sum>(right[c * kDepth + e]);
        }
      }
    }
    left += kDepth;
    right += kPlainPanel * kDepth;
  }
  for (std::size_t r = 0; r < kTile; ++r) {
    for (std::size_t c = 0; c < kPlainPanel; ++c) out[r * kStrip + c] += sums[r][c];
  }
}

void squares_i32_plain(std::int32_t* keys, const std::int32_t* right_square, std::int32_t left_square) {
  for (std::size_t c = 0; c < kStrip; ++c) {
    keys[c] = static_cast<std::int32_t>(static_cast<std::uint32_t>(left_square) +
                                        static_cast<std::uint32_t>(right_square[c]) -
                                        2 * static_cast<std::uint32_t>(keys[c]));
  }
}

void l1_u8_plain(const std::uint8_t* left, std::size_t rows, const std::uint8_t* right, std::size_t groups,
                 std::int32_t limit, std::int32_t* keys) {
  for (std::size_t r = 0; r < rows; ++r, left += groups * 8, keys += kStrip) {
    for (std::size_t c = 0; c < kQuarter; ++c) keys[c] = 0;
    for (std::size_t g = 0; g < groups; ++g) {
      for (std::size_t c = 0; c < kQuarter; ++c) {
        std::int32_t sum = 0;
        for (std::size_t e = 0; e < 8; ++e) {
          const std::int32_t difference =
              std::int32_t{left[g * 8 + e]} - std::int32_t{right[(g * kQuarter + c) * 8 + e]};
          sum += difference < 0 ? -difference : difference;
        }
        keys[c] += sum;
      }
      if (g % 4 == 3) {
        bool any = false;
        for (std::size_t c = 0; c < kQuarter; ++c) any |= keys[c] <= limit;
        if (!any) break;
      }
    }
  }
}

bool linf_u8_plain(const std::uint8_t* left, const std::uint8_t* right, std::size_t features, std::int32_t limit,
                   std::int32_t* keys) {
  std::uint8_t worst[kStrip] = {};
  for (std::size_t begin = 0; begin < features; begin += kStep) {
    const std::size_t end = begin + kStep < features ? begin + kStep : features;
    for (std::size_t k = begin; k < end; ++k) {
      for (std::size_t c = 0; c < kStrip; ++c) {
        const std::uint8_t a = left[k];
        const std::uint8_t b = right[k * kStrip + c];
        const std::uint8_t difference = static_cast<std::uint8_t>(a > b ? a - b : b - a);
        worst[c] = worst[c] > difference ? worst[c] : difference;
      }
    }
    bool any = false;
    for (std::size_t c = 0; c < kStrip; ++c) any |= worst[c] <= limit;
    if (!any) {
      for (std::size_t c = 0; c < kStrip; ++c) keys[c] = 256;
      return false;
    }
  }
  for (std::size_t c = 0; c < kStrip; ++c) keys[c] = worst[c];
  return true;
}

void linf_within_u8_plain(const std::uint8_t* left, std::size_t rows, const std::uint8_t* right, std::size_t features,
                          std::uint8_t limit, std::uint64_t* within) {
  for (std::size_t r = 0; r < rows; ++r) {
    std::int32_t keys[kStrip];
    within[r] = 0;
    if (!linf_u8_plain(left + r * features, right, features, limit, keys)) continue;
    for (std::size_t c = 0; c < kStrip; ++c) within[r] |= std::uint64_t{keys[c] <= limit} << c;
  }
}

bool linf_pair_u8_plain(const std::uint8_t* left, const std::uint8_t* right, std::size_t features, std::uint8_t limit) {
  std::uint8_t beyond = 0;
  for (std::size_t k = 0; k < features; ++k) {
    const std::uint8_t difference =
        static_cast<std::uint8_t>(left[k] > right[k] ? left[k] - right[k] : right[k] - left[k]);
    beyond = static_cast<std::uint8_t>(beyond | (difference > limit));
  }
  return beyond == 0;
}

// The distances of floating-point examples: the sum or the maximum of f(|a - b|) over the features.
template <class T, class Fold>
bool fold_plain(const T* left, const T* right, std::size_t features, double limit, double* keys, Fold fold) {
  T folded[kStrip] = {};
  for (std::size_t begin = 0; begin < features; begin += kStep) {
    const std::size_t end = begin + kStep < features ? begin + kStep : features;
    for (std::size_t k = begin; k < end; ++k) {
      const T a = left[k];
      for (std::size_t c = 0; c < kStrip; ++c) {
        const T difference = a - right[k * kStrip + c];
        folded[c] = fold(folded[c], difference < 0 ? -difference : difference);
      }
    }
    bool any = false;
    for (std::size_t c = 0; c < kStrip; ++c) any |= !(static_cast<double>(folded[c]) > limit);  // NaN stays in
    if (!any) {
      for (std::size_t c = 0; c < kStrip; ++c) keys[c] = kInfinity;
      return false;
    }
  }
  for (std::size_t c = 0; c < kStrip; ++c) keys[c] = static_cast<double>(folded[c]);
  return true;
}

template <class T>
struct Sum {
  T operator()(T folded, T difference) const { return folded + difference; }
};
template <class T>
struct Maximum {
  T operator()(T folded, T difference) const { return folded > difference ? folded : difference; }
};
struct PowerSum {
  double p;
  double operator()(double folded, double difference) const { return folded + std::pow(difference, p); }
};
struct WholePowerSum {
  int p;
  double operator()(double folded, double difference) const {
    double power = difference;
    for (int i = 1; i < p; ++i) power *= difference;
    return folded + power;
  }
};

template <class T>
bool l1_plain(const T* left, const T* right, std::size_t features, double limit, double* keys) {
  return fold_plain(left, right, features, limit, keys, Sum<T>{});
}
template <class T>
bool linf_plain(const T* left, const T* right, std::size_t features, double limit, double* keys) {
  return fold_plain(left, right, features, limit, keys, Maximum<T>{});
}
bool lp_plain(const double* left, const double* right, std::size_t features, double p, double limit, double* keys) {
  const int whole = static_cast<int>(p);
  if (p == whole && p <= 16) return fold_plain(left, right, features, limit, keys, WholePowerSum{whole});
  return fold_plain(left, right, features, limit, keys, PowerSum{p});
}

std::uint64_t at_most_i32_plain(const std::int32_t* keys, std::int32_t limit) {
  std::uint8_t flags[kStrip];
  for (std::size_t c = 0; c < kStrip; ++c) flags[c] = keys[c] <= limit;
  return gather_bits(flags);
}

StripOutcome between_f32_plain(const float* products, float near, const float* nears, float far, const float* fars) {
  StripOutcome outcome{0, 0};
  for (std::size_t c = 0; c < kStrip; ++c) {
    const bool inside = products[c] >= near + nears[c];
    const bool outside = products[c] < far + fars[c];
    outcome.within |= std::uint64_t{inside} << c;
    outcome.undecided |= std::uint64_t{!inside && !outside} << c;
  }
  return outcome;
}

StripOutcome at_most_f64_plain(const double* keys, const double* scale, double relative, double absolute,
                               Bracket threshold) {
  std::uint8_t within[kStrip];
  std::uint8_t undecided[kStrip];
  for (std::size_t c = 0; c < kStrip; ++c) {
    const double margin = relative * scale[c] + absolute;
    const bool inside = keys[c] + margin <= threshold.lower;
    const bool outside = keys[c] - margin > threshold.upper;  // a NaN is neither, and so is undecided
    within[c] = inside;
    undecided[c] = !inside & !outside;
  }
  return {gather_bits(within), gather_bits(undecided)};
}

StripOutcome at_most_radii_plain(const double* keys, const double* scale, double relative, double absolute,
                                 double left_radius, const double* right_radius, double power, double slack) {
  std::uint8_t within[kStrip];
  std::uint8_t undecided[kStrip];
  for (std::size_t c = 0; c < kStrip; ++c) {
    const double radius = left_radius + right_radius[c];
    const double threshold = power == 1 ? radius : power == 2 ? radius * radius : std::pow(radius, power);
    const double margin = relative * scale[c] + absolute + slack * threshold;
    const bool inside = keys[c] + margin <= threshold;
    const bool outside = keys[c] - margin > threshold;
    within[c] = inside;
    undecided[c] = !inside & !outside;
  }
  return {gather_bits(within), gather_bits(undecided)};
}

void levels_i32_plain(const std::int32_t* keys, const std::int32_t* thresholds, std::size_t count,
                      std::uint8_t* levels) {
  std::int32_t above[kStrip] = {};
  for (std::size_t k = 0; k < count; ++k) {
    for (std::size_t c = 0; c < kStrip; ++c) above[c] += keys[c] > thresholds[k];
  }
  for (std::size_t c = 0; c < kStrip; ++c) levels[c] = static_cast<std::uint8_t>(above[c]);
}

void products_i16_plain(const std::int16_t* left, const std::int16_t* const* rights, std::size_t count,
                        std::size_t features, std::int32_t* out) {
  for (std::size_t j = 0; j < count; ++j) {
    std::int32_t sum = 0;
    for (std::size_t k = 0; k < features; ++k) sum += std::int32_t{left[k]} * std::int32_t{rights[j][k]};
    out[j] = sum;
  }
}

// Eight partial sums, so that the loop can go in vectors.
template <class T, class Sum>
double square_plain(const T* left, const T* right, std::size_t features) {
  Sum sums[8] = {};
  std::size_t k = 0;
  for (; k + 8 <= features; k += 8) {
    for (std::size_t e = 0; e < 8; ++e) {
      const Sum difference = static_cast<Sum>(left[k + e]) - static_cast<Sum>(right[k + e]);
      sums[e] += difference * difference;
    }
  }
  for (; k < features; ++k) {
    const Sum difference = static_cast<Sum>(left[k]) - static_cast<Sum>(right[k]);
    sums[k % 8] += difference * difference;
  }
  return static_cast<double>(((sums[0] + sums[4]) + (sums[1] + sums[5])) + ((sums[2] + sums[6]) + (sums[3] + sums[7])));
}

void filter_f32_plain(const float* left, std::size_t stride, const float* right, std::size_t count, FilterRows rows,
                      FilterColumns columns, unsigned shift, std::uint64_t* within, std::uint64_t* undecided) {
  float products[kTile * kStrip] = {};
  dot_plain<float, float, 1>(left, stride, right, count, products);
  for (std::size_t r = 0; r < kTile; ++r) {
    for (std::size_t c = 0; c < kPlainPanel; ++c) {
      const float signal = products[r * kStrip + c] - (rows.offset[r] + columns.offset[c]);
      const float margin = rows.rest[r] * columns.rest[c] + rows.tolerance;
      const bool inside = signal > margin;
      const bool outside = signal < -margin;  // a NaN is neither, and so is undecided
      within[r] |= std::uint64_t{inside} << (shift + c);
      undecided[r] |= static_cast<std::uint64_t>(!inside & !outside) << (shift + c);
    }
  }
}

void triples_f64_plain(double between, const double* to_first, double* to_second, std::size_t count,
                       double radius_square, double slack, std::uint64_t* bits) {
  for (std::size_t begin = 0; begin < count; begin += 64) {
    const std::size_t end = begin + 64 < count ? begin + 64 : count;
    std::uint64_t word = 0;
    for (std::size_t c = begin; c < end; ++c) {
      const double first = to_first[c], second = to_second[c];
      const double larger = first > second ? first : second;
      const double longest = between > larger ? between : larger;
      const double others = between + first + second - longest;
      const double sixteen_areas = 2 * (between * first + between * second + first * second) - between * between -
                                   first * first - second * second;
      const double high = sixteen_areas + slack * (4 * longest * longest);
      const bool apart =
          longest <= others * (1 - slack) && between * first * second * (1 - slack) > radius_square * high;
      const bool kept = second < kInfinity && !apart;
      word |= std::uint64_t{kept} << (c - begin);
      if (!kept) to_second[c] = kInfinity;
    }
    bits[begin / 64] = word;
  }
}

std::int64_t count_common_bits_plain(const std::uint64_t* words, const std::uint64_t* others, std::size_t count) {
  std::int64_t sum = 0;
  for (std::size_t i = 0; i < count; ++i) sum += __builtin_popcountll(words[i] & others[i]);
  return sum;
}

std::int64_t count_bits_plain(const std::uint64_t* words, std::size_t count) {
  std::int64_t sum = 0;
  for (std::size_t i = 0; i < count; ++i) sum += __builtin_popcountll(words[i]);
  return sum;
}

void add_bit_counts_plain(const std::uint64_t* words, std::size_t count, std::int64_t* counts) {
  for (std::size_t i = 0; i < count; ++i) counts[i] += __builtin_popcountll(words[i]);
}

// The kernels for bytes that some processors have no instruction for (kernels.hpp) stay null.
constexpr Kernels plain_kernels(Isa isa) {
  Kernels table{};
  table.isa = isa;
  table.panel = kPlainPanel;
  table.dot_i16 = dot_plain<std::int16_t, std::int32_t, 2>;
  table.dot_f32 = dot_plain<float, float, 1>;
  table.dot_f64 = dot_plain<double, double, 1>;
  table.squares_i32 = squares_i32_plain;
  table.l1_u8 = l1_u8_plain;
  table.linf_u8 = linf_u8_plain;
  table.linf_within_u8 = linf_within_u8_plain;
  table.linf_pair_u8 = linf_pair_u8_plain;
  table.l1_f32 = l1_plain<float>;
  table.linf_f32 = linf_plain<float>;
  table.l1_f64 = l1_plain<double>;
  table.linf_f64 = linf_plain<double>;
  table.lp_f64 = lp_plain;
  table.at_most_i32 = at_most_i32_plain;
  table.at_most_f64 = at_most_f64_plain;
  table.between_f32 = between_f32_plain;
  table.at_most_radii = at_most_radii_plain;
  table.levels_i32 = levels_i32_plain;
  table.products_i16 = products_i16_plain;
  table.square_near_f32 = square_plain<float, float>;
  table.square_f32 = square_plain<float, double>;
  table.square_f64 = square_plain<double, double>;
  table.filter_f32 = filter_f32_plain;
  table.triples_f64 = triples_f64_plain;
  table.at_most_u8 = at_most_u8_plain;
  table.count_common_bits = count_common_bits_plain;
  table.count_bits = count_bits_plain;
  table.add_bit_counts = add_bit_counts_plain;
  table.bit_rows = plain_bit_rows();
  return table;
}

}  // namespace
}  // namespace lossfloor
