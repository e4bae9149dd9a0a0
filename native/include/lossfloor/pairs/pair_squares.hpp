// Squared distances of listed pairs.
#pragma once

#include <cstdint>

#include "lossfloor/pairs/strips.hpp"

namespace lossfloor {

// squares[e] = |rows[u] - rows[targets[e]]|^2 for offsets[u] <= e < offsets[u + 1]: exact for small integers, else
// within (features + 2) roundings.
template <class T>
void pair_squares(MatrixView<T> rows, const std::int64_t* offsets, const std::int32_t* targets, int threads,
                  double* squares);

extern template void pair_squares(MatrixView<std::uint8_t>, const std::int64_t*, const std::int32_t*, int, double*);
extern template void pair_squares(MatrixView<std::int16_t>, const std::int64_t*, const std::int32_t*, int, double*);
extern template void pair_squares(MatrixView<float>, const std::int64_t*, const std::int32_t*, int, double*);
extern template void pair_squares(MatrixView<double>, const std::int64_t*, const std::int32_t*, int, double*);

}  // namespace lossfloor
