// A sweep over all pairs, a block of left-hand examples at a time against every strip.
//
// Part of strips.cpp, which alone includes it. The unnamed namespace lets the compiler inline what is called once.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <stdexcept>
#include <type_traits>
#include <vector>

#include "lossfloor/pairs/strips.hpp"
#include "lossfloor/parallel.hpp"
#include "packed_columns.hpp"

namespace lossfloor {
namespace {

// Most rows of a block, for products more, up to so many bytes: all strips pass by for every block, so that many
// rows are good, as long as the second-level cache has room for a strip beside them.
constexpr std::size_t kBlockRows = 48;
template <class T>
constexpr std::size_t kProductRows = sizeof(T) == 1 ? 96 : 144;
constexpr std::size_t kProductBytes = 480 << 10;
static_assert(kBlockRows % kTile == 0 && kProductRows<float> % kTile == 0, "a block is whole tiles");

// Bytes less 128, as signed numbers.
void flip(const std::uint8_t* row, std::size_t features, std::uint8_t* out) {
  for (std::size_t k = 0; k < features; ++k) out[k] = static_cast<std::uint8_t>(row[k] ^ 0x80);
}

template <class T>
class BlockSweep {
 public:
  explicit BlockSweep(const PackedColumns<T>& right) : right_(right) {}

  struct Scratch {
    std::vector<T> left;               // packed rows of the block (l2)
    std::vector<T> products;           // float products (l2 of float)
    std::vector<Key<T>> keys;          // rows of the block x kStrip
    std::vector<double> scale;         // kStrip
    std::vector<Key<T>> left_squares;  // of the rows of the block
    UndecidedPairs undecided;
  };

  // Calls consume(row, word, keys, scale, alive, scratch) for every row and every strip. A strip that is not alive has
  // all its keys above `limit`. Returns the undecided pairs that `consume` put into the scratches.
  template <class Consume>
  UndecidedPairs sweep(MatrixView<T> left, Key<T> limit, int threads, const Consume& consume) const {
    return over_blocks(left, threads, [&](std::size_t begin, std::size_t end, Scratch& scratch) {
      block(left, begin, end, limit, scratch, consume);
    });
  }

  // Products of floats against one threshold, without keys. With s = |a|^2 + |b|^2 a pair is surely within it where
  // s - 2 ab + relative s + absolute <= lower, hence where
  //     ab >= ((1 + relative) |a|^2 + absolute - lower) / 2  +  (1 + relative) |b|^2 / 2,
  // and surely beyond where ab < ((1 - relative) |a|^2 - absolute - upper) / 2 + (1 - relative) |b|^2 / 2. Both sums
  // are made in single precision, from terms moved apart by more than that can cost.
  UndecidedPairs products_within(MatrixView<T> left, Rounding rounding, Bracket threshold, int threads,
                                 std::uint64_t* bits) const {
    if constexpr (!std::is_same_v<T, float>) {
      throw std::logic_error("only floats have products in single precision");
    } else {
      const double wide = 1 + rounding.relative;
      const double narrow = 1 - rounding.relative;
      std::vector<float> nears(right_.words * kStrip);
      std::vector<float> fars(right_.words * kStrip);
      for (std::size_t j = 0; j < nears.size(); ++j) {
        nears[j] = moved(wide * right_.squares[j] / 2, 1);
        fars[j] = moved(narrow * right_.squares[j] / 2, -1);
      }
      return over_blocks(left, threads, [&](std::size_t begin, std::size_t end, Scratch& scratch) {
        std::vector<float> near(end - begin);
        std::vector<float> far(end - begin);
        pack_rows(left, begin, end, scratch);
        for (std::size_t i = 0; i < end - begin; ++i) {
          near[i] = moved((wide * scratch.left_squares[i] + rounding.absolute - threshold.lower) / 2, 1);
          far[i] = moved((narrow * scratch.left_squares[i] - rounding.absolute - threshold.upper) / 2, -1);
        }
        multiply(end - begin, scratch, [&](std::size_t word, const float* sums) {
          for (std::size_t i = 0; i < end - begin; ++i) {
            const StripOutcome outcome = right_.kernels->between_f32(
                sums + i * kStrip, near[i], nears.data() + word * kStrip, far[i], fars.data() + word * kStrip);
            bits[(begin + i) * right_.words + word] = outcome.within & right_.valid(word);
            report(begin + i, word, outcome.undecided & right_.valid(word), scratch.undecided);
          }
        });
      });
    }
  }

  static void report(std::size_t row, std::size_t word, std::uint64_t bits, UndecidedPairs& pairs) {
    for (; bits != 0; bits &= bits - 1) {
      const auto c = static_cast<std::size_t>(__builtin_ctzll(bits));
      pairs.emplace_back(static_cast<std::uint32_t>(row), static_cast<std::uint32_t>(word * kStrip + c));
    }
  }

  // The keys of one strip as doubles, whatever they were.
  static const double* as_doubles(const Key<T>* keys, double* room) {
    if constexpr (kExact<T>) {
      for (std::size_t c = 0; c < kStrip; ++c) room[c] = keys[c];
      return room;
    } else {
      return keys;
    }
  }

