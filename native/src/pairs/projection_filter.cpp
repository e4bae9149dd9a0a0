#include "lossfloor/pairs/projection_filter.hpp"

#include <algorithm>
#include <stdexcept>
#include <type_traits>

#include "decide_pair.hpp"
#include "lossfloor/parallel.hpp"

namespace lossfloor {
namespace {

constexpr std::size_t kBlockRows = 48;          // rows compared with a strip before its open pairs are decided
constexpr std::size_t kGroupBytes = 320 << 10;  // features of a group of blocks: they stay in the second-level cache
constexpr std::size_t kKept = 16;               // coordinates between two sums of their squares

template <class T>
constexpr bool kWhole = std::is_integral_v<T>;

template <class T>
std::int32_t square_of(const T* row, std::size_t features) {
  std::int32_t sum = 0;
  for (std::size_t k = 0; k < features; ++k)
    sum += static_cast<std::int32_t>(row[k]) * static_cast<std::int32_t>(row[k]);
  return sum;
}

// Rows of one type against rows of the same type: squared distances of whole numbers are exact.
std::int32_t offset_of(const Kernels& kernels, const std::uint8_t* row, std::size_t features) {
  return byte_offset(kernels, row, features);
}
std::int32_t offset_of(const Kernels&, const std::int16_t* row, std::size_t features) {
  return square_of(row, features);
}
std::int32_t whole_square(const Kernels& kernels, const std::uint8_t* row, std::size_t features) {
  std::int32_t sum, square;
  kernels.sums_u8(row, features, &sum, &square);
  return square;
}
std::int32_t whole_square(const Kernels&, const std::int16_t* row, std::size_t features) {
  return square_of(row, features);
}
void multiply(const Kernels& kernels, const std::uint8_t* left, const std::uint8_t* const* rights, std::size_t count,
              std::size_t features, std::int32_t* out) {
  kernels.products_u8(left, rights, count, features, out);
}
void multiply(const Kernels& kernels, const std::int16_t* left, const std::int16_t* const* rights, std::size_t count,
              std::size_t features, std::int32_t* out) {
  kernels.products_i16(left, rights, count, features, out);
}

// Rows as the kernels multiply them: shifted to the centre, in single precision.
template <class T>
class Centring {
 public:
  Centring(const Kernels& kernels, const double* centre, double scale, std::size_t features)
      : kernels_(kernels), centre_(centre), scale_(scale), features_(features) {
    if constexpr (std::is_same_v<T, std::uint8_t>) {
      if (kernels.centre_u8 == nullptr) throw std::invalid_argument("uint8 goes by int16 on this processor");
      whole_.resize(features);
      for (std::size_t e = 0; e < features; ++e) whole_[e] = static_cast<std::int16_t>(centre[e]);
    }
  }

  // Writes the centred row to `copy`; returns its squared length.
  double operator()(const T* row, float* copy) const {
    if constexpr (std::is_same_v<T, std::uint8_t>) {
      return kernels_.centre_u8(row, whole_.data(), features_, copy);
    } else if constexpr (std::is_same_v<T, std::int16_t>) {
      for (std::size_t e = 0; e < features_; ++e) copy[e] = static_cast<float>(row[e]);
      return square_of(row, features_);
    } else {
      double parts[8] = {};
      for (std::size_t e = 0; e < features_; ++e) {
        const auto value = static_cast<float>(scale_ * static_cast<double>(row[e]) - centre_[e]);
        copy[e] = value;
        parts[e % 8] += static_cast<double>(value) * static_cast<double>(value);
      }
      return ((parts[0] + parts[4]) + (parts[1] + parts[5])) + ((parts[2] + parts[6]) + (parts[3] + parts[7]));
    }
  }

