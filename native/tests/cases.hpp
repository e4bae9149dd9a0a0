// Random conflict graphs with weights, small and odd, as the trials of the solver take them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <istream>
#include <vector>

#include "lossfloor/isotonic/graph.hpp"

namespace trials {

// The same numbers from the same seed everywhere, which the distributions of <random> do not promise (splitmix64).
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}
  std::uint64_t bits();
  std::int64_t below(std::int64_t bound);                       // 0 <= . < bound
  std::int64_t between(std::int64_t least, std::int64_t most);  // both included
  double unit();                                                // 0 <= . < 1
  bool chance(double probability) { return unit() < probability; }

 private:
  std::uint64_t state_;
};

struct Case {
  std::size_t left = 0;
  std::size_t right = 0;
  std::vector<char> conflicts;  // [u][v]
  std::vector<std::int64_t> left_weight;
  std::vector<std::int64_t> right_weight;

  bool conflict(std::size_t u, std::size_t v) const { return conflicts[u * right + v] != 0; }
};

// Numbers of left and right vertices, their weights, then pairs in conflict, left and right, to the end.
Case read_case(std::istream& in);

Case random_case(Random& random);

// The same conflicts as the library reads them. Arrays are exactly as long as they must be, so that any step beyond
// them is seen.
struct Stored {
  explicit Stored(const Case& one);
  lossfloor::BitGraph as_bits() const { return {left, right, words, bits.data()}; }
  lossfloor::ListGraph as_lists() const { return {left, right, offsets.data(), targets.data()}; }

  std::size_t left;
  std::size_t right;
  std::size_t words;
  std::vector<std::uint64_t> bits;
  std::vector<std::int64_t> offsets;
  std::vector<std::int32_t> targets;
};

}  // namespace trials
