#include "lossfloor/pairs/strips.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <stdexcept>
#include <type_traits>

#include "block_sweep.hpp"
#include "lossfloor/parallel.hpp"
#include "packed_columns.hpp"

namespace lossfloor {
namespace {

// Columns that are packed at a time for a single sweep: few enough to take no memory to speak of, and enough that
// packing the rows for each piece again costs nothing to speak of.
constexpr std::size_t kPieceColumns = 1024;
static_assert(kPieceColumns % kStrip == 0, "a piece is whole words");

// A limit of keys that are at most 2^31 - 1 and at least 0.
std::int32_t as_key(std::int64_t limit) {
  return static_cast<std::int32_t>(std::clamp<std::int64_t>(limit, -1, std::numeric_limits<std::int32_t>::max()));
}

}  // namespace

template <class T>
std::size_t product_roundings(std::size_t features, Isa isa) {
  const std::size_t chunks = chunks_of<T>(features, kernels(isa));
  return 1 + (features + chunks - 1) / chunks + chunks;
}

template std::size_t product_roundings<float>(std::size_t, Isa);
template std::size_t product_roundings<double>(std::size_t, Isa);

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
  PackedColumns<T> right;
};

template <class T>
Strips<T>::Strips(Metric metric, double p, MatrixView<T> right, const std::int32_t* ranking, Isa isa)
    : layout_(new Layout{PackedColumns<T>(metric, p, right, ranking, isa)}) {}
template <class T>
Strips<T>::~Strips() = default;
template <class T>
Strips<T>::Strips(Strips&&) noexcept = default;
template <class T>
Strips<T>& Strips<T>::operator=(Strips&&) noexcept = default;

template <class T>
std::size_t Strips<T>::count() const {
  return layout_->right.count;
}
template <class T>
std::size_t Strips<T>::features() const {
  return layout_->right.features;
}
template <class T>
Isa Strips<T>::isa() const {
  return layout_->right.kernels->isa;
}

template <class T>
void Strips<T>::within(MatrixView<T> left, std::int64_t limit, int threads, std::uint64_t* bits,
                       std::size_t stride) const {
  if constexpr (!kExact<T>) {
    throw std::invalid_argument("floating-point examples have no exact keys");
  } else {
    const PackedColumns<T>& right = layout_->right;
    const std::int32_t bound = as_key(limit);
    BlockSweep<T>(right).sweep(
        left, bound, threads,
        [&](std::size_t row, std::size_t word, const Key<T>* keys, const double*, bool alive, auto&) {
          bits[row * stride + word] = alive ? right.kernels->at_most_i32(keys, bound) & right.valid(word) : 0;
        });
  }
}

