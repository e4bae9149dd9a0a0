#include "lossfloor/pairs/linf_bytes.hpp"

#include <algorithm>
#include <stdexcept>

#include "lossfloor/parallel.hpp"

namespace lossfloor {
namespace {

constexpr std::size_t kFront = 16;  // telling features that all pairs are compared in
constexpr std::size_t kMore = 48;   // and those of a strip in which more than a few pairs are left
constexpr int kFew = 3;
constexpr std::size_t kSampleRows = 64;  // left examples of the sample
constexpr std::size_t kSampleWords = 2;  // right ones, by strips
constexpr std::size_t kRowsAtOnce = 192;

// The i-th of `count` evenly spaced rows.
std::size_t spaced(std::size_t i, std::size_t count, std::size_t rows) { return i * rows / count; }

// [feature][word]: the pairs of the sample that this feature leaves within the limit.
std::vector<std::uint64_t> sampled(MatrixView<std::uint8_t> left, MatrixView<std::uint8_t> right, std::uint8_t limit,
                                   const Kernels& kernel) {
  const std::size_t rows = std::min(kSampleRows, left.rows);
  const std::size_t words = rows * kSampleWords;
  const std::size_t columns = kSampleWords * kStrip;
  std::vector<std::uint64_t> near(left.columns * words);
  std::vector<std::uint8_t> strip(columns);
  for (std::size_t k = 0; k < left.columns; ++k) {
    for (std::size_t j = 0; j < columns; ++j) strip[j] = right.row(spaced(j, columns, right.rows))[k];
    for (std::size_t i = 0; i < rows; ++i) {
      const std::uint8_t* a = left.row(spaced(i, rows, left.rows)) + k;
      for (std::size_t w = 0; w < kSampleWords; ++w) {
        kernel.linf_within_u8(a, 1, strip.data() + w * kStrip, 1, limit, &near[k * words + i * kSampleWords + w]);
      }
    }
  }
  return near;
}

}  // namespace

std::vector<std::size_t> telling_features(MatrixView<std::uint8_t> left, MatrixView<std::uint8_t> right,
                                          std::uint8_t limit, std::size_t count, Isa isa) {
  const Kernels& kernel = kernels(isa);
  const std::size_t words = std::min(kSampleRows, left.rows) * kSampleWords;
  const std::vector<std::uint64_t> near = sampled(left, right, limit, kernel);
  std::vector<std::size_t> chosen;
  std::vector<char> is_chosen(left.columns, 0);
  std::vector<std::uint64_t> alive(words, ~std::uint64_t{0});
  const auto pairs = static_cast<std::int64_t>(words * kStrip);
  std::int64_t left_over = pairs;
  count = std::min(count, left.columns);
  while (chosen.size() < count) {
    std::size_t best = left.columns;
    for (std::size_t k = 0; k < left.columns; ++k) {
      if (is_chosen[k]) continue;
      const std::int64_t after = kernel.count_common_bits(alive.data(), near.data() + k * words, words);
      if (best == left.columns || after < left_over) {
        left_over = after;
        best = k;
      }
    }
    chosen.push_back(best);
    is_chosen[best] = 1;
    for (std::size_t w = 0; w < words; ++w) alive[w] &= near[best * words + w];
    // Few pairs say little about the others: choose for the whole sample again.
    if (left_over < pairs / 256) {
      std::fill(alive.begin(), alive.end(), ~std::uint64_t{0});
      left_over = pairs;
    }
  }
  return chosen;
}

namespace {

// The telling features of every right example, [strip][feature][column].
std::vector<std::uint8_t> telling_strips(MatrixView<std::uint8_t> right, const std::vector<std::size_t>& telling,
                                         int threads) {
  const std::size_t words = words_for(right.rows);
  std::vector<std::uint8_t> strips(words * kStrip * telling.size(), 0);
  in_parallel(words, threads, [&](std::size_t, std::size_t word) {
    for (std::size_t j = word * kStrip; j < std::min(right.rows, (word + 1) * kStrip); ++j) {
      std::uint8_t* column = strips.data() + word * kStrip * telling.size() + j % kStrip;
      for (std::size_t k = 0; k < telling.size(); ++k) column[k * kStrip] = right.row(j)[telling[k]];
    }
  });
  return strips;
}

}  // namespace

void linf_bytes_within(MatrixView<std::uint8_t> left, MatrixView<std::uint8_t> right, std::uint8_t limit, int threads,
                       Isa isa, std::uint64_t* bits) {
  if (left.columns != right.columns) throw std::invalid_argument("left and right differ in their features");
  const Kernels& kernel = kernels(isa);
  const std::size_t words = words_for(right.rows);
  const std::vector<std::size_t> telling = telling_features(left, right, limit, kFront + kMore, isa);
  const std::size_t front = std::min(kFront, telling.size());
  const std::size_t more = telling.size() - front;
  const std::vector<std::uint8_t> strips = telling_strips(right, telling, threads);
  in_parallel((left.rows + kRowsAtOnce - 1) / kRowsAtOnce, threads, [&](std::size_t, std::size_t block) {
    const std::size_t begin = block * kRowsAtOnce;
    const std::size_t end = std::min(left.rows, begin + kRowsAtOnce);
    std::vector<std::uint8_t> fronts(kRowsAtOnce * front);
    std::vector<std::uint8_t> rests(kRowsAtOnce * more);
    for (std::size_t i = begin; i < end; ++i) {
      for (std::size_t k = 0; k < front; ++k) fronts[(i - begin) * front + k] = left.row(i)[telling[k]];
      for (std::size_t k = 0; k < more; ++k) rests[(i - begin) * more + k] = left.row(i)[telling[front + k]];
    }
    std::uint64_t opens[kRowsAtOnce];
    for (std::size_t word = 0; word < words; ++word) {
      const std::uint8_t* strip = strips.data() + word * kStrip * telling.size();
      const std::size_t used = std::min(kStrip, right.rows - word * kStrip);
      const std::uint64_t valid = used == kStrip ? ~std::uint64_t{0} : (std::uint64_t{1} << used) - 1;
      kernel.linf_within_u8(fronts.data(), end - begin, strip, front, limit, opens);
      for (std::size_t i = begin; i < end; ++i) {
        std::uint64_t open = valid & opens[i - begin];
        if (__builtin_popcountll(open) > kFew) {
          std::uint64_t near;
          kernel.linf_within_u8(rests.data() + (i - begin) * more, 1, strip + front * kStrip, more, limit, &near);
          open &= near;
        }
        std::uint64_t within = 0;
        for (; open != 0; open &= open - 1) {
          const auto c = static_cast<std::size_t>(__builtin_ctzll(open));
          const bool near = kernel.linf_pair_u8(left.row(i), right.row(word * kStrip + c), left.columns, limit);
          within |= std::uint64_t{near} << c;
        }
        bits[i * words + word] = within;
      }
    }
  });
}

}  // namespace lossfloor
