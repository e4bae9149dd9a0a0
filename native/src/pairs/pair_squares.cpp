#include "lossfloor/pairs/pair_squares.hpp"

#include <algorithm>

#include "lossfloor/parallel.hpp"

namespace lossfloor {
namespace {

double square_of(const std::uint8_t* a, const std::uint8_t* b, std::size_t features) {
  // Sums of 1024 squares of bytes fit 32 bits, which the compiler adds eight at a time.
  constexpr std::size_t kBlock = 1024;
  std::int64_t sum = 0;
  for (std::size_t k = 0; k < features;) {
    const std::size_t end = std::min(features, k + kBlock);
    std::int32_t part = 0;
    for (; k < end; ++k) {
      const std::int32_t difference = static_cast<std::int32_t>(a[k]) - static_cast<std::int32_t>(b[k]);
      part += difference * difference;
    }
    sum += part;
  }
  return static_cast<double>(sum);
}

double square_of(const std::int16_t* a, const std::int16_t* b, std::size_t features) {
  std::int64_t sum = 0;
  for (std::size_t k = 0; k < features; ++k) {
    const std::int64_t difference = static_cast<std::int64_t>(a[k]) - static_cast<std::int64_t>(b[k]);
    sum += difference * difference;
  }
  return static_cast<double>(sum);
}

template <class T>
double square_of(const T* a, const T* b, std::size_t features) {
  double sum = 0;
  for (std::size_t k = 0; k < features; ++k) {
    const double difference = static_cast<double>(a[k]) - static_cast<double>(b[k]);
    sum += difference * difference;
  }
  return sum;
}

}  // namespace

template <class T>
void pair_squares(MatrixView<T> rows, const std::int64_t* offsets, const std::int32_t* targets, int threads,
                  double* squares) {
  in_parallel(rows.rows, threads, [&](std::size_t, std::size_t u) {
    for (std::int64_t e = offsets[u]; e < offsets[u + 1]; ++e) {
      squares[e] = square_of(rows.row(u), rows.row(static_cast<std::size_t>(targets[e])), rows.columns);
    }
  });
}

template void pair_squares(MatrixView<std::uint8_t>, const std::int64_t*, const std::int32_t*, int, double*);
template void pair_squares(MatrixView<std::int16_t>, const std::int64_t*, const std::int32_t*, int, double*);
template void pair_squares(MatrixView<float>, const std::int64_t*, const std::int32_t*, int, double*);
template void pair_squares(MatrixView<double>, const std::int64_t*, const std::int32_t*, int, double*);

}  // namespace lossfloor
