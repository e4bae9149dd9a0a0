// The inner loops, once for any processor and once for wider instructions, behind one table of functions.
//
// All of them look at a strip of `kStrip` = 64 right-hand examples at a time, so that the outcome of one left-hand
// example against a strip is one 64-bit word of the conflict graph.
#pragma once

#include <cstddef>
#include <cstdint>

namespace lossfloor {

constexpr std::size_t kStrip = 64;  // right-hand examples a strip, bits a word
constexpr std::size_t kTile = 6;    // left-hand examples a tile of the product kernels
constexpr std::size_t kQuarter = kStrip / 4;

// How the differences of single features make a distance.
enum class Metric { l1, l2, linf, lp };

// A threshold known to lie between two doubles: `lower` <= threshold <= `upper`.
struct Bracket {
  double lower;
  double upper;
};

// What one row says of a strip: who is surely within the threshold, and who could not be told.
struct StripOutcome {
  std::uint64_t within;
  std::uint64_t doubtful;
};

// What the projection filter knows of the rows of a tile and of the columns of a panel.
struct FilterRows {
  const float* offset;
  const float* rest;
  float tolerance;
};
struct FilterColumns {
  const float* offset;
  const float* rest;
};

struct Kernels {
  const char* name;

  // out[r * kStrip + c] += sum_k left[k][r] * right[k][c] for kTile rows and the columns of one panel
  // (16 columns of int16 or float, 8 of double). int16 comes in pairs of features: left[k][r][2], right[k][c][2].
  void (*dot_i16)(const std::int16_t* left, const std::int16_t* right, std::size_t pairs, std::int32_t* out);
  void (*dot_f32)(const float* left, const float* right, std::size_t count, float* out);
  void (*dot_f64)(const double* left, const double* right, std::size_t count, double* out);

  // keys[c] = left_square + right_square[c] - 2 keys[c]: from products to squared distances.
  void (*squares_i32)(std::int32_t* keys, const std::int32_t* right_square, std::int32_t left_square);

  // keys[r * kStrip + c] = l1 distance of each of some rows to each column of a quarter of a strip, right[group][c][8]
  // and left[row][group][8] in groups of eight features. Keys above `limit` may be any numbers above it.
  void (*l1_u8)(const std::uint8_t* left, std::size_t rows, const std::uint8_t* right, std::size_t groups,
                std::int32_t limit, std::int32_t* keys);
  // keys[c] = distance of one example to each of a strip; a strip of which every key is above `limit` may be
  // abandoned: then all its keys are some number above `limit`, and false is returned.
  // right[feature][c].
  bool (*linf_u8)(const std::uint8_t* left, const std::uint8_t* right, std::size_t features, std::int32_t limit,
                  std::int32_t* keys);
  // right[feature][c]; the keys of lp are sums of p-th powers.
  bool (*l1_f32)(const float* left, const float* right, std::size_t features, double limit, double* keys);
  bool (*linf_f32)(const float* left, const float* right, std::size_t features, double limit, double* keys);
  bool (*l1_f64)(const double* left, const double* right, std::size_t features, double limit, double* keys);
  bool (*linf_f64)(const double* left, const double* right, std::size_t features, double limit, double* keys);
  bool (*lp_f64)(const double* left, const double* right, std::size_t features, double p, double limit,
                 double* keys);

  // Bits of the keys that are at most `limit`.
  std::uint64_t (*at_most_i32)(const std::int32_t* keys, std::int32_t limit);
  // For true values within keys[c] +- (relative * scale[c] + absolute): who is within, who is doubtful.
  StripOutcome (*at_most_f64)(const double* keys, const double* scale, double relative, double absolute,
                              Bracket threshold);
  // The same with a threshold for each column, (left_radius + right_radius[c])^power, known to the relative `slack`.
  StripOutcome (*at_most_radii)(const double* keys, const double* scale, double relative, double absolute,
                                double left_radius, const double* right_radius, double power, double slack);
  // levels[c] = how many of the ascending thresholds lie below keys[c].
  void (*levels_i32)(const std::int32_t* keys, const std::int32_t* thresholds, std::size_t count,
                     std::uint8_t* levels);

  // Products of one left row with up to four right rows, features in their natural order.
  void (*products_i16)(const std::int16_t* left, const std::int16_t* const* rights, std::size_t count,
                       std::size_t features, std::int32_t* out);
  // Squared distance of two rows, summed in single precision.
  double (*square_near_f32)(const float* left, const float* right, std::size_t features);
  // Squared distance of two rows, summed in double precision.
  double (*square_f32)(const float* left, const float* right, std::size_t features);
  double (*square_f64)(const double* left, const double* right, std::size_t features);
  // The projection filter for the rows of a tile and the columns of a panel: with p = sum_k left[k][r] * right[k][c],
  // s = p - (left_offset[r] + right_offset[c]) and m = left_rest[r] * right_rest[c] + tolerance, bit `shift` + c of
  // within[r] is set where s > m, that of doubtful[r] where |s| <= m.
  void (*filter_f32)(const float* left, const float* right, std::size_t count, FilterRows rows, FilterColumns columns,
                     unsigned shift, std::uint64_t* within, std::uint64_t* doubtful);
  // Bits of the bytes that are at most `limit`.
  std::uint64_t (*at_most_u8)(const std::uint8_t* bytes, std::uint8_t limit);
  // How many bits are set in some words; and the same word by word, added to `counts`.
  std::int64_t (*count_bits)(const std::uint64_t* words, std::size_t count);
  void (*add_bit_counts)(const std::uint64_t* words, std::size_t count, std::int64_t* counts);
};

// The table for this processor. `portable` asks for the one without wider instructions (for tests).
const Kernels& kernels(bool portable = false);

const Kernels& portable_kernels();
const Kernels& avx2_kernels();  // call only where the processor has AVX2 and FMA

}  // namespace lossfloor
