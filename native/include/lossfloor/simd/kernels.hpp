// The inner loops, once for any processor and once for each set of wider instructions, behind one table of functions.
//
// All of them look at a strip of `kStrip` = 64 right-hand examples at a time, so that the outcome of one left-hand
// example against a strip is one 64-bit word of the conflict graph.
#pragma once

#include <cstddef>
#include <cstdint>

#include "lossfloor/simd/bit_rows.hpp"
#include "lossfloor/simd/isa.hpp"

namespace lossfloor {

constexpr std::size_t kStrip = 64;  // right-hand examples per strip, bits per word
constexpr std::size_t kTile = 6;    // left-hand examples per tile of the product kernels
constexpr std::size_t kQuarter = kStrip / 4;

// How the differences of single features make a distance.
enum class Metric { l1, l2, linf, lp };

// A threshold known to lie between two doubles: `lower` <= threshold <= `upper`.
struct Bracket {
  double lower;
  double upper;
};

// The columns of a strip that are surely within the threshold of a row, and those that could not be decided.
struct StripOutcome {
  std::uint64_t within;
  std::uint64_t undecided;
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

// Filled by name, one field per statement, by a function for each instruction set.
struct Kernels {
  Isa isa;
  std::size_t panel;  // columns that the product kernels and the filter take at a time, a divisor of kStrip

  // out[r * kStrip + c] += sum_k left[r * stride + k] * right[k][c] for kTile rows and the columns of one panel.
  // int16 comes in pairs of features, right[k][c][2], and bytes by four, right[k][c][4]. The bytes on the left are
  // those of the data less 128, as signed numbers, and sums of bytes are right modulo 2^32. Where the processor has no
  // instruction for them, dot_u8, products_u8, sums_u8 and centre_u8 are null: int16 is as fast.
  void (*dot_u8)(const std::uint8_t* left, std::size_t stride, const std::uint8_t* right, std::size_t fours,
                 std::int32_t* out);
  void (*dot_i16)(const std::int16_t* left, std::size_t stride, const std::int16_t* right, std::size_t pairs,
                  std::int32_t* out);
  void (*dot_f32)(const float* left, std::size_t stride, const float* right, std::size_t count, float* out);
  void (*dot_f64)(const double* left, std::size_t stride, const double* right, std::size_t count, double* out);

  // keys[c] = left_square + right_square[c] - 2 keys[c] modulo 2^32: from products to squared distances.
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
  // within[r]: bits of the columns whose distance to row r is at most `limit`; left[r][feature], right[feature][c].
  void (*linf_within_u8)(const std::uint8_t* left, std::size_t rows, const std::uint8_t* right, std::size_t features,
                         std::uint8_t limit, std::uint64_t* within);
  // Whether two rows are within `limit` of each other in every feature.
  bool (*linf_pair_u8)(const std::uint8_t* left, const std::uint8_t* right, std::size_t features, std::uint8_t limit);
  // right[feature][c]; the keys of lp are sums of p-th powers.
  bool (*l1_f32)(const float* left, const float* right, std::size_t features, double limit, double* keys);
  bool (*linf_f32)(const float* left, const float* right, std::size_t features, double limit, double* keys);
  bool (*l1_f64)(const double* left, const double* right, std::size_t features, double limit, double* keys);
  bool (*linf_f64)(const double* left, const double* right, std::size_t features, double limit, double* keys);
  bool (*lp_f64)(const double* left, const double* right, std::size_t features, double p, double limit, double* keys);

  // Bits of the keys that are at most `limit`.
  std::uint64_t (*at_most_i32)(const std::int32_t* keys, std::int32_t limit);
  // For true values within keys[c] +- (relative * scale[c] + absolute): which are within, which are undecided.
  StripOutcome (*at_most_f64)(const double* keys, const double* scale, double relative, double absolute,
                              Bracket threshold);
  // Products against limits in single precision: within is products[c] >= near + nears[c], undecided is neither that
  // nor products[c] < far + fars[c].
  StripOutcome (*between_f32)(const float* products, float near, const float* nears, float far, const float* fars);
  // As at_most_f64 with a threshold for each column, (left_radius + right_radius[c])^power, known to the relative
  // `slack`.
  StripOutcome (*at_most_radii)(const double* keys, const double* scale, double relative, double absolute,
                                double left_radius, const double* right_radius, double power, double slack);
  // levels[c] = how many of the ascending thresholds lie below keys[c]; the largest numbers fill them up to 256.
  void (*levels_i32)(const std::int32_t* keys, const std::int32_t* thresholds, std::size_t count, std::uint8_t* levels);

  // Products of one left row with up to four right rows, features in their natural order. Bytes as for dot_u8.
  void (*products_u8)(const std::uint8_t* left, const std::uint8_t* const* rights, std::size_t count,
                      std::size_t features, std::int32_t* out);
  // Sum and sum of squares of the bytes of a row.
  void (*sums_u8)(const std::uint8_t* row, std::size_t features, std::int32_t* sum, std::int32_t* square);
  // out[k] = row[k] - centre[k] for differences that fit int16; returns the sum of their squares.
  std::int32_t (*centre_u8)(const std::uint8_t* row, const std::int16_t* centre, std::size_t features, float* out);
  void (*products_i16)(const std::int16_t* left, const std::int16_t* const* rights, std::size_t count,
                       std::size_t features, std::int32_t* out);
  // Squared distance of two rows, summed in single precision.
  double (*square_near_f32)(const float* left, const float* right, std::size_t features);
  // Squared distance of two rows, summed in double precision.
  double (*square_f32)(const float* left, const float* right, std::size_t features);
  double (*square_f64)(const double* left, const double* right, std::size_t features);
  // The projection filter for the rows of a tile and the columns of a panel: with p the product as of dot_f32,
  // s = p - (left_offset[r] + right_offset[c]) and m = left_rest[r] * right_rest[c] + tolerance, bit `shift` + c of
  // within[r] is set where s > m, that of undecided[r] where |s| <= m or s is a NaN.
  void (*filter_f32)(const float* left, std::size_t stride, const float* right, std::size_t count, FilterRows rows,
                     FilterColumns columns, unsigned shift, std::uint64_t* within, std::uint64_t* undecided);
  // Three balls of one squared radius, the first two fixed and `between` apart (squared), the third at squared
  // distances to_first[c] and to_second[c]: bits of the c < count that triple_meets (balls.hpp) does not surely forbid;
  // to_second of the others becomes infinite, and those already infinite have no bit. `count` is a multiple of 8.
  void (*triples_f64)(double between, const double* to_first, double* to_second, std::size_t count,
                      double radius_square, double slack, std::uint64_t* bits);
  // Bits of the bytes that are at most `limit`.
  std::uint64_t (*at_most_u8)(const std::uint8_t* bytes, std::uint8_t limit);
  // How many bits are set in both of some words; in some words; and the same word by word, added to `counts`.
  std::int64_t (*count_common_bits)(const std::uint64_t* words, const std::uint64_t* others, std::size_t count);
  std::int64_t (*count_bits)(const std::uint64_t* words, std::size_t count);
  void (*add_bit_counts)(const std::uint64_t* words, std::size_t count, std::int64_t* counts);

  BitRows bit_rows;
};

// The kernels for the widest instructions in use (isa.hpp) that are at most `most`.
const Kernels& kernels(Isa most = kWidest);

const Kernels& portable_kernels();
const Kernels& avx2_kernels();    // call only where the processor has these instructions
const Kernels& avx512_kernels();  // the same

}  // namespace lossfloor