  // The limit for abandoning a strip: keys above it are surely above `threshold` in spite of their rounding.
  static Key<T> abandon_limit(double threshold, Rounding rounding) {
    const double widened = (threshold + rounding.absolute) * (1 + 4 * rounding.relative) * (1 + 1e-12);
    if constexpr (kExact<T>) {
      return widened >= std::numeric_limits<std::int32_t>::max() ? std::numeric_limits<std::int32_t>::max()
                                                                 : static_cast<std::int32_t>(widened);
    } else {
      return widened;
    }
  }

 private:
  // Calls consume(row, word, keys, scale, alive, scratch) for every row of the block and every strip. A strip that
  // is not alive has all its keys above `limit`.
  template <class Consume>
  void block(MatrixView<T> left, std::size_t begin, std::size_t end, Key<T> limit, Scratch& scratch,
             const Consume& consume) const {
    scratch.keys.resize((end - begin) * kStrip);
    scratch.scale.resize(kStrip);
    if constexpr (std::is_same_v<T, std::uint8_t>) {
      if (right_.metric == Metric::l1) {
        sums_u8(left, begin, end, limit, scratch, consume);
        return;
      }
    }
    if (right_.metric == Metric::l2) {
      products(left, begin, end, scratch, consume);
      return;
    }
    if constexpr (!std::is_same_v<T, std::int16_t>) {
      scratch.left.resize(right_.features);
      for (std::size_t i = begin; i < end; ++i) {
        const T* row = left.row(i);
        for (std::size_t k = 0; k < right_.features; ++k) scratch.left[k] = row[right_.at(k)];
        for (std::size_t word = 0; word < right_.words; ++word) {
          Key<T>* keys = scratch.keys.data();
          const bool alive =
              fold(scratch.left.data(), right_.packed.data() + word * kStrip * right_.padded, limit, keys);
          if constexpr (kExact<T>) {
            consume(i, word, keys, nullptr, alive, scratch);
          } else {
            consume(i, word, keys, keys, alive, scratch);
          }
        }
      }
    }
  }

  bool fold(const T* row, const T* strip, Key<T> limit, Key<T>* keys) const {
    if constexpr (std::is_same_v<T, std::uint8_t>) {
      return right_.kernels->linf_u8(row, strip, right_.features, limit, keys);
    } else if constexpr (std::is_same_v<T, float>) {
      return right_.metric == Metric::l1 ? right_.kernels->l1_f32(row, strip, right_.features, limit, keys)
                                         : right_.kernels->linf_f32(row, strip, right_.features, limit, keys);
    } else if constexpr (std::is_same_v<T, double>) {
      if (right_.metric == Metric::l1) return right_.kernels->l1_f64(row, strip, right_.features, limit, keys);
      if (right_.metric == Metric::linf) return right_.kernels->linf_f64(row, strip, right_.features, limit, keys);
      return right_.kernels->lp_f64(row, strip, right_.features, right_.p, limit, keys);
    } else {
      throw std::logic_error("int16 is for l2");
    }
  }

  template <class Consume>
  void sums_u8(MatrixView<T> left, std::size_t begin, std::size_t end, std::int32_t limit, Scratch& scratch,
               const Consume& consume) const {
    scratch.left.assign((end - begin) * right_.padded, T{});
    for (std::size_t i = begin; i < end; ++i) {
      const T* row = left.row(i);
      T* target = scratch.left.data() + (i - begin) * right_.padded;
      for (std::size_t k = 0; k < right_.features; ++k) target[k] = row[right_.at(k)];
    }
    for (std::size_t word = 0; word < right_.words; ++word) {
      for (std::size_t quarter = 0; quarter < kStrip / kQuarter; ++quarter) {
        right_.kernels->l1_u8(scratch.left.data(), end - begin,
                              right_.packed.data() + (word * kStrip + quarter * kQuarter) * right_.padded,
                              right_.padded / 8, limit, scratch.keys.data() + quarter * kQuarter);
      }
      for (std::size_t i = begin; i < end; ++i) {
        consume(i, word, scratch.keys.data() + (i - begin) * kStrip, nullptr, true, scratch);
      }
    }
  }

  // Puts the rows of a block and their right_.squares into the scratch.
  void pack_rows(MatrixView<T> left, std::size_t begin, std::size_t end, Scratch& scratch) const {
    scratch.left.assign(round_up(end - begin, kTile) * right_.padded, T{});
    scratch.left_squares.resize(end - begin);
    for (std::size_t i = begin; i < end; ++i) {
      const T* row = left.row(i);
      T* copy = scratch.left.data() + (i - begin) * right_.padded;
      if constexpr (std::is_same_v<T, std::uint8_t>) {
        flip(row, right_.features, copy);
        std::int32_t sum;
        right_.kernels->sums_u8(row, right_.features, &sum, &scratch.left_squares[i - begin]);
      } else {
        std::copy(row, row + right_.features, copy);
        scratch.left_squares[i - begin] = square_of<Key<T>>(row, right_.features);
      }
    }
  }

