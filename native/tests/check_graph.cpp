#include <algorithm>

#include "checks.hpp"
#include "lossfloor/simd/bit_rows.hpp"

namespace trials {
namespace {

using namespace lossfloor;

// Bit c % 64 of word c / 64.
bool bit(const std::uint64_t* words, std::size_t c) { return (words[c / 64] >> (c % 64)) & 1; }

void check_degrees(const Case& one, const Degrees& found) {
  Degrees expected{std::vector<std::int64_t>(one.left, 0), std::vector<std::int64_t>(one.right, 0)};
  for (std::size_t u = 0; u < one.left; ++u) {
    for (std::size_t v = 0; v < one.right; ++v) {
      expected.left[u] += one.conflict(u, v);
      expected.right[v] += one.conflict(u, v);
    }
  }
  require(found.left == expected.left && found.right == expected.right, "degrees");
}

void flood(const Case& one, std::size_t vertex, std::int32_t number, Components& parts) {
  std::int32_t& name = vertex < one.left ? parts.left[vertex] : parts.right[vertex - one.left];
  if (name >= 0) return;
  name = number;
  if (vertex < one.left) {
    for (std::size_t v = 0; v < one.right; ++v) {
      if (one.conflict(vertex, v)) flood(one, one.left + v, number, parts);
    }
  } else {
    for (std::size_t u = 0; u < one.left; ++u) {
      if (one.conflict(u, vertex - one.left)) flood(one, u, number, parts);
    }
  }
}

void check_components(const Case& one, const Components& found) {
  Components expected{std::vector<std::int32_t>(one.left, -1), std::vector<std::int32_t>(one.right, -1), 0};
  for (std::size_t i = 0; i < one.left + one.right; ++i) {
    const std::int32_t name = i < one.left ? expected.left[i] : expected.right[i - one.left];
    if (name < 0) flood(one, i, expected.count++, expected);
  }
  require(found.count == expected.count && found.left == expected.left && found.right == expected.right, "components");
}

template <class Same>
std::vector<std::int32_t> first_same(std::size_t count, const Same& same) {
  std::vector<std::int32_t> first(count);
  for (std::size_t i = 0; i < count; ++i) {
    std::size_t j = 0;
    while (!same(i, j)) ++j;
    first[i] = static_cast<std::int32_t>(j);
  }
  return first;
}

void check_twins(const Case& one, const Twins& found) {
  const auto same_row = [&](std::size_t u, std::size_t other) {
    const char* row = one.conflicts.data() + u * one.right;
    return std::equal(row, row + one.right, one.conflicts.data() + other * one.right);
  };
  const auto same_column = [&](std::size_t v, std::size_t other) {
    for (std::size_t u = 0; u < one.left; ++u) {
      if (one.conflict(u, v) != one.conflict(u, other)) return false;
    }
    return true;
  };
  require(found.left == first_same(one.left, same_row), "twins on the left");
  require(found.right == first_same(one.right, same_column), "twins on the right");
}

void check_lists(const Stored& stored) {
  std::vector<std::int32_t> targets;
  std::vector<std::int64_t> counts;
  append_set_bits(stored.bits.data(), stored.left, stored.words, targets, counts);
  require(targets == stored.targets, "lists of bits");
  require(counts.size() == stored.left, "a length for each list");
  for (std::size_t u = 0; u < stored.left; ++u) {
    require(counts[u] == stored.offsets[u + 1] - stored.offsets[u], "the length of a list");
  }
  require(count_set_bits(stored.bits.data(), stored.bits.size()) == static_cast<std::int64_t>(targets.size()),
          "the number of bits");
}

void check_packing(Random& random) {
  const auto rows = static_cast<std::size_t>(random.between(0, 70));
  const auto columns = static_cast<std::size_t>(random.between(0, 140));
  const int first = static_cast<int>(random.below(256));
  const auto count = static_cast<std::size_t>(random.between(0, std::min<std::int64_t>(9, 256 - first)));
  const std::size_t words = (columns + 63) / 64;
  std::vector<std::uint8_t> levels(rows * columns);
  for (std::uint8_t& level : levels) level = static_cast<std::uint8_t>(random.chance(0.3) ? first : random.below(256));
  std::vector<std::uint64_t> bits(count * rows * words, ~std::uint64_t{0});
  pack_levels(levels.data(), rows, columns, first, count, static_cast<int>(random.between(1, 2)), bits.data());
  for (std::size_t k = 0; k < count; ++k) {
    for (std::size_t u = 0; u < rows; ++u) {
      const std::uint64_t* row = bits.data() + (k * rows + u) * words;
      for (std::size_t c = 0; c < 64 * words; ++c) {
        const bool expected = c < columns && levels[u * columns + c] <= first + static_cast<int>(k);
        require(bit(row, c) == expected, "levels as bits");
      }
    }
  }
}

void check_strips(Random& random, const BitRows& bit_rows) {
  const auto strips = static_cast<std::size_t>(random.between(0, 3));
  const int first = static_cast<int>(random.below(256));
  const auto count = static_cast<std::size_t>(random.between(0, std::min<std::int64_t>(9, 256 - first)));
  const std::size_t stride = strips + static_cast<std::size_t>(random.below(2));
  std::vector<std::uint8_t> row(64 * strips);
  for (std::uint8_t& byte : row) byte = static_cast<std::uint8_t>(random.below(256));
  std::vector<std::uint64_t> bits(count * stride, 0);
  bit_rows.at_most(row.data(), strips, first, count, bits.data(), stride);
  for (std::size_t k = 0; k < count; ++k) {
    for (std::size_t c = 0; c < row.size(); ++c) {
      require(bit(bits.data() + k * stride, c) == (row[c] <= first + static_cast<int>(k)), "bytes at most a limit");
    }
  }
}

void check_transpose(Random& random, const BitRows& bit_rows) {
  std::vector<std::uint64_t> block(64);
  for (std::uint64_t& word : block) word = random.bits() & random.bits();
  std::vector<std::uint64_t> turned = block;
  bit_rows.transpose(turned.data());
  for (std::size_t r = 0; r < 64; ++r) {
    for (std::size_t c = 0; c < 64; ++c) {
      require(bit(&block[r], c) == bit(&turned[c], r), "bits transposed");
    }
  }
}

}  // namespace

void check_graph(const Case& one, const Stored& stored) {
  check_degrees(one, degrees(stored.as_bits()));
  check_degrees(one, degrees(stored.as_lists()));
  check_components(one, components(stored.as_bits()));
  check_components(one, components(stored.as_lists()));
  check_twins(one, twins(stored.as_bits()));
  check_twins(one, twins(stored.as_lists()));
  check_lists(stored);
}

void check_bits(Random& random) {
  check_packing(random);
  for (const Isa isa : available_isas()) {
    check_strips(random, kernels(isa).bit_rows);
    check_transpose(random, kernels(isa).bit_rows);
  }
}

}  // namespace trials
