#include "lossfloor/filter.hpp"

#include <algorithm>
#include <stdexcept>
#include <type_traits>

#include "lossfloor/parallel.hpp"

namespace lossfloor {
namespace {

constexpr std::size_t kPanel = 16;      // columns a panel of the product kernel
constexpr std::size_t kBlockRows = 48;   // rows compared with a strip before its open pairs are decided
constexpr std::size_t kGroupBytes = 320 << 10;  // features of a group of blocks: they stay in the second-level cache

template <class T>
std::int32_t square_of(const T* row, std::size_t features) {
  std::int32_t sum = 0;
  for (std::size_t k = 0; k < features; ++k) sum += static_cast<std::int32_t>(row[k]) * static_cast<std::int32_t>(row[k]);
  return sum;
}

}  // namespace

template <class T>
void project(MatrixView<T> rows, const double* centre, double scale, MatrixView<float> basis, int threads,
             float* coordinates, double* squares, bool portable) {
  const Kernels& kernel = kernels(portable);
  const std::size_t d = rows.columns;
  const std::size_t k = basis.columns;
  const std::size_t panels = (k + kPanel - 1) / kPanel;
  if (basis.rows != d) throw std::invalid_argument("the basis must have a row for each feature");
  if (panels * kPanel > kStrip) throw std::invalid_argument("at most 64 dimensions");
  std::vector<float> columns(panels * kPanel * d, 0.0f);
  for (std::size_t e = 0; e < d; ++e) {
    for (std::size_t c = 0; c < k; ++c) columns[(c / kPanel * d + e) * kPanel + c % kPanel] = basis.row(e)[c];
  }
  const std::size_t tiles = (rows.rows + kTile - 1) / kTile;
  const std::size_t tiles_at_once = 8;
  in_parallel((tiles + tiles_at_once - 1) / tiles_at_once, threads, [&](std::size_t, std::size_t block) {
    std::vector<float> tile(kTile * d);
    std::vector<float> products(kTile * kStrip);
    for (std::size_t t = block * tiles_at_once; t < std::min(tiles, (block + 1) * tiles_at_once); ++t) {
      std::fill(tile.begin(), tile.end(), 0.0f);
      std::fill(products.begin(), products.end(), 0.0f);
      const std::size_t end = std::min(rows.rows, (t + 1) * kTile);
      for (std::size_t i = t * kTile; i < end; ++i) {
        const T* row = rows.row(i);
        float* lane = tile.data() + i % kTile;
        if constexpr (std::is_same_v<T, std::int16_t>) {
          for (std::size_t e = 0; e < d; ++e) lane[e * kTile] = static_cast<float>(row[e]);
          squares[i] = square_of(row, d);
        } else {
          double sums[8] = {};
          for (std::size_t e = 0; e < d; ++e) {
            const auto value = static_cast<float>(scale * static_cast<double>(row[e]) - centre[e]);
            lane[e * kTile] = value;
            sums[e % 8] += static_cast<double>(value) * static_cast<double>(value);
          }
          squares[i] = ((sums[0] + sums[4]) + (sums[1] + sums[5])) + ((sums[2] + sums[6]) + (sums[3] + sums[7]));
        }
      }
      for (std::size_t panel = 0; panel < panels; ++panel) {
        kernel.dot_f32(tile.data(), columns.data() + panel * d * kPanel, d, products.data() + panel * kPanel);
      }
      for (std::size_t i = t * kTile; i < end; ++i) {
        const float* row = products.data() + i % kTile * kStrip;
        std::copy(row, row + k, coordinates + i * k);
      }
    }
  });
}

template void project<std::int16_t>(MatrixView<std::int16_t>, const double*, double, MatrixView<float>, int, float*,
                                    double*, bool);
template void project<float>(MatrixView<float>, const double*, double, MatrixView<float>, int, float*, double*, bool);
template void project<double>(MatrixView<double>, const double*, double, MatrixView<float>, int, float*, double*,
                              bool);

template <class T>
FilteredStrips<T>::FilteredStrips(MatrixView<T> right, Projection projection, bool portable)
    : right_(right), right_projection_(projection), kernels_(&kernels(portable)), words_(words_for(right.rows)),
      packed_(words_ * kStrip * projection.coordinates.columns, 0.0f), offset_(words_ * kStrip, 0.0f),
      rest_(words_ * kStrip, 0.0f) {
  const std::size_t k = projection.coordinates.columns;
  for (std::size_t j = 0; j < right.rows; ++j) {
    float* panel = packed_.data() + j / kPanel * kPanel * k;
    const float* row = projection.coordinates.row(j);
    for (std::size_t e = 0; e < k; ++e) panel[e * kPanel + j % kPanel] = row[e];
  }
  std::copy(projection.offset, projection.offset + right.rows, offset_.begin());
  std::copy(projection.rest, projection.rest + right.rows, rest_.begin());
  if constexpr (std::is_same_v<T, std::int16_t>) {
    squares_.resize(right.rows);
    for (std::size_t j = 0; j < right.rows; ++j) squares_[j] = square_of(right.row(j), right.columns);
  }
}

template <class T>
template <class Decide>
DoubtfulPairs FilteredStrips<T>::sweep(MatrixView<T> left, Projection projection, float tolerance, int threads,
                                       std::uint64_t* bits, std::size_t* open, const Decide& decide) const {
  const std::size_t k = dimensions();
  if (left.columns != features() || projection.coordinates.columns != k) {
    throw std::invalid_argument("left and right differ in their features");
  }
  struct Scratch {
    std::vector<float> rows;          // packed coordinates of a group
    std::vector<float> offset, rest;  // padded to whole tiles
    std::uint64_t within[kBlockRows];
    std::uint64_t doubtful_bits[kBlockRows];
    DoubtfulPairs doubtful;
    std::size_t open = 0;
  };
  std::vector<Scratch> scratch(static_cast<std::size_t>(std::max(threads, 1)));
  // Few rows are dealt out block by block, so that every thread has some.
  const std::size_t per_thread = left.rows / (4 * static_cast<std::size_t>(std::max(threads, 1)) * kBlockRows);
  const std::size_t cached = kGroupBytes / (kBlockRows * left.columns * sizeof(T));
  const std::size_t group_rows = kBlockRows * std::max<std::size_t>(1, std::min(per_thread, cached));
  in_parallel((left.rows + group_rows - 1) / group_rows, threads, [&](std::size_t worker, std::size_t group) {
    Scratch& own = scratch[worker];
    const std::size_t group_begin = group * group_rows;
    const std::size_t group_end = std::min(left.rows, group_begin + group_rows);
    own.rows.assign(group_rows * k, 0.0f);
    own.offset.assign(group_rows, 0.0f);
    own.rest.assign(group_rows, 0.0f);
    std::copy(projection.offset + group_begin, projection.offset + group_end, own.offset.begin());
    std::copy(projection.rest + group_begin, projection.rest + group_end, own.rest.begin());
    for (std::size_t i = group_begin; i < group_end; ++i) {
      float* tile = own.rows.data() + (i - group_begin) / kTile * kTile * k;
      const float* row = projection.coordinates.row(i);
      for (std::size_t e = 0; e < k; ++e) tile[e * kTile + (i - group_begin) % kTile] = row[e];
    }
    for (std::size_t word = 0; word < words_; ++word) {
      const std::size_t used = std::min(kStrip, right_.rows - word * kStrip);
      const std::uint64_t valid = used == kStrip ? ~std::uint64_t{0} : (std::uint64_t{1} << used) - 1;
      for (std::size_t begin = group_begin; begin < group_end; begin += kBlockRows) {
        const std::size_t end = std::min(group_end, begin + kBlockRows);
        std::fill_n(own.within, kBlockRows, 0);
        std::fill_n(own.doubtful_bits, kBlockRows, 0);
        for (std::size_t panel = 0; panel < kStrip / kPanel; ++panel) {
          const std::size_t column = word * kStrip + panel * kPanel;
          for (std::size_t tile = begin; tile < end; tile += kTile) {
            const std::size_t place = tile - group_begin;
            kernels_->filter_f32(own.rows.data() + place * k, packed_.data() + column * k, k,
                                 {own.offset.data() + place, own.rest.data() + place, tolerance},
                                 {offset_.data() + column, rest_.data() + column},
                                 static_cast<unsigned>(panel * kPanel), own.within + (tile - begin),
                                 own.doubtful_bits + (tile - begin));
          }
        }
        for (std::size_t i = begin; i < end; ++i) {
          const std::uint64_t undecided = own.doubtful_bits[i - begin] & valid;
          own.open += static_cast<std::size_t>(__builtin_popcountll(undecided));
          bits[i * words_ + word] =
              (own.within[i - begin] & valid) | (undecided == 0 ? 0 : decide(i, word, undecided, own.doubtful));
        }
      }
    }
  });
  DoubtfulPairs all;
  *open = 0;
  for (auto& part : scratch) {
    all.insert(all.end(), part.doubtful.begin(), part.doubtful.end());
    *open += part.open;
  }
  std::sort(all.begin(), all.end());
  return all;
}

template <class T>
std::size_t FilteredStrips<T>::within(MatrixView<T> left, Projection projection, float tolerance, std::int64_t limit,
                                      int threads, std::uint64_t* bits) const {
  std::size_t open = 0;
  if constexpr (std::is_same_v<T, std::int16_t>) {
    sweep(left, projection, tolerance, threads, bits, &open,
          [&](std::size_t i, std::size_t word, std::uint64_t undecided, DoubtfulPairs&) {
            const std::int16_t* row = left.row(i);
            const std::int64_t own = square_of(row, left.columns);
            std::uint64_t found = 0;
            while (undecided != 0) {
              std::size_t column[4];
              const std::int16_t* rights[4];
              std::size_t count = 0;
              for (; undecided != 0 && count < 4; undecided &= undecided - 1, ++count) {
                column[count] = static_cast<std::size_t>(__builtin_ctzll(undecided));
                rights[count] = right_.row(word * kStrip + column[count]);
              }
              std::int32_t products[4];
              kernels_->products_i16(row, rights, count, left.columns, products);
              for (std::size_t e = 0; e < count; ++e) {
                const std::int64_t key = own + squares_[word * kStrip + column[e]] - 2 * std::int64_t{products[e]};
                found |= std::uint64_t{key <= limit} << column[e];
              }
            }
            return found;
          });
  } else {
    throw std::invalid_argument("floating-point examples have no exact keys");
  }
  return open;
}

// A sum of squares in single precision is right up to relative * key + absolute, as long as it is far from overflow.
struct NearBound {
  double relative;
  double absolute;
};

NearBound near_bound(std::size_t features) {
  const double roundings = static_cast<double>(features + 4) * 0x1p-24;
  return {roundings < 0.5 ? 1.01 * roundings / (1 - roundings) : 2.0, static_cast<double>(features) * 0x1p-140};
}

// Compares the key of each undecided pair with a bracket that depends on the pair.
template <class T, class Threshold>
static std::uint64_t decide_near(const Kernels& kernels, const T* row, MatrixView<T> right, std::size_t i,
                                 std::size_t word, std::uint64_t undecided, double relative, DoubtfulPairs& doubtful,
                                 const Threshold& threshold) {
  std::uint64_t found = 0;
  [[maybe_unused]] const NearBound near_limits = near_bound(right.columns);
  for (; undecided != 0; undecided &= undecided - 1) {
    const auto c = static_cast<std::size_t>(__builtin_ctzll(undecided));
    const std::size_t j = word * kStrip + c;
    const Bracket bound = threshold(j);
    double key;
    if constexpr (std::is_same_v<T, std::int16_t>) {
      const std::int16_t* other = right.row(j);
      std::int32_t product;
      kernels.products_i16(row, &other, 1, right.columns, &product);
      key = static_cast<double>(std::int64_t{square_of(row, right.columns)} + square_of(other, right.columns) -
                                2 * std::int64_t{product});
    } else if constexpr (std::is_same_v<T, float>) {
      const double near = kernels.square_near_f32(row, right.row(j), right.columns);
      if (near < 1e37) {
        const double margin = near_limits.relative * near + near_limits.absolute;
        if (near + margin <= bound.lower) {
          found |= std::uint64_t{1} << c;
          continue;
        }
        if (near - margin > bound.upper) continue;
      }
      key = kernels.square_f32(row, right.row(j), right.columns);
    } else {
      key = kernels.square_f64(row, right.row(j), right.columns);
    }
    if (key * (1 + relative) <= bound.lower) {
      found |= std::uint64_t{1} << c;
    } else if (!(key * (1 - relative) > bound.upper)) {
      doubtful.emplace_back(static_cast<std::uint32_t>(i), static_cast<std::uint32_t>(j));
    }
  }
  return found;
}

template <class T>
DoubtfulPairs FilteredStrips<T>::within_bracket(MatrixView<T> left, Projection projection, float tolerance,
                                                double relative, Bracket threshold, int threads, std::uint64_t* bits,
                                                std::size_t* open) const {
  return sweep(left, projection, tolerance, threads, bits, open,
               [&](std::size_t i, std::size_t word, std::uint64_t undecided, DoubtfulPairs& doubtful) {
                 return decide_near(*kernels_, left.row(i), right_, i, word, undecided, relative, doubtful,
                                    [&](std::size_t) { return threshold; });
               });
}

template <class T>
DoubtfulPairs FilteredStrips<T>::within_radii(MatrixView<T> left, Projection projection, float tolerance,
                                              double relative, const double* left_radius, const double* right_radius,
                                              double slack, int threads, std::uint64_t* bits,
                                              std::size_t* open) const {
  return sweep(left, projection, tolerance, threads, bits, open,
               [&](std::size_t i, std::size_t word, std::uint64_t undecided, DoubtfulPairs& doubtful) {
                 return decide_near(*kernels_, left.row(i), right_, i, word, undecided, relative, doubtful,
                                    [&](std::size_t j) {
                                      const double radius = left_radius[i] + right_radius[j];
                                      return Bracket{radius * radius * (1 - slack), radius * radius * (1 + slack)};
                                    });
               });
}

template class FilteredStrips<std::int16_t>;
template class FilteredStrips<float>;
template class FilteredStrips<double>;

}  // namespace lossfloor
