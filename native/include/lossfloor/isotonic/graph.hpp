// Bipartite conflict graphs as the solver reads them, and what can be read off them without solving.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace lossfloor {

// Row u, bit v: u and v conflict. Bits beyond `right` in the last word of a row are zero.
struct BitGraph {
  std::size_t left;
  std::size_t right;
  std::size_t words;
  const std::uint64_t* bits;
  const std::uint64_t* row(std::size_t u) const { return bits + u * words; }
};

// Conflicts of u: targets[offsets[u]] .. targets[offsets[u + 1] - 1], ascending, none twice.
struct ListGraph {
  std::size_t left;
  std::size_t right;
  const std::int64_t* offsets;
  const std::int32_t* targets;
};

struct Degrees {
  std::vector<std::int64_t> left;
  std::vector<std::int64_t> right;
};
Degrees degrees(const BitGraph& graph);
Degrees degrees(const ListGraph& graph);

// The component of every vertex, numbered from 0 by first appearance (left before right).
struct Components {
  std::vector<std::int32_t> left;
  std::vector<std::int32_t> right;
  std::int32_t count = 0;
};
Components components(const BitGraph& graph);
Components components(const ListGraph& graph);

// For every vertex the first vertex of its side with exactly the same conflicts.
struct Twins {
  std::vector<std::int32_t> left;
  std::vector<std::int32_t> right;
};
Twins twins(const BitGraph& graph);
Twins twins(const ListGraph& graph);

// bits[(k * rows + u) * words + w] for k < count: bit c is set where levels[u * columns + 64 w + c] <= first + k, which
// is at most 255.
void pack_levels(const std::uint8_t* levels, std::size_t rows, std::size_t columns, int first, std::size_t count,
                 int threads, std::uint64_t* bits);

std::int64_t count_set_bits(const std::uint64_t* bits, std::size_t words);

// Lists of the set bits of `rows` rows: appends to targets, and the number of each row to counts.
void append_set_bits(const std::uint64_t* bits, std::size_t rows, std::size_t words, std::vector<std::int32_t>& targets,
                     std::vector<std::int64_t>& counts);

}  // namespace lossfloor
