#include "lossfloor/pairs/strips.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>
#include <stdexcept>
#include <type_traits>

#include "lossfloor/parallel.hpp"

namespace lossfloor {
namespace {

// Most rows of a block, for products more, up to so many bytes: all strips pass by for every block, so that many
// rows are good, as long as the second-level cache has room for a strip beside them.
constexpr std::size_t kBlockRows = 48;
template <class T>
constexpr std::size_t kProductRows = sizeof(T) == 1 ? 96 : 144;
constexpr std::size_t kProductBytes = 480 << 10;
// Columns that are packed at a time for a single sweep: few enough to take no memory to speak of, and enough that
// packing the rows for each piece again costs nothing to speak of.
constexpr std::size_t kPieceColumns = 1024;
static_assert(kPieceColumns % kStrip == 0, "a piece is whole words");
static_assert(kBlockRows % kTile == 0 && kProductRows<float> % kTile == 0, "a block is whole tiles");

template <class T>
constexpr bool kExact = std::is_integral_v<T>;

template <class T>
using Key = std::conditional_t<kExact<T>, std::int32_t, double>;

// Features of a column that travel together through the product kernels.
template <class T>
constexpr std::size_t kDepth = kExact<T> ? 4 / sizeof(T) : 1;
// Bytes of a panel that stay in the first-level cache beside the rows of a block.
constexpr std::size_t kChunkBytes = 26 << 10;

// Bytes less 128, as signed numbers.
void flip(const std::uint8_t* row, std::size_t features, std::uint8_t* out) {
  for (std::size_t k = 0; k < features; ++k) out[k] = static_cast<std::uint8_t>(row[k] ^ 0x80);
}

// A limit of keys that are at most 2^31 - 1 and at least 0.
std::int32_t as_key(std::int64_t limit) {
  return static_cast<std::int32_t>(std::clamp<std::int64_t>(limit, -1, std::numeric_limits<std::int32_t>::max()));
}

std::size_t round_up(std::size_t value, std::size_t unit) { return (value + unit - 1) / unit * unit; }

// Pieces that the features of a panel are cut into.
template <class T>
std::size_t chunks_of(std::size_t features, const Kernels& kernels) {
  const std::size_t most = kChunkBytes / (kernels.panel * sizeof(T));
  return std::max<std::size_t>(1, (features + most - 1) / most);
}

}  // namespace

template <class T>
std::size_t product_roundings(std::size_t features, Level level) {
  const std::size_t chunks = chunks_of<T>(features, kernels(level));
  return 1 + (features + chunks - 1) / chunks + chunks;
}

template std::size_t product_roundings<float>(std::size_t, Level);
template std::size_t product_roundings<double>(std::size_t, Level);

std::int32_t byte_offset(const Kernels& kernels, const std::uint8_t* row, std::size_t features) {
  std::int32_t sum;
  std::int32_t square;
  kernels.sums_u8(row, features, &sum, &square);
  return static_cast<std::int32_t>(static_cast<std::uint32_t>(square) - 256 * static_cast<std::uint32_t>(sum));
}

void centred(MatrixView<float> rows, const double* centre, double scale, int threads, float* out) {
  in_parallel((rows.rows + kBlockRows - 1) / kBlockRows, threads, [&](std::size_t, std::size_t block) {
    for (std::size_t i = block * kBlockRows; i < std::min(rows.rows, (block + 1) * kBlockRows); ++i) {
      const float* row = rows.row(i);
      float* target = out + i * rows.columns;
      for (std::size_t k = 0; k < rows.columns; ++k) {
        target[k] = static_cast<float>(scale * static_cast<double>(row[k]) - centre[k]);
      }
    }
  });
}

template <class T>
struct Strips<T>::Layout {
  Metric metric;
  double p;
  std::size_t count;
  std::size_t features;
  std::size_t words;
  const Kernels* kernels;

  // l2: [panel][chunk][feature / depth][column][depth]; else [strip][feature][column], uint8 l1
  // [quarter][group][column][8].
  std::size_t chunk = 0;     // features a chunk (l2), a multiple of kDepth
  std::size_t n_chunks = 0;  // (l2)
  std::size_t padded = 0;    // features with padding
  std::vector<T> packed;
  std::vector<std::int32_t> ranking;      // not l2: the features in the order in which they are looked at
  std::vector<double> squares;            // l2, floats: |b|^2
  std::vector<std::int32_t> squares_i32;  // l2, integers: |b|^2; bytes: |b|^2 - 256 sum_k b_k modulo 2^32