  // Calls finish(word, sums) with the products of the packed rows and the columns of every strip, sums[row][column].
  template <class Finish>
  void multiply(std::size_t rows_packed, const Scratch& scratch, const Finish& finish) const {
    using Product = std::conditional_t<kExact<T>, std::int32_t, T>;
    const std::size_t width = right_.kernels->panel;
    const std::size_t tiles = (rows_packed + kTile - 1) / kTile;
    std::vector<Product> sums(tiles * kTile * kStrip);
    for (std::size_t word = 0; word < right_.words; ++word) {
      std::fill(sums.begin(), sums.end(), Product{});
      for (std::size_t part = 0; part < right_.n_chunks; ++part) {
        for (std::size_t panel = 0; panel < kStrip / width; ++panel) {
          const T* columns =
              right_.packed.data() + ((word * (kStrip / width) + panel) * right_.padded + part * right_.chunk) * width;
          for (std::size_t tile = 0; tile < tiles; ++tile) {
            const T* rows = scratch.left.data() + tile * kTile * right_.padded + part * right_.chunk;
            Product* out = sums.data() + tile * kTile * kStrip + panel * width;
            if constexpr (std::is_same_v<T, std::uint8_t>) {
              right_.kernels->dot_u8(rows, right_.padded, columns, right_.chunk / 4, out);
            } else if constexpr (std::is_same_v<T, std::int16_t>) {
              right_.kernels->dot_i16(rows, right_.padded, columns, right_.chunk / 2, out);
            } else if constexpr (std::is_same_v<T, float>) {
              right_.kernels->dot_f32(rows, right_.padded, columns, right_.chunk, out);
            } else {
              right_.kernels->dot_f64(rows, right_.padded, columns, right_.chunk, out);
            }
          }
        }
      }
      finish(word, sums.data());
    }
  }

  template <class Consume>
  void products(MatrixView<T> left, std::size_t begin, std::size_t end, Scratch& scratch,
                const Consume& consume) const {
    pack_rows(left, begin, end, scratch);
    multiply(end - begin, scratch, [&](std::size_t word, auto* sums) {
      for (std::size_t i = begin; i < end; ++i) {
        auto* row = sums + (i - begin) * kStrip;
        if constexpr (kExact<T>) {
          right_.kernels->squares_i32(row, right_.squares_i32.data() + word * kStrip, scratch.left_squares[i - begin]);
          consume(i, word, row, nullptr, true, scratch);
        } else {
          const double left_square = scratch.left_squares[i - begin];
          const double* right_square = right_.squares.data() + word * kStrip;
          for (std::size_t c = 0; c < kStrip; ++c) {
            scratch.scale[c] = left_square + right_square[c];
            scratch.keys[c] = scratch.scale[c] - 2 * static_cast<double>(row[c]);
          }
          consume(i, word, scratch.keys.data(), scratch.scale.data(), true, scratch);
        }
      }
    });
  }

  // Rows of a block: as many for every thread, if there are enough of them.
  std::size_t block_rows(std::size_t rows, int threads) const {
    std::size_t most = kBlockRows;
    if (right_.metric == Metric::l2) {
      most = std::clamp(kProductBytes / (right_.padded * sizeof(T)) / kTile * kTile, kBlockRows, kProductRows<T>);
    }
    const std::size_t enough = std::max<std::size_t>(1, (rows + most - 1) / most);
    const std::size_t blocks = round_up(enough, static_cast<std::size_t>(std::max(threads, 1)));
    return std::max(kBlockRows / 2, round_up((rows + blocks - 1) / blocks, kTile));
  }

  // Calls work(begin, end, scratch) for every block of rows; returns the undecided pairs that the scratches hold then.
  template <class Work>
  UndecidedPairs over_blocks(MatrixView<T> left, int threads, const Work& work) const {
    if (left.columns != right_.features) throw std::invalid_argument("left and right differ in their right_.features");
    const std::size_t step = block_rows(left.rows, threads);
    std::vector<Scratch> scratch(static_cast<std::size_t>(std::max(threads, 1)));
    in_parallel((left.rows + step - 1) / step, threads, [&](std::size_t worker, std::size_t index) {
      work(index * step, std::min(left.rows, (index + 1) * step), scratch[worker]);
    });
    UndecidedPairs all;
    for (auto& part : scratch) all.insert(all.end(), part.undecided.begin(), part.undecided.end());
    std::sort(all.begin(), all.end());
    return all;
  }

  // A term of a sum of two in single precision, moved by 5 u of itself upwards or downwards: 1 u for its own rounding
  // to single precision, 1 u for that of the sum, the rest for those of this and of what it was made from.
  static float moved(double value, double direction) {
    const double far = value + direction * (5 * 0x1p-24 * std::abs(value) + 0x1p-140);
    return static_cast<float>(std::clamp(far, -1e38, 1e38));  // products are far smaller
  }

  const PackedColumns<T>& right_;
};

}  // namespace
}  // namespace lossfloor
