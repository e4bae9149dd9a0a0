// Vertices and blocks, as all parts of the solver write them.
//
// Part of solver.cpp, which alone includes it. The unnamed namespace lets the compiler inline what is called once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <numeric>
#include <utility>
#include <vector>

namespace lossfloor {
namespace {

using Vertices = std::vector<std::int32_t>;
constexpr std::int32_t kNone = -1;
constexpr std::int32_t kFar = 1 << 30;  // the height of what has no way to room

std::size_t at(std::int32_t vertex) { return static_cast<std::size_t>(vertex); }

struct Block {
  Vertices left;
  Vertices right;
  std::int64_t a = 0;
  std::int64_t b = 0;
  // Flow left over from the block that this one was cut from was in units of these; 0 where there is none.
  std::int64_t old_a = 0;
  std::int64_t old_b = 0;
};

std::pair<std::int64_t, std::int64_t> lowest_terms(std::int64_t a, std::int64_t b) {
  const std::int64_t g = std::gcd(a, b);
  return {a / g, b / g};
}

}  // namespace
}  // namespace lossfloor
