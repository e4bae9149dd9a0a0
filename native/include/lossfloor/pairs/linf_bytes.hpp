// Largest differences of bytes against one limit: a few telling features decide most pairs, all features the rest.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "lossfloor/pairs/strips.hpp"

namespace lossfloor {

// Up to `count` features, each the one that takes most pairs of a sample beyond `limit` that those before it left
// within; fewer where the sample is used up.
std::vector<std::size_t> telling_features(MatrixView<std::uint8_t> left, MatrixView<std::uint8_t> right,
                                          std::uint8_t limit, std::size_t count, Isa isa);

// bits[i * words + w]: bit c is set where left i and right 64 w + c differ by at most `limit` in every feature.
void linf_bytes_within(MatrixView<std::uint8_t> left, MatrixView<std::uint8_t> right, std::uint8_t limit, int threads,
                       Isa isa, std::uint64_t* bits);

}  // namespace lossfloor
