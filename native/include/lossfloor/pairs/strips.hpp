// Which pairs of a left and a right example are within a threshold of each other: a sweep over all pairs in cache-
// sized blocks that never holds the matrix of distances.
//
// Integer examples (uint8, int16) have exact keys: the answer is exact. Floating-point examples have keys known up
// to a stated rounding error: a pair that the error leaves open is reported as undecided, and decided elsewhere.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "lossfloor/simd/kernels.hpp"

namespace lossfloor {

// Rows that lie one behind another, or, where there are places, anywhere in such a matrix.
template <class T>
struct MatrixView {
  const T* data;
  std::size_t rows;
  std::size_t columns;
  const std::int64_t* places = nullptr;
  const T* row(std::size_t i) const {
    return data + (places == nullptr ? i : static_cast<std::size_t>(places[i])) * columns;
  }
  MatrixView part(std::size_t begin, std::size_t end) const {
    if (places != nullptr) return {data, end - begin, columns, places + begin};
    return {data + begin * columns, end - begin, columns};
  }
};

// The true key lies within `relative * scale + absolute` of the computed one, where `scale` is |a|^2 + |b|^2 for l2
// and the key itself for the others.
struct Rounding {
  double relative;
  double absolute;
};

using UndecidedPairs = std::vector<std::pair<std::uint32_t, std::uint32_t>>;

inline std::size_t words_for(std::size_t columns) { return (columns + kStrip - 1) / kStrip; }

// byte_offset(b) = |b|^2 - 256 sum(b) (mod 2^32). Then |a - b|^2 = |a|^2 + byte_offset(b) - 2 <a - 128, b>, which is
// exact below 2^31.
std::int32_t byte_offset(const Kernels& kernels, const std::uint8_t* row, std::size_t features);

// How often at most a product of two entries is rounded on its way into the product of two rows, for floats and
// doubles: once itself, then once for each feature of its chunk and once for each chunk.
template <class T>
std::size_t product_roundings(std::size_t features, Isa isa);

// out[i][k] = scale * rows[i][k] - centre[k], computed in double precision and rounded to float.
void centred(MatrixView<float> rows, const double* centre, double scale, int threads, float* out);

// Keys: squared distances for l2, sums of p-th powers for lp, distances for l1 and linf.
template <class T>
class Strips {
 public:
  // Copies `right` into the order that the kernels read. `p` matters for Metric::lp only. `ranking`, an order of the
  // features in which differences tell early that a pair is far apart, is for metrics other than l2, and may be null.
  Strips(Metric metric, double p, MatrixView<T> right, const std::int32_t* ranking, Isa isa);
  ~Strips();
  Strips(Strips&&) noexcept;
  Strips& operator=(Strips&&) noexcept;

  std::size_t count() const;
  std::size_t features() const;
  Isa isa() const;

  // bits[i * stride + w]: bit c is set where key(left i, right 64 w + c) <= limit. Integer T only.
  void within(MatrixView<T> left, std::int64_t limit, int threads, std::uint64_t* bits, std::size_t stride) const;
  // The same where keys at most `inner` are within, keys above `outer` are not, and `decide` returns the bits of those
  // in between that are; the undecided pairs that it reports are returned. uint8 l1 and l2 only.
  using Decide = std::function<std::uint64_t(std::size_t row, std::size_t word, std::uint64_t open, UndecidedPairs&)>;
  UndecidedPairs within_or(MatrixView<T> left, std::int64_t inner, std::int64_t outer, int threads, std::uint64_t* bits,
                           const Decide& decide) const;
  // levels[i * count + j]: how many of the ascending thresholds lie below the key (at most 255). Integer T only.
  void levels(MatrixView<T> left, const std::int32_t* thresholds, std::size_t n_thresholds, int threads,
              std::uint8_t* levels) const;

  // Against one threshold that is known to lie in a bracket (of keys).
  UndecidedPairs within_bracket(MatrixView<T> left, Rounding rounding, Bracket threshold, int threads,
                                std::uint64_t* bits) const;
  // Against the sum of two radii (of distances), itself known up to the relative `slack` of its key.
  UndecidedPairs within_radii(MatrixView<T> left, Rounding rounding, const double* left_radius,
                              const double* right_radius, double slack, int threads, std::uint64_t* bits) const;
  // Levels against ascending brackets; for an undecided pair the level is the smallest possible one.
  UndecidedPairs levels_bracket(MatrixView<T> left, Rounding rounding, const Bracket* thresholds,
                                std::size_t n_thresholds, int threads, std::uint8_t* levels) const;

 private:
  struct Layout;
  std::unique_ptr<Layout> layout_;
};

extern template class Strips<std::uint8_t>;
extern template class Strips<std::int16_t>;
extern template class Strips<float>;
extern template class Strips<double>;

// What `within` of l2 strips of `right` says, with never more than a piece of `right` as a copy: for a single sweep.
void bytes_within(MatrixView<std::uint8_t> left, MatrixView<std::uint8_t> right, std::int64_t limit, int threads,
                  Isa isa, std::uint64_t* bits);

}  // namespace lossfloor
