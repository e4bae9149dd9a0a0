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

#include "lossfloor/kernels.hpp"
#include "lossfloor/pairs.hpp"

namespace lossfloor {

// What the filter knows of the rows of one side.
struct Projection {
  MatrixView<float> coordinates;  // Px (and the radius as one more coordinate, where each row has its own)
  const float* offset;            // h
  const float* rest;              // q
};

// Coordinates of (scale * row - centre) along the columns of `basis` (features x dimensions), in single precision:
// coordinates[i * dimensions + e]. The entries are rounded to float before; squares[i] is the squared length of the
// rounded row, summed in double precision. Rows of int16 are taken as they are, and their squared lengths are exact.
template <class T>
void project(MatrixView<T> rows, const double* centre, double scale, MatrixView<float> basis, int threads,
             float* coordinates, double* squares, bool portable);

extern template void project<std::int16_t>(MatrixView<std::int16_t>, const double*, double, MatrixView<float>, int,
                                           float*, double*, bool);
extern template void project<float>(MatrixView<float>, const double*, double, MatrixView<float>, int, float*, double*,
                                    bool);
extern template void project<double>(MatrixView<double>, const double*, double, MatrixView<float>, int, float*,
                                     double*, bool);

template <class T>
class FilteredStrips {
 public:
  // Keeps a view of `right` and of the arrays of `projection`: they must outlive this object.
  FilteredStrips(MatrixView<T> right, Projection projection, bool portable);

  std::size_t count() const { return right_.rows; }
  std::size_t features() const { return right_.columns; }
  std::size_t dimensions() const { return right_projection_.coordinates.columns; }

  // bits: who is within the squared distance `limit`. For int16, exactly. Returns how many pairs the filter left open.
  std::size_t within(MatrixView<T> left, Projection projection, float tolerance, std::int64_t limit, int threads,
                     std::uint64_t* bits) const;
  // The same for keys right up to relative * key, against a bracket; pairs still open come back as doubtful.
  DoubtfulPairs within_bracket(MatrixView<T> left, Projection projection, float tolerance, double relative,
                               Bracket threshold, int threads, std::uint64_t* bits, std::size_t* open) const;
  // The same against (left_radius + right_radius)^2, known up to the relative `slack`.
  DoubtfulPairs within_radii(MatrixView<T> left, Projection projection, float tolerance, double relative,
                             const double* left_radius, const double* right_radius, double slack, int threads,
                             std::uint64_t* bits, std::size_t* open) const;

 private:
  template <class Decide>
  DoubtfulPairs sweep(MatrixView<T> left, Projection projection, float tolerance, int threads, std::uint64_t* bits,
                      std::size_t* open, const Decide& decide) const;

  MatrixView<T> right_;
  Projection right_projection_;
  const Kernels* kernels_;
  std::size_t words_;
  std::vector<float> packed_;        // right coordinates by panels of 16 columns
  std::vector<float> offset_, rest_;  // padded to whole strips
  std::vector<std::int32_t> squares_;  // int16: |y|^2
};

extern template class FilteredStrips<std::int16_t>;
extern template class FilteredStrips<float>;
extern template class FilteredStrips<double>;

}  // namespace lossfloor
