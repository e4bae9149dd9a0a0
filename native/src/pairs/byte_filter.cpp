#include "lossfloor/pairs/byte_filter.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <vector>

#include "decide_pair.hpp"
#include "lossfloor/parallel.hpp"

namespace lossfloor {
namespace {

constexpr std::size_t kRowsAtOnce = 64;

template <class T>
double round_row(const T* row, const double* low, double step, double inverse, std::size_t features,
                 std::uint8_t* bytes) {
  constexpr std::size_t kLanes = 8;  // sums that do not wait for each other
  double squares[kLanes] = {};
  const auto round = [&](std::size_t k, std::size_t lane) {
    const double place = static_cast<double>(row[k]) - low[k];
    const auto whole = static_cast<std::int32_t>(std::min(std::max(place * inverse + 0.5, 0.0), 255.0));
    const double rest = place - step * static_cast<double>(whole);
    bytes[k] = static_cast<std::uint8_t>(whole);
    squares[lane] += rest * rest;
  };
  std::size_t k = 0;
  for (; k + kLanes <= features; k += kLanes) {
    for (std::size_t lane = 0; lane < kLanes; ++lane) round(k + lane, lane);
  }
  for (; k < features; ++k) round(k, k % kLanes);
  double sum = 0;
  for (const double square : squares) sum += square;
  return sum;
}

// The l1 distance in double precision: features + 1 roundings, none of which underflows.
template <class T>
double l1_distance(const T* left, const T* right, std::size_t features) {
  constexpr std::size_t kLanes = 8;
  double sums[kLanes] = {};
  std::size_t k = 0;
  for (; k + kLanes <= features; k += kLanes) {
    for (std::size_t lane = 0; lane < kLanes; ++lane) {
      sums[lane] += std::abs(static_cast<double>(left[k + lane]) - static_cast<double>(right[k + lane]));
    }
  }
  for (; k < features; ++k) sums[k % kLanes] += std::abs(static_cast<double>(left[k]) - static_cast<double>(right[k]));
  double sum = 0;
  for (const double part : sums) sum += part;
  return sum;
}

}  // namespace

template <class T>
double round_to_bytes(MatrixView<T> rows, const double* low, double step, int threads, std::uint8_t* bytes) {
  std::vector<double> largest(static_cast<std::size_t>(std::max(threads, 1)), 0.0);
  in_parallel((rows.rows + kRowsAtOnce - 1) / kRowsAtOnce, threads, [&](std::size_t worker, std::size_t block) {
    for (std::size_t i = block * kRowsAtOnce; i < std::min(rows.rows, (block + 1) * kRowsAtOnce); ++i) {
      const double square = round_row(rows.row(i), low, step, 1 / step, rows.columns, bytes + i * rows.columns);
      largest[worker] = std::max(largest[worker], square);
    }
  });
  return *std::max_element(largest.begin(), largest.end());
}

template double round_to_bytes<float>(MatrixView<float>, const double*, double, int, std::uint8_t*);
template double round_to_bytes<double>(MatrixView<double>, const double*, double, int, std::uint8_t*);

template <class T>
ByteFilteredStrips<T>::ByteFilteredStrips(Metric metric, MatrixView<T> right, MatrixView<std::uint8_t> bytes,
                                          const std::int32_t* ranking, Isa isa)
    : metric_(metric), right_(right), kernels_(&kernels(isa)), strips_(metric, 2.0, bytes, ranking, isa) {
  if (metric != Metric::l1 && metric != Metric::l2) throw std::invalid_argument("metric must be l1 or l2");
}

template <class T>
UndecidedPairs ByteFilteredStrips<T>::within_bracket(MatrixView<T> left, MatrixView<std::uint8_t> bytes,
                                                     std::int64_t inner, std::int64_t outer, double relative,
                                                     Bracket threshold, int threads, std::uint64_t* bits) const {
  const PairDecision<T> decision(*kernels_, right_.columns, relative);
  return strips_.within_or(bytes, inner, outer, threads, bits,
                           [&](std::size_t i, std::size_t word, std::uint64_t open, UndecidedPairs& undecided) {
                             std::uint64_t found = 0;
                             for (; open != 0; open &= open - 1) {
                               const auto c = static_cast<std::size_t>(__builtin_ctzll(open));
                               const std::size_t j = word * kStrip + c;
                               const Nearness verdict =
                                   metric_ == Metric::l2
                                       ? decision(left.row(i), right_.row(j), threshold)
                                       : decision.judged(l1_distance(left.row(i), right_.row(j), right_.columns),
                                                         threshold);
                               if (verdict == Nearness::within) found |= std::uint64_t{1} << c;
                               if (verdict == Nearness::open) {
                                 undecided.emplace_back(static_cast<std::uint32_t>(i), static_cast<std::uint32_t>(j));
                               }
                             }
                             return found;
                           });
}

template class ByteFilteredStrips<float>;
template class ByteFilteredStrips<double>;

}  // namespace lossfloor