template <class T>
UndecidedPairs Strips<T>::within_or(MatrixView<T> left, std::int64_t inner, std::int64_t outer, int threads,
                                    std::uint64_t* bits, const Decide& decide) const {
  if constexpr (!std::is_same_v<T, std::uint8_t>) {
    throw std::invalid_argument("only bytes stand for other examples");
  } else {
    const PackedColumns<T>& right = layout_->right;
    const std::int32_t bounds[2] = {as_key(inner), as_key(outer)};
    return BlockSweep<T>(right).sweep(
        left, bounds[1], threads,
        [&](std::size_t row, std::size_t word, const Key<T>* keys, const double*, bool alive, auto& scratch) {
          std::uint64_t& target = bits[row * right.words + word];
          target = 0;
          if (!alive) return;
          const std::uint64_t near = right.kernels->at_most_i32(keys, bounds[0]) & right.valid(word);
          const std::uint64_t open = right.kernels->at_most_i32(keys, bounds[1]) & right.valid(word) & ~near;
          target = near | (open == 0 ? 0 : decide(row, word, open, scratch.undecided));
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
    const PackedColumns<T>& right = layout_->right;
    std::vector<std::int32_t> filled(256, std::numeric_limits<std::int32_t>::max());
    std::copy(thresholds, thresholds + n_thresholds, filled.begin());
    BlockSweep<T>(right).sweep(
        left, thresholds[n_thresholds - 1], threads,
        [&](std::size_t row, std::size_t word, const Key<T>* keys, const double*, bool alive, auto&) {
          std::uint8_t strip[kStrip];
          if (alive) {
            right.kernels->levels_i32(keys, filled.data(), n_thresholds, strip);
          } else {
            std::memset(strip, static_cast<int>(n_thresholds), kStrip);
          }
          std::memcpy(levels + row * right.count + word * kStrip, strip, std::min(kStrip, right.count - word * kStrip));
        });
  }
}

template <class T>
UndecidedPairs Strips<T>::within_bracket(MatrixView<T> left, Rounding rounding, Bracket threshold, int threads,
                                         std::uint64_t* bits) const {
  const PackedColumns<T>& right = layout_->right;
  if constexpr (std::is_same_v<T, float>) {
    if (right.metric == Metric::l2)
      return BlockSweep<T>(right).products_within(left, rounding, threshold, threads, bits);
  }
  return BlockSweep<T>(right).sweep(
      left, BlockSweep<T>::abandon_limit(threshold.upper, rounding), threads,
      [&](std::size_t row, std::size_t word, const Key<T>* keys, const double* scale, bool alive, auto& scratch) {
        std::uint64_t& target = bits[row * right.words + word];
        target = 0;
        if (!alive) return;
        double room[kStrip];
        const double* values = BlockSweep<T>::as_doubles(keys, room);
        const StripOutcome outcome =
            right.kernels->at_most_f64(values, scale ? scale : values, rounding.relative, rounding.absolute, threshold);
        target = outcome.within & right.valid(word);
        BlockSweep<T>::report(row, word, outcome.undecided & right.valid(word), scratch.undecided);
      });
}

template <class T>
UndecidedPairs Strips<T>::within_radii(MatrixView<T> left, Rounding rounding, const double* left_radius,
                                       const double* right_radius, double slack, int threads,
                                       std::uint64_t* bits) const {
  const PackedColumns<T>& right = layout_->right;
  const double power = right.metric == Metric::l2 ? 2 : right.metric == Metric::lp ? right.p : 1;
  std::vector<double> radii(right.words * kStrip, 0.0);
  std::copy(right_radius, right_radius + right.count, radii.begin());
  double largest = 0;
  for (std::size_t j = 0; j < right.count; ++j) largest = std::max(largest, radii[j]);
  double largest_left = 0;
  for (std::size_t i = 0; i < left.rows; ++i) largest_left = std::max(largest_left, left_radius[i]);
  const double top = std::pow(largest + largest_left, power) * (1 + slack);
  return BlockSweep<T>(right).sweep(
      left, BlockSweep<T>::abandon_limit(top, rounding), threads,
      [&](std::size_t row, std::size_t word, const Key<T>* keys, const double* scale, bool alive, auto& scratch) {
        std::uint64_t& target = bits[row * right.words + word];
        target = 0;
        if (!alive) return;
        double room[kStrip];
        const double* values = BlockSweep<T>::as_doubles(keys, room);
        const StripOutcome outcome =
            right.kernels->at_most_radii(values, scale ? scale : values, rounding.relative, rounding.absolute,
                                         left_radius[row], radii.data() + word * kStrip, power, slack);
        target = outcome.within & right.valid(word);
        BlockSweep<T>::report(row, word, outcome.undecided & right.valid(word), scratch.undecided);
      });
}

template <class T>
UndecidedPairs Strips<T>::levels_bracket(MatrixView<T> left, Rounding rounding, const Bracket* thresholds,
                                         std::size_t n_thresholds, int threads, std::uint8_t* levels) const {
  if (n_thresholds == 0 || n_thresholds > 255) throw std::invalid_argument("1 to 255 thresholds");
  const PackedColumns<T>& right = layout_->right;
  return BlockSweep<T>(right).sweep(
      left, BlockSweep<T>::abandon_limit(thresholds[n_thresholds - 1].upper, rounding), threads,
      [&](std::size_t row, std::size_t word, const Key<T>* keys, const double* scale, bool alive, auto& scratch) {
        std::uint8_t* target = levels + row * right.count + word * kStrip;
        const std::size_t used = std::min(kStrip, right.count - word * kStrip);
        if (!alive) {
          std::memset(target, static_cast<int>(n_thresholds), used);
          return;
        }
        double room[kStrip];
        const double* values = BlockSweep<T>::as_doubles(keys, room);
        const double* scales = scale ? scale : values;
        for (std::size_t c = 0; c < used; ++c) {
          const double margin = rounding.relative * scales[c] + rounding.absolute;
          const double low = values[c] - margin;
          const double high = values[c] + margin;
          std::size_t first = 0;  // thresholds surely below the key; a NaN is below none of them surely
          while (first < n_thresholds && low > thresholds[first].upper) ++first;
          target[c] = static_cast<std::uint8_t>(first);
          if (first < n_thresholds && !(high <= thresholds[first].lower)) {
            scratch.undecided.emplace_back(static_cast<std::uint32_t>(row),
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
                  Isa isa, std::uint64_t* bits) {
  for (std::size_t begin = 0; begin < right.rows; begin += kPieceColumns) {
    const auto piece = right.part(begin, std::min(right.rows, begin + kPieceColumns));
    const Strips<std::uint8_t> strips(Metric::l2, 2, piece, nullptr, isa);
    strips.within(left, limit, threads, bits + begin / kStrip, words_for(right.rows));
  }
}

}  // namespace lossfloor
