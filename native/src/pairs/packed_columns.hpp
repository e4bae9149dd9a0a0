// Right-hand examples in the order that the kernels read.
//
// Part of strips.cpp, which alone includes it. The unnamed namespace lets the compiler inline what is called once.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <numeric>
#include <stdexcept>
#include <type_traits>
#include <vector>

#include "lossfloor/pairs/strips.hpp"

namespace lossfloor {
namespace {

template <class T>
constexpr bool kExact = std::is_integral_v<T>;

template <class T>
using Key = std::conditional_t<kExact<T>, std::int32_t, double>;

// Features of a column that travel together through the product kernels.
template <class T>
constexpr std::size_t kDepth = kExact<T> ? 4 / sizeof(T) : 1;
// Bytes of a panel that stay in the first-level cache beside the rows of a block.
constexpr std::size_t kChunkBytes = 26 << 10;

std::size_t round_up(std::size_t value, std::size_t unit) { return (value + unit - 1) / unit * unit; }

// Pieces that the features of a panel are cut into.
template <class T>
std::size_t chunks_of(std::size_t features, const Kernels& kernels) {
  const std::size_t most = kChunkBytes / (kernels.panel * sizeof(T));
  return std::max<std::size_t>(1, (features + most - 1) / most);
}

template <class Square, class T>
Square square_of(const T* row, std::size_t features) {
  // Eight sums that do not wait for each other.
  Square parts[8] = {};
  for (std::size_t k = 0; k + 8 <= features; k += 8) {
    for (std::size_t e = 0; e < 8; ++e) parts[e] += static_cast<Square>(row[k + e]) * static_cast<Square>(row[k + e]);
  }
  for (std::size_t k = features / 8 * 8; k < features; ++k) {
    parts[k % 8] += static_cast<Square>(row[k]) * static_cast<Square>(row[k]);
  }
  return ((parts[0] + parts[4]) + (parts[1] + parts[5])) + ((parts[2] + parts[6]) + (parts[3] + parts[7]));
}

template <class T>
struct PackedColumns {
  Metric metric;
  double p;
  std::size_t count;
  std::size_t features;
  std::size_t words;
  const Kernels* kernels;

  // l2: [panel][chunk][feature / depth][column][depth]; else [strip][feature][column], uint8 l1
  // [quarter][group][column][8].
  std::size_t chunk = 0;     // features per chunk (l2), a multiple of kDepth
  std::size_t n_chunks = 0;  // (l2)
  std::size_t padded = 0;    // features with padding
  std::vector<T> packed;
  std::vector<std::int32_t> ranking;      // not l2: the features in the order in which they are read
  std::vector<double> squares;            // l2, floats: |b|^2
  std::vector<std::int32_t> squares_i32;  // l2, integers: |b|^2; bytes: byte_offset

  PackedColumns(Metric metric_, double p_, MatrixView<T> right, const std::int32_t* ranking_, Isa isa)
      : metric(metric_), p(p_), count(right.rows), features(right.columns), words(words_for(right.rows)),
        kernels(&lossfloor::kernels(isa)) {
    if (metric == Metric::l2) {
      pack_products(right);
    } else if (std::is_same_v<T, std::int16_t>) {
      throw std::invalid_argument("int16 is for l2");
    } else {
      pack_differences(right, ranking_);
    }
  }

  // The feature that is read as the k-th.
  std::size_t at(std::size_t k) const { return static_cast<std::size_t>(ranking[k]); }

  // Bits of a word that stand for examples; those of the last word may be fewer.
  std::uint64_t valid(std::size_t word) const {
    const std::size_t used = std::min(kStrip, count - word * kStrip);
    return used == kStrip ? ~std::uint64_t{0} : (std::uint64_t{1} << used) - 1;
  }

 private:
  void pack_products(MatrixView<T> right) {
    if (std::is_same_v<T, std::uint8_t> && kernels->dot_u8 == nullptr) {
      throw std::invalid_argument("l2 of uint8 goes by int16 on this processor");
    }
    n_chunks = chunks_of<T>(features, *kernels);
    chunk = round_up((features + n_chunks - 1) / n_chunks, kDepth<T>);
    padded = chunk * n_chunks;
    packed.assign(words * kStrip * padded, T{});
    for (std::size_t j = 0; j < count; ++j) pack_column(right.row(j), j);
    squares_of(right);
  }

  void pack_differences(MatrixView<T> right, const std::int32_t* order) {
    const bool groups = std::is_same_v<T, std::uint8_t> && metric == Metric::l1;
    padded = groups ? round_up(features, 8) : features;
    packed.assign(words * kStrip * padded, T{});
    ranking.resize(features);
    if (order != nullptr) {
      std::copy(order, order + features, ranking.begin());
    } else {
      std::iota(ranking.begin(), ranking.end(), 0);
    }
    for (std::size_t j = 0; j < count; ++j) {
      const T* row = right.row(j);
      if (groups) {
        T* quarter = packed.data() + j / kQuarter * kQuarter * padded;
        for (std::size_t k = 0; k < features; ++k) quarter[(k / 8 * kQuarter + j % kQuarter) * 8 + k % 8] = row[at(k)];
      } else {
        T* strip = packed.data() + j / kStrip * kStrip * padded;
        for (std::size_t k = 0; k < features; ++k) strip[k * kStrip + j % kStrip] = row[at(k)];
      }
    }
  }

  void pack_column(const T* row, std::size_t j) {
    constexpr std::size_t depth = kDepth<T>;
    const std::size_t panel = kernels->panel;
    T* target = packed.data() + j / panel * panel * padded + j % panel * depth;
    std::size_t k = 0;
    for (; k + depth <= features; k += depth) std::memcpy(target + k * panel, row + k, depth * sizeof(T));
    for (; k < features; ++k) target[k / depth * depth * panel + k % depth] = row[k];
  }

  void squares_of(MatrixView<T> right) {
    if constexpr (std::is_same_v<T, std::uint8_t>) {
      squares_i32.assign(words * kStrip, 0);
      for (std::size_t j = 0; j < count; ++j) squares_i32[j] = byte_offset(*kernels, right.row(j), features);
    } else if constexpr (kExact<T>) {
      squares_i32.assign(words * kStrip, 0);
      for (std::size_t j = 0; j < count; ++j) squares_i32[j] = square_of<std::int32_t>(right.row(j), features);
    } else {
      squares.assign(words * kStrip, 0);
      for (std::size_t j = 0; j < count; ++j) squares[j] = square_of<double>(right.row(j), features);
    }
  }
};

}  // namespace
}  // namespace lossfloor