 private:
  const Kernels& kernels_;
  const double* centre_;
  double scale_;
  std::size_t features_;
  std::vector<std::int16_t> whole_;
};

// Sums of the squares of the first 16, 32, ... and of all coordinates.
void sum_squares(const float* coordinates, std::size_t count, double* kept) {
  double sum = 0;
  for (std::size_t c = 0; c < count; ++c) {
    sum += static_cast<double>(coordinates[c]) * static_cast<double>(coordinates[c]);
    if ((c + 1) % kKept == 0 || c + 1 == count) kept[c / kKept] = sum;
  }
}

// The columns of the basis, a panel behind the other.
std::vector<float> packed_basis(MatrixView<float> basis, std::size_t width) {
  const std::size_t d = basis.rows, k = basis.columns;
  std::vector<float> columns((k + width - 1) / width * width * d, 0.0f);
  for (std::size_t e = 0; e < d; ++e) {
    for (std::size_t c = 0; c < k; ++c) columns[(c / width * d + e) * width + c % width] = basis.row(e)[c];
  }
  return columns;
}

}  // namespace

template <class T>
void project(MatrixView<T> rows, const double* centre, double scale, MatrixView<float> basis, int threads,
             float* coordinates, double* squares, double* kept, Isa isa) {
  const Kernels& kernel = kernels(isa);
  const std::size_t d = rows.columns;
  const std::size_t k = basis.columns;
  const std::size_t width = kernel.panel;
  if (basis.rows != d) throw std::invalid_argument("the basis must have a row for each feature");
  if (k > kStrip) throw std::invalid_argument("at most 64 dimensions");
  const std::vector<float> columns = packed_basis(basis, width);
  const std::size_t panels = columns.size() / (width * d);
  const Centring<T> centred_row(kernel, centre, scale, d);
  const std::size_t sums = kept_sums(k);
  const std::size_t tiles = (rows.rows + kTile - 1) / kTile;
  const std::size_t tiles_at_once = 8;
  in_parallel((tiles + tiles_at_once - 1) / tiles_at_once, threads, [&](std::size_t, std::size_t block) {
    std::vector<float> tile(kTile * d);
    std::vector<float> products(kTile * kStrip);
    for (std::size_t t = block * tiles_at_once; t < std::min(tiles, (block + 1) * tiles_at_once); ++t) {
      std::fill(products.begin(), products.end(), 0.0f);
      const std::size_t end = std::min(rows.rows, (t + 1) * kTile);
      for (std::size_t i = t * kTile; i < end; ++i) squares[i] = centred_row(rows.row(i), tile.data() + i % kTile * d);
      for (std::size_t panel = 0; panel < panels; ++panel) {
        kernel.dot_f32(tile.data(), d, columns.data() + panel * d * width, d, products.data() + panel * width);
      }
      for (std::size_t i = t * kTile; i < end; ++i) {
        const float* row = products.data() + i % kTile * kStrip;
        std::copy(row, row + k, coordinates + i * k);
        sum_squares(row, k, kept + i * sums);
      }
    }
  });
}

template void project<std::uint8_t>(MatrixView<std::uint8_t>, const double*, double, MatrixView<float>, int, float*,
                                    double*, double*, Isa);
template void project<std::int16_t>(MatrixView<std::int16_t>, const double*, double, MatrixView<float>, int, float*,
                                    double*, double*, Isa);
template void project<float>(MatrixView<float>, const double*, double, MatrixView<float>, int, float*, double*, double*,
                             Isa);
template void project<double>(MatrixView<double>, const double*, double, MatrixView<float>, int, float*, double*,
                              double*, Isa);

template <class T>
FilteredStrips<T>::FilteredStrips(MatrixView<T> right, Projection projection, Isa isa)
    : right_(right), dimensions_(projection.dimensions), kernels_(&kernels(isa)), words_(words_for(right.rows)),
      packed_(words_ * kStrip * dimensions_, 0.0f), offset_(words_ * kStrip, 0.0f), rest_(words_ * kStrip, 0.0f) {
  if (std::is_same_v<T, std::uint8_t> && kernels_->products_u8 == nullptr) {
    throw std::invalid_argument("uint8 goes by int16 on this processor");
  }
  const std::size_t width = kernels_->panel;
  for (std::size_t j = 0; j < right.rows; ++j) {
    float* panel = packed_.data() + j / width * width * dimensions_ + j % width;
    const float* row = projection.coordinates.row(j);
    for (std::size_t e = 0; e < dimensions_; ++e) panel[e * width] = row[e];
  }
  std::copy(projection.offset, projection.offset + right.rows, offset_.begin());
  std::copy(projection.rest, projection.rest + right.rows, rest_.begin());
  if constexpr (kWhole<T>) {
    squares_.resize(right.rows);
    for (std::size_t j = 0; j < right.rows; ++j) squares_[j] = offset_of(*kernels_, right.row(j), right.columns);
  }
}

// What a thread holds: a group of left rows, and the bits of a block of them against one strip.
template <class T>
struct FilteredStrips<T>::Scratch {
  std::vector<float> coordinates;     // of the group, padded to whole tiles
  std::vector<float> offset, rest;    // the same
  std::vector<T> bytes;               // uint8: the group less 128
  std::vector<std::int32_t> squares;  // whole numbers: of the group
  std::uint64_t within[kBlockRows];
  std::uint64_t open_bits[kBlockRows];
  UndecidedPairs undecided;
  std::size_t open = 0;

