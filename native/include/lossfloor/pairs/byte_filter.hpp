// Distances of floating-point examples, l2 or l1, against a threshold, most pairs decided by examples rounded to bytes,
// whose kernels are several times as fast.
//
// Let q be the bytes of an example x on the grid low + step q, and e the length of x - (low + step q). The distance of
// two examples differs from that of their grid points, step sqrt(K) (l1: step K) with a whole number K that is computed
// exactly, by at most e_x + e_y. So every pair is decided whose K is farther than that from the threshold; the caller
// makes two limits of K from this. Pairs between the limits are decided from their features.
#pragma once

#include <cstddef>
#include <cstdint>

#include "lossfloor/pairs/strips.hpp"
#include "lossfloor/simd/kernels.hpp"

namespace lossfloor {

// The bytes q[i][k] nearest to (rows[i][k] - low[k]) / step. Returns the largest sum over k of
// ((rows[i][k] - low[k]) - step q[i][k])^2 of any row, computed in double precision.
template <class T>
double round_to_bytes(MatrixView<T> rows, const double* low, double step, int threads, std::uint8_t* bytes);

extern template double round_to_bytes<float>(MatrixView<float>, const double*, double, int, std::uint8_t*);
extern template double round_to_bytes<double>(MatrixView<double>, const double*, double, int, std::uint8_t*);

template <class T>
class ByteFilteredStrips {
 public:
  // Keeps a view of `right`, which must outlive this object; copies its bytes.
  // `ranking` is as for `Strips`.
  ByteFilteredStrips(Metric metric, MatrixView<T> right, MatrixView<std::uint8_t> bytes, const std::int32_t* ranking,
                     Isa isa);

  std::size_t count() const { return right_.rows; }
  std::size_t features() const { return right_.columns; }

  // bits: which pairs are within. Those whose K is at most `inner` are, those whose K is above `outer` are not; the
  // others are decided from keys (squared distances for l2) right up to relative * key, against a bracket. Pairs still
  // open are returned as undecided.
  UndecidedPairs within_bracket(MatrixView<T> left, MatrixView<std::uint8_t> bytes, std::int64_t inner,
                                std::int64_t outer, double relative, Bracket threshold, int threads,
                                std::uint64_t* bits) const;

 private:
  Metric metric_;
  MatrixView<T> right_;
  const Kernels* kernels_;
  Strips<std::uint8_t> strips_;
};

extern template class ByteFilteredStrips<float>;
extern template class ByteFilteredStrips<double>;

}  // namespace lossfloor