  Layout(Metric metric_, double p_, MatrixView<T> right, const std::int32_t* ranking_, Level level)
      : metric(metric_), p(p_), count(right.rows), features(right.columns), words(words_for(right.rows)),
        kernels(&lossfloor::kernels(level)) {
    if (metric == Metric::l2) {
      if (std::is_same_v<T, std::uint8_t> && kernels->dot_u8 == nullptr) {
        throw std::invalid_argument("l2 of uint8 goes by int16 on this processor");
      }
      n_chunks = chunks_of<T>(features, *kernels);
      chunk = round_up((features + n_chunks - 1) / n_chunks, kDepth<T>);
      padded = chunk * n_chunks;
      packed.assign(words * kStrip * padded, T{});
      for (std::size_t j = 0; j < count; ++j) pack_column(right.row(j), j);
      squares_of(right);
      return;
    }
    if constexpr (std::is_same_v<T, std::int16_t>) throw std::invalid_argument("int16 is for l2");
    const bool groups = std::is_same_v<T, std::uint8_t> && metric == Metric::l1;
    padded = groups ? round_up(features, 8) : features;
    packed.assign(words * kStrip * padded, T{});
    if (ranking_ != nullptr) {
      ranking.assign(ranking_, ranking_ + features);
    } else {
      ranking.resize(features);
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

  std::size_t at(std::size_t k) const { return static_cast<std::size_t>(ranking[k]); }

  void pack_column(const T* row, std::size_t j) {
    constexpr std::size_t depth = kDepth<T>;
    const std::size_t panel = kernels->panel;
    T* target = packed.data() + j / panel * panel * padded + j % panel * depth;
    std::size_t k = 0;
    for (; k + depth <= features; k += depth) std::memcpy(target + k * panel, row + k, depth * sizeof(T));
    for (; k < features; ++k) target[k / depth * depth * panel + k % depth] = row[k];
  }

  template <class Square>
  static Square square_of(const T* row, std::size_t features) {
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

  // Bits of the last word that stand for no example.
  std::uint64_t valid(std::size_t word) const {
    const std::size_t used = std::min(kStrip, count - word * kStrip);
    return used == kStrip ? ~std::uint64_t{0} : (std::uint64_t{1} << used) - 1;
  }

  struct Scratch {
    std::vector<T> left;                        // packed rows of the block (l2)
    std::vector<T> products;                    // float products (l2 of float)
    std::vector<Key<T>> keys;                   // rows of the block x kStrip
    std::vector<double> scale;                  // kStrip
    std::vector<Key<T>> left_squares;           // of the rows of the block
    DoubtfulPairs doubtful;
  };

  // Calls consume(row, word, keys, scale, alive, scratch) for every row of the block and every strip. A strip that
  // is not alive has all its keys above `limit`.
  template <class Consume>
  void block(MatrixView<T> left, std::size_t begin, std::size_t end, Key<T> limit, Scratch& scratch,
             const Consume& consume) const {
    scratch.keys.resize((end - begin) * kStrip);
    scratch.scale.resize(kStrip);
    if constexpr (std::is_same_v<T, std::uint8_t>) {
      if (metric == Metric::l1) {
        sums_u8(left, begin, end, limit, scratch, consume);
        return;
      }
    }
    if (metric == Metric::l2) {
      products(left, begin, end, scratch, consume);
      return;
    }
    if constexpr (!std::is_same_v<T, std::int16_t>) {
      scratch.left.resize(features);
      for (std::size_t i = begin; i < end; ++i) {
        const T* row = left.row(i);
        for (std::size_t k = 0; k < features; ++k) scratch.left[k] = row[at(k)];
        for (std::size_t word = 0; word < words; ++word) {
          Key<T>* keys = scratch.keys.data();
          const bool alive = fold(scratch.left.data(), packed.data() + word * kStrip * padded, limit, keys);
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
      return kernels->linf_u8(row, strip, features, limit, keys);
    } else if constexpr (std::is_same_v<T, float>) {
      return metric == Metric::l1 ? kernels->l1_f32(row, strip, features, limit, keys)
                                  : kernels->linf_f32(row, strip, features, limit, keys);
    } else if constexpr (std::is_same_v<T, double>) {
      if (metric == Metric::l1) return kernels->l1_f64(row, strip, features, limit, keys);
      if (metric == Metric::linf) return kernels->linf_f64(row, strip, features, limit, keys);
      return kernels->lp_f64(row, strip, features, p, limit, keys);
    } else {
      throw std::logic_error("int16 is for l2");
    }
  }

  template <class Consume>
  void sums_u8(MatrixView<T> left, std::size_t begin, std::size_t end, std::int32_t limit, Scratch& scratch,
               const Consume& consume) const {
    scratch.left.assign((end - begin) * padded, T{});
    for (std::size_t i = begin; i < end; ++i) {
      const T* row = left.row(i);
      T* target = scratch.left.data() + (i - begin) * padded;
      for (std::size_t k = 0; k < features; ++k) target[k] = row[at(k)];
    }
    for (std::size_t word = 0; word < words; ++word) {
      for (std::size_t quarter = 0; quarter < kStrip / kQuarter; ++quarter) {
        kernels->l1_u8(scratch.left.data(), end - begin, packed.data() + (word * kStrip + quarter * kQuarter) * padded,
                       padded / 8, limit, scratch.keys.data() + quarter * kQuarter);
      }
      for (std::size_t i = begin; i < end; ++i) {
        consume(i, word, scratch.keys.data() + (i - begin) * kStrip, nullptr, true, scratch);
      }
    }
  }

  // Puts the rows of a block and their squares into the scratch.
  void pack_rows(MatrixView<T> left, std::size_t begin, std::size_t end, Scratch& scratch) const {
    scratch.left.assign(round_up(end - begin, kTile) * padded, T{});
    scratch.left_squares.resize(end - begin);
    for (std::size_t i = begin; i < end; ++i) {
      const T* row = left.row(i);
      T* copy = scratch.left.data() + (i - begin) * padded;
      if constexpr (std::is_same_v<T, std::uint8_t>) {
        flip(row, features, copy);
        std::int32_t sum;
        kernels->sums_u8(row, features, &sum, &scratch.left_squares[i - begin]);
      } else {
        std::copy(row, row + features, copy);
        scratch.left_squares[i - begin] = square_of<Key<T>>(row, features);
      }
    }
  }

  // Calls finish(word, sums) with the products of the packed rows and the columns of every strip, sums[row][column].
  template <class Finish>
  void multiply(std::size_t rows_packed, const Scratch& scratch, const Finish& finish) const {
    using Product = std::conditional_t<kExact<T>, std::int32_t, T>;
    const std::size_t width = kernels->panel;
    const std::size_t tiles = (rows_packed + kTile - 1) / kTile;
    std::vector<Product> sums(tiles * kTile * kStrip);
    for (std::size_t word = 0; word < words; ++word) {
      std::fill(sums.begin(), sums.end(), Product{});
      for (std::size_t part = 0; part < n_chunks; ++part) {
        for (std::size_t panel = 0; panel < kStrip / width; ++panel) {
          const T* columns =
              packed.data() + ((word * (kStrip / width) + panel) * padded + part * chunk) * width;
          for (std::size_t tile = 0; tile < tiles; ++tile) {
            const T* rows = scratch.left.data() + tile * kTile * padded + part * chunk;
            Product* out = sums.data() + tile * kTile * kStrip + panel * width;
            if constexpr (std::is_same_v<T, std::uint8_t>) {
              kernels->dot_u8(rows, padded, columns, chunk / 4, out);
            } else if constexpr (std::is_same_v<T, std::int16_t>) {
              kernels->dot_i16(rows, padded, columns, chunk / 2, out);
            } else if constexpr (std::is_same_v<T, float>) {
              kernels->dot_f32(rows, padded, columns, chunk, out);
            } else {
              kernels->dot_f64(rows, padded, columns, chunk, out);
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
          kernels->squares_i32(row, squares_i32.data() + word * kStrip, scratch.left_squares[i - begin]);
          consume(i, word, row, nullptr, true, scratch);
        } else {
          const double left_square = scratch.left_squares[i - begin];
          const double* right_square = squares.data() + word * kStrip;
          for (std::size_t c = 0; c < kStrip; ++c) {
            scratch.scale[c] = left_square + right_square[c];
            scratch.keys[c] = scratch.scale[c] - 2 * static_cast<double>(row[c]);
          }
          consume(i, word, scratch.keys.data(), scratch.scale.data(), true, scratch);
        }
      }
    });
  }

  template <class Consume>
  DoubtfulPairs sweep(MatrixView<T> left, Key<T> limit, int threads, const Consume& consume) const {
    return over_blocks(left, threads, [&](std::size_t begin, std::size_t end, Scratch& scratch) {
      block(left, begin, end, limit, scratch, consume);
    });
  }

  // Rows of a block: as many for every thread, if there are enough of them.
  std::size_t block_rows(std::size_t rows, int threads) const {
    std::size_t most = kBlockRows;
    if (metric == Metric::l2) {
      most = std::clamp(kProductBytes / (padded * sizeof(T)) / kTile * kTile, kBlockRows, kProductRows<T>);
    }
    const std::size_t enough = std::max<std::size_t>(1, (rows + most - 1) / most);
    const std::size_t blocks = round_up(enough, static_cast<std::size_t>(std::max(threads, 1)));
    return std::max(kBlockRows / 2, round_up((rows + blocks - 1) / blocks, kTile));
  }

  // Calls work(begin, end, scratch) for every block of rows; returns the doubtful pairs that the scratches hold then.
  template <class Work>
  DoubtfulPairs over_blocks(MatrixView<T> left, int threads, const Work& work) const {
    if (left.columns != features) throw std::invalid_argument("left and right differ in their features");
    const std::size_t step = block_rows(left.rows, threads);
    std::vector<Scratch> scratch(static_cast<std::size_t>(std::max(threads, 1)));
    in_parallel((left.rows + step - 1) / step, threads, [&](std::size_t worker, std::size_t index) {
      work(index * step, std::min(left.rows, (index + 1) * step), scratch[worker]);
    });
    DoubtfulPairs all;
    for (auto& part : scratch) all.insert(all.end(), part.doubtful.begin(), part.doubtful.end());
    std::sort(all.begin(), all.end());
    return all;
  }

  // Products of floats against one threshold, without keys. With s = |a|^2 + |b|^2 a pair is surely within it where
  // s - 2 ab + relative s + absolute <= lower, hence where
  //     ab >= ((1 + relative) |a|^2 + absolute - lower) / 2  +  (1 + relative) |b|^2 / 2,
  // and surely beyond where ab < ((1 - relative) |a|^2 - absolute - upper) / 2 + (1 - relative) |b|^2 / 2. Both sums
  // are made in single precision, from terms moved apart by more than that can cost.
  DoubtfulPairs products_within(MatrixView<T> left, Rounding rounding, Bracket threshold, int threads,
                                std::uint64_t* bits) const {
    if constexpr (!std::is_same_v<T, float>) {
      throw std::logic_error("only floats have products in single precision");
    } else {
      const double wide = 1 + rounding.relative;
      const double narrow = 1 - rounding.relative;
      std::vector<float> nears(words * kStrip);
      std::vector<float> fars(words * kStrip);
      for (std::size_t j = 0; j < nears.size(); ++j) {
        nears[j] = moved(wide * squares[j] / 2, 1);
        fars[j] = moved(narrow * squares[j] / 2, -1);
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
            const StripOutcome outcome =
                kernels->between_f32(sums + i * kStrip, near[i], nears.data() + word * kStrip, far[i],
                                     fars.data() + word * kStrip);
            bits[(begin + i) * words + word] = outcome.within & valid(word);
            report(begin + i, word, outcome.doubtful & valid(word), scratch.doubtful);
          }
        });
      });
    }
  }

  // A term of a sum of two in single precision, moved by 5 u of itself upwards or downwards: 1 u for its own rounding
  // to single precision, 1 u for that of the sum, the rest for those of this and of what it was made from.
  static float moved(double value, double direction) {
    const double far = value + direction * (5 * 0x1p-24 * std::abs(value) + 0x1p-140);
    return static_cast<float>(std::clamp(far, -1e38, 1e38));  // products are far smaller
  }

  static void report(std::size_t row, std::size_t word, std::uint64_t bits, DoubtfulPairs& pairs) {
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

  // A limit for abandoning: keys above it are surely above `threshold` in spite of their rounding.
  Key<T> abandon_limit(double threshold, Rounding rounding) const {
    const double widened = (threshold + rounding.absolute) * (1 + 4 * rounding.relative) * (1 + 1e-12);
    if constexpr (kExact<T>) {
      return widened >= std::numeric_limits<std::int32_t>::max() ? std::numeric_limits<std::int32_t>::max()
                                                                  : static_cast<std::int32_t>(widened);
    } else {
      return widened;
    }
  }
};

template <class T>
Strips<T>::Strips(Metric metric, double p, MatrixView<T> right, const std::int32_t* ranking, Level level)
    : layout_(std::make_unique<Layout>(metric, p, right, ranking, level)) {}
template <class T>
Strips<T>::~Strips() = default;
template <class T>
Strips<T>::Strips(Strips&&) noexcept = default;
template <class T>
Strips<T>& Strips<T>::operator=(Strips&&) noexcept = default;

template <class T>
std::size_t Strips<T>::count() const {
  return layout_->count;
}
template <class T>
std::size_t Strips<T>::features() const {
  return layout_->features;
}
template <class T>
const char* Strips<T>::kernel_name() const {
  return layout_->kernels->name;
}

template <class T>
void Strips<T>::within(MatrixView<T> left, std::int64_t limit, int threads, std::uint64_t* bits,
                       std::size_t stride) const {
  if constexpr (!kExact<T>) {
    throw std::invalid_argument("floating-point examples have no exact keys");
  } else {
    const Layout& layout = *layout_;
    const std::int32_t bound = as_key(limit);
    layout.sweep(left, bound, threads,
                 [&](std::size_t row, std::size_t word, const Key<T>* keys, const double*, bool alive, auto&) {
                   bits[row * stride + word] =
                       alive ? layout.kernels->at_most_i32(keys, bound) & layout.valid(word) : 0;
                 });
  }
}

template <class T>
DoubtfulPairs Strips<T>::within_or(MatrixView<T> left, std::int64_t inner, std::int64_t outer, int threads,
                                   std::uint64_t* bits, const Decide& decide) const {
  if constexpr (!std::is_same_v<T, std::uint8_t>) {
    throw std::invalid_argument("only bytes stand for other examples");
  } else {
    const Layout& layout = *layout_;
    const std::int32_t bounds[2] = {as_key(inner), as_key(outer)};
    return layout.sweep(
        left, bounds[1], threads,
        [&](std::size_t row, std::size_t word, const Key<T>* keys, const double*, bool alive, auto& scratch) {
          std::uint64_t& target = bits[row * layout.words + word];
          target = 0;
          if (!alive) return;
          const std::uint64_t near = layout.kernels->at_most_i32(keys, bounds[0]) & layout.valid(word);
          const std::uint64_t open = layout.kernels->at_most_i32(keys, bounds[1]) & layout.valid(word) & ~near;
          target = near | (open == 0 ? 0 : decide(row, word, open, scratch.doubtful));
        });
  }
}

template <class T>
void Strips<T>::levels(MatrixView<T> left, const std::int32_t* thresholds, std::size_t n_thresholds, int threads,
                       std::uint8_t* levels) const {
  if constexpr (!kExact<T>) {
    throw std::invalid_argument("floating-point examples have no exact keys");
  } else {
    if (n_thresholds == 0 || n_thresholds > 255) throw std::invalid_argument("1 to 255 thresholds");
    const Layout& layout = *layout_;
    std::vector<std::int32_t> filled(256, std::numeric_limits<std::int32_t>::max());
    std::copy(thresholds, thresholds + n_thresholds, filled.begin());
    layout.sweep(left, thresholds[n_thresholds - 1], threads,
                 [&](std::size_t row, std::size_t word, const Key<T>* keys, const double*, bool alive, auto&) {
                   std::uint8_t strip[kStrip];
                   if (alive) {
                     layout.kernels->levels_i32(keys, filled.data(), n_thresholds, strip);
                   } else {
                     std::memset(strip, static_cast<int>(n_thresholds), kStrip);
                   }
                   std::memcpy(levels + row * layout.count + word * kStrip, strip,
                               std::min(kStrip, layout.count - word * kStrip));
                 });
  }
}

template <class T>
DoubtfulPairs Strips<T>::within_bracket(MatrixView<T> left, Rounding rounding, Bracket threshold, int threads,
                                        std::uint64_t* bits) const {
  const Layout& layout = *layout_;
  if constexpr (std::is_same_v<T, float>) {
    if (layout.metric == Metric::l2) return layout.products_within(left, rounding, threshold, threads, bits);
  }
  return layout.sweep(
      left, layout.abandon_limit(threshold.upper, rounding), threads,
      [&](std::size_t row, std::size_t word, const Key<T>* keys, const double* scale, bool alive, auto& scratch) {
        std::uint64_t& target = bits[row * layout.words + word];
        target = 0;
        if (!alive) return;
        double room[kStrip];
        const double* values = Layout::as_doubles(keys, room);
        const StripOutcome outcome = layout.kernels->at_most_f64(values, scale ? scale : values, rounding.relative,
                                                                 rounding.absolute, threshold);
        target = outcome.within & layout.valid(word);
        Layout::report(row, word, outcome.doubtful & layout.valid(word), scratch.doubtful);
      });
}

template <class T>
DoubtfulPairs Strips<T>::within_radii(MatrixView<T> left, Rounding rounding, const double* left_radius,
                                      const double* right_radius, double slack, int threads,
                                      std::uint64_t* bits) const {
  const Layout& layout = *layout_;
  const double power = layout.metric == Metric::l2 ? 2 : layout.metric == Metric::lp ? layout.p : 1;
  std::vector<double> radii(layout.words * kStrip, 0.0);
  std::copy(right_radius, right_radius + layout.count, radii.begin());
  double largest = 0;
  for (std::size_t j = 0; j < layout.count; ++j) largest = std::max(largest, radii[j]);
  double largest_left = 0;
  for (std::size_t i = 0; i < left.rows; ++i) largest_left = std::max(largest_left, left_radius[i]);
  const double top = std::pow(largest + largest_left, power) * (1 + slack);
  return layout.sweep(
      left, layout.abandon_limit(top, rounding), threads,
      [&](std::size_t row, std::size_t word, const Key<T>* keys, const double* scale, bool alive, auto& scratch) {
        std::uint64_t& target = bits[row * layout.words + word];
        target = 0;
        if (!alive) return;
        double room[kStrip];
        const double* values = Layout::as_doubles(keys, room);
        const StripOutcome outcome =
            layout.kernels->at_most_radii(values, scale ? scale : values, rounding.relative, rounding.absolute,
                                          left_radius[row], radii.data() + word * kStrip, power, slack);
        target = outcome.within & layout.valid(word);
        Layout::report(row, word, outcome.doubtful & layout.valid(word), scratch.doubtful);
      });
}

template <class T>
DoubtfulPairs Strips<T>::levels_bracket(MatrixView<T> left, Rounding rounding, const Bracket* thresholds,
                                        std::size_t n_thresholds, int threads, std::uint8_t* levels) const {
  if (n_thresholds == 0 || n_thresholds > 255) throw std::invalid_argument("1 to 255 thresholds");
  const Layout& layout = *layout_;
  return layout.sweep(
      left, layout.abandon_limit(thresholds[n_thresholds - 1].upper, rounding), threads,
      [&](std::size_t row, std::size_t word, const Key<T>* keys, const double* scale, bool alive, auto& scratch) {
        std::uint8_t* target = levels + row * layout.count + word * kStrip;
        const std::size_t used = std::min(kStrip, layout.count - word * kStrip);
        if (!alive) {
          std::memset(target, static_cast<int>(n_thresholds), used);
          return;
        }
        double room[kStrip];
        const double* values = Layout::as_doubles(keys, room);
        const double* scales = scale ? scale : values;
        for (std::size_t c = 0; c < used; ++c) {
          const double margin = rounding.relative * scales[c] + rounding.absolute;
          const double low = values[c] - margin;
          const double high = values[c] + margin;
          std::size_t first = 0;  // thresholds surely below the key; a NaN is below none of them surely
          while (first < n_thresholds && low > thresholds[first].upper) ++first;
          target[c] = static_cast<std::uint8_t>(first);
          if (first < n_thresholds && !(high <= thresholds[first].lower)) {
            scratch.doubtful.emplace_back(static_cast<std::uint32_t>(row),
                                          static_cast<std::uint32_t>(word * kStrip + c));
          }
        }
      });
}

template class Strips<std::uint8_t>;
template class Strips<std::int16_t>;
template class Strips<float>;
template class Strips<double>;

void bytes_within(MatrixView<std::uint8_t> left, MatrixView<std::uint8_t> right, std::int64_t limit, int threads,
                  Level level, std::uint64_t* bits) {
  for (std::size_t begin = 0; begin < right.rows; begin += kPieceColumns) {
    const auto piece = right.part(begin, std::min(right.rows, begin + kPieceColumns));
    const Strips<std::uint8_t> strips(Metric::l2, 2, piece, nullptr, level);
    strips.within(left, limit, threads, bits + begin / kStrip, words_for(right.rows));
  }
}

}  // namespace lossfloor