  void load(const Kernels& kernels, MatrixView<T> left, const Projection& projection, std::size_t dimensions,
            std::size_t begin, std::size_t end, std::size_t room) {
    coordinates.assign(room * dimensions, 0.0f);
    offset.assign(room, 0.0f);
    rest.assign(room, 0.0f);
    std::copy(projection.offset + begin, projection.offset + end, offset.begin());
    std::copy(projection.rest + begin, projection.rest + end, rest.begin());
    for (std::size_t i = begin; i < end; ++i) {
      const float* row = projection.coordinates.row(i);
      std::copy(row, row + dimensions, coordinates.data() + (i - begin) * dimensions);
    }
    if constexpr (kWhole<T>) {
      squares.resize(room);
      for (std::size_t i = begin; i < end; ++i) squares[i - begin] = whole_square(kernels, left.row(i), left.columns);
    }
    if constexpr (std::is_same_v<T, std::uint8_t>) {
      bytes.resize(room * left.columns);
      const std::uint8_t* row = left.row(begin);
      const std::size_t count = (end - begin) * left.columns;
      for (std::size_t e = 0; e < count; ++e) bytes[e] = static_cast<std::uint8_t>(row[e] ^ 0x80);
    }
  }

  // The row of the group as products read it.
  const T* factors(MatrixView<T> left, std::size_t i, std::size_t group_begin) const {
    if constexpr (std::is_same_v<T, std::uint8_t>) {
      return bytes.data() + (i - group_begin) * left.columns;
    } else {
      return left.row(i);
    }
  }
};

// Fills own.within and own.open_bits for the block of rows [begin, end) of a group and one strip.
template <class T>
void FilteredStrips<T>::filter(std::size_t group_begin, std::size_t begin, std::size_t end, std::size_t word,
                               float tolerance, Scratch& own) const {
  const std::size_t k = dimensions_;
  const std::size_t width = kernels_->panel;
  std::fill_n(own.within, kBlockRows, 0);
  std::fill_n(own.open_bits, kBlockRows, 0);
  for (std::size_t panel = 0; panel < kStrip / width; ++panel) {
    const std::size_t column = word * kStrip + panel * width;
    for (std::size_t tile = begin; tile < end; tile += kTile) {
      const std::size_t place = tile - group_begin;
      kernels_->filter_f32(own.coordinates.data() + place * k, k, packed_.data() + column * k, k,
                           {own.offset.data() + place, own.rest.data() + place, tolerance},
                           {offset_.data() + column, rest_.data() + column}, static_cast<unsigned>(panel * width),
                           own.within + (tile - begin), own.open_bits + (tile - begin));
    }
  }
}

template <class T>
std::size_t FilteredStrips<T>::group_rows(MatrixView<T> left, int threads) const {
  // Few rows are dealt out block by block, so that every thread has some.
  const std::size_t per_thread = left.rows / (4 * static_cast<std::size_t>(std::max(threads, 1)) * kBlockRows);
  const std::size_t cached = kGroupBytes / (kBlockRows * left.columns * sizeof(T));
  return kBlockRows * std::max<std::size_t>(1, std::min(per_thread, cached));
}

template <class T>
template <class Decide>
UndecidedPairs FilteredStrips<T>::sweep(MatrixView<T> left, Projection projection, float tolerance, int threads,
                                        std::uint64_t* bits, std::size_t* open, const Decide& decide) const {
  if (left.columns != features() || projection.dimensions != dimensions_) {
    throw std::invalid_argument("left and right differ in their features");
  }
  std::vector<Scratch> scratch(static_cast<std::size_t>(std::max(threads, 1)));
  const std::size_t step = group_rows(left, threads);
  in_parallel((left.rows + step - 1) / step, threads, [&](std::size_t worker, std::size_t group) {
    Scratch& own = scratch[worker];
    const std::size_t group_begin = group * step;
    const std::size_t group_end = std::min(left.rows, group_begin + step);
    own.load(*kernels_, left, projection, dimensions_, group_begin, group_end, step);
    for (std::size_t word = 0; word < words_; ++word) {
      const std::size_t used = std::min(kStrip, right_.rows - word * kStrip);
      const std::uint64_t valid = used == kStrip ? ~std::uint64_t{0} : (std::uint64_t{1} << used) - 1;
      for (std::size_t begin = group_begin; begin < group_end; begin += kBlockRows) {
        const std::size_t end = std::min(group_end, begin + kBlockRows);
        filter(group_begin, begin, end, word, tolerance, own);
        for (std::size_t i = begin; i < end; ++i) {
          const std::uint64_t left_open = own.open_bits[i - begin] & valid;
          own.open += static_cast<std::size_t>(__builtin_popcountll(left_open));
          bits[i * words_ + word] =
              (own.within[i - begin] & valid) | (left_open == 0 ? 0 : decide(i, group_begin, word, left_open, own));
        }
      }
    }
  });
  UndecidedPairs all;
  *open = 0;
  for (auto& part : scratch) {
    all.insert(all.end(), part.undecided.begin(), part.undecided.end());
    *open += part.open;
  }
  std::sort(all.begin(), all.end());
  return all;
}

template <class T>
std::size_t FilteredStrips<T>::within(MatrixView<T> left, Projection projection, float tolerance, std::int64_t limit,
                                      int threads, std::uint64_t* bits) const {
  std::size_t open = 0;
  if constexpr (kWhole<T>) {
    sweep(left, projection, tolerance, threads, bits, &open,
          [&](std::size_t i, std::size_t group_begin, std::size_t word, std::uint64_t open_bits, Scratch& own) {
            const T* row = own.factors(left, i, group_begin);
            const auto square = static_cast<std::uint32_t>(own.squares[i - group_begin]);
            std::uint64_t found = 0;
            while (open_bits != 0) {
              std::size_t column[4];
              const T* rights[4];
              std::size_t count = 0;
              for (; open_bits != 0 && count < 4; open_bits &= open_bits - 1, ++count) {
                column[count] = static_cast<std::size_t>(__builtin_ctzll(open_bits));
                rights[count] = right_.row(word * kStrip + column[count]);
              }
              std::int32_t products[4];
              multiply(*kernels_, row, rights, count, left.columns, products);
              for (std::size_t e = 0; e < count; ++e) {
                found |= std::uint64_t{key(square, word * kStrip + column[e], products[e]) <= limit} << column[e];
              }
            }
            return found;
          });
  } else {
    throw std::invalid_argument("floating-point examples have no exact keys");
  }
  return open;
}

template <class T>
template <class Threshold>
std::uint64_t FilteredStrips<T>::decide_near(MatrixView<T> left, std::size_t i, std::size_t group_begin,
                                             std::size_t word, std::uint64_t open_bits, double relative, Scratch& own,
                                             const Threshold& threshold) const {
  std::uint64_t found = 0;
  const T* row = own.factors(left, i, group_begin);
  const PairDecision<T> decision(*kernels_, right_.columns, relative);
  for (; open_bits != 0; open_bits &= open_bits - 1) {
    const auto c = static_cast<std::size_t>(__builtin_ctzll(open_bits));
    const std::size_t j = word * kStrip + c;
    const T* other = right_.row(j);
    const Bracket bound = threshold(j);
    Nearness verdict;
    if constexpr (kWhole<T>) {
      std::int32_t product;
      multiply(*kernels_, row, &other, 1, right_.columns, &product);
      verdict = decision.judged(key(static_cast<std::uint32_t>(own.squares[i - group_begin]), j, product), bound);
    } else {
      verdict = decision(row, other, bound);
    }
    if (verdict == Nearness::within) found |= std::uint64_t{1} << c;
    if (verdict == Nearness::open) {
      own.undecided.emplace_back(static_cast<std::uint32_t>(i), static_cast<std::uint32_t>(j));
    }
  }
  return found;
}

template <class T>
UndecidedPairs FilteredStrips<T>::within_bracket(MatrixView<T> left, Projection projection, float tolerance,
                                                 double relative, Bracket threshold, int threads, std::uint64_t* bits,
                                                 std::size_t* open) const {
  return sweep(left, projection, tolerance, threads, bits, open,
               [&](std::size_t i, std::size_t group_begin, std::size_t word, std::uint64_t open_bits, Scratch& own) {
                 return decide_near(left, i, group_begin, word, open_bits, relative, own,
                                    [&](std::size_t) { return threshold; });
               });
}

template <class T>
UndecidedPairs FilteredStrips<T>::within_radii(MatrixView<T> left, Projection projection, float tolerance,
                                               double relative, const double* left_radius, const double* right_radius,
                                               double slack, int threads, std::uint64_t* bits,
                                               std::size_t* open) const {
  return sweep(left, projection, tolerance, threads, bits, open,
               [&](std::size_t i, std::size_t group_begin, std::size_t word, std::uint64_t open_bits, Scratch& own) {
                 return decide_near(left, i, group_begin, word, open_bits, relative, own, [&](std::size_t j) {
                   const double radius = left_radius[i] + right_radius[j];
                   return Bracket{radius * radius * (1 - slack), radius * radius * (1 + slack)};
                 });
               });
}

template class FilteredStrips<std::uint8_t>;
template class FilteredStrips<std::int16_t>;
template class FilteredStrips<float>;
template class FilteredStrips<double>;

}  // namespace lossfloor
