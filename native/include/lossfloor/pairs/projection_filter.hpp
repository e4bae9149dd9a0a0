// Squared Euclidean distances against a threshold, most pairs decided by a projection to a few dimensions.
//
// Let P have k orthonormal rows. Then x.y = Px.Py + (rest of x).(rest of y), and the last product is at most q_x q_y in
// size, where q is the length of the rest. A pair is within a threshold exactly when x.y >= (|x|^2 + |y|^2 - T) / 2 =
// h_x + h_y; it is decided as soon as Px.Py is farther than q_x q_y from that. The caller has put all rounding errors
// into the q and the tolerance. Pairs that stay open are decided from their features.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "lossfloor/pairs/strips.hpp"
#include "lossfloor/simd/kernels.hpp"

namespace lossfloor {

// What the filter reads of the rows of one side.
struct Projection {
  MatrixView<float> coordinates;  // Px (and the radius as one more coordinate, where each row has its own)
  std::size_t dimensions;         // how many of its columns count
  const float* offset;            // h
  const float* rest;              // q
};

// How many sums of squares of coordinates `project` returns per row.
inline std::size_t kept_sums(std::size_t dimensions) { return (dimensions + 15) / 16; }

// Coordinates of (scale * row - centre) along the columns of `basis` (features x dimensions), in single precision:
// coordinates[i * dimensions + e]. The entries are rounded to float before; squares[i] is the squared length of the
// rounded row, summed in double precision. Rows of int16 are taken as they are, rows of uint8 less a whole centre, and
// their squared lengths are exact. kept[i * kept_sums(dimensions) + e] is the sum of the squares of the first
// 16 (e + 1) coordinates.
template <class T>
void project(MatrixView<T> rows, const double* centre, double scale, MatrixView<float> basis, int threads,
             float* coordinates, double* squares, double* kept, Isa isa);

extern template void project<std::uint8_t>(MatrixView<std::uint8_t>, const double*, double, MatrixView<float>, int,
                                           float*, double*, double*, Isa);
extern template void project<std::int16_t>(MatrixView<std::int16_t>, const double*, double, MatrixView<float>, int,
                                           float*, double*, double*, Isa);
extern template void project<float>(MatrixView<float>, const double*, double, MatrixView<float>, int, float*, double*,
                                    double*, Isa);
extern template void project<double>(MatrixView<double>, const double*, double, MatrixView<float>, int, float*, double*,
                                     double*, Isa);

template <class T>
class FilteredStrips {
 public:
  // Keeps a view of `right`, which must outlive this object.
  FilteredStrips(MatrixView<T> right, Projection projection, Isa isa);

  std::size_t count() const { return right_.rows; }
  std::size_t features() const { return right_.columns; }
  std::size_t dimensions() const { return dimensions_; }

  // bits: which pairs are within the squared distance `limit`. Whole numbers only, and exactly. Returns how many pairs
  // the filter left open.
  std::size_t within(MatrixView<T> left, Projection projection, float tolerance, std::int64_t limit, int threads,
                     std::uint64_t* bits) const;
  // The same for keys right up to relative * key, against a bracket; pairs still undecided are returned.
  UndecidedPairs within_bracket(MatrixView<T> left, Projection projection, float tolerance, double relative,
                                Bracket threshold, int threads, std::uint64_t* bits, std::size_t* open) const;
  // The same against (left_radius + right_radius)^2, known up to the relative `slack`.
  UndecidedPairs within_radii(MatrixView<T> left, Projection projection, float tolerance, double relative,
                              const double* left_radius, const double* right_radius, double slack, int threads,
                              std::uint64_t* bits, std::size_t* open) const;

 private:
  struct Scratch;

  // Left rows per group.
  std::size_t group_rows(MatrixView<T> left, int threads) const;
  void filter(std::size_t group_begin, std::size_t begin, std::size_t end, std::size_t word, float tolerance,
              Scratch& own) const;
  // decide(row, group_begin, word, open_bits, scratch): the bits among the open ones that are within.
  template <class Decide>
  UndecidedPairs sweep(MatrixView<T> left, Projection projection, float tolerance, int threads, std::uint64_t* bits,
                       std::size_t* open, const Decide& decide) const;
  template <class Threshold>
  std::uint64_t decide_near(MatrixView<T> left, std::size_t i, std::size_t group_begin, std::size_t word,
                            std::uint64_t open_bits, double relative, Scratch& own, const Threshold& threshold) const;

  // Squared distance of a left row to right row j, from |left|^2 and their product; right modulo 2^32.
  std::int32_t key(std::uint32_t left_square, std::size_t j, std::int32_t product) const {
    return static_cast<std::int32_t>(left_square + static_cast<std::uint32_t>(squares_[j]) -
                                     2 * static_cast<std::uint32_t>(product));
  }

  MatrixView<T> right_;
  std::size_t dimensions_;
  const Kernels* kernels_;
  std::size_t words_;
  std::vector<float> packed_;          // right coordinates by panels of columns
  std::vector<float> offset_, rest_;   // padded to whole strips
  std::vector<std::int32_t> squares_;  // whole numbers: |y|^2; bytes: byte_offset
};

extern template class FilteredStrips<std::uint8_t>;
extern template class FilteredStrips<std::int16_t>;
extern template class FilteredStrips<float>;
extern template class FilteredStrips<double>;

}  // namespace lossfloor
