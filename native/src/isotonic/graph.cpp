#include "lossfloor/isotonic/graph.hpp"

#include <algorithm>
#include <numeric>
#include <unordered_map>

#include "lossfloor/parallel.hpp"
#include "lossfloor/simd/kernels.hpp"

namespace lossfloor {
namespace {

template <class Visit>
void for_each_bit(std::uint64_t word, std::size_t base, const Visit& visit) {
  for (; word != 0; word &= word - 1) visit(base + static_cast<std::size_t>(__builtin_ctzll(word)));
}

// Calls visit(band, word, columns) for every 64 rows and 64 columns; columns[c] has bit r for row 64 * band + r.
template <class Visit>
void for_each_column_block(const BitGraph& graph, const Visit& visit) {
  const auto transpose = kernels().bit_rows.transpose;
  std::uint64_t block[64];
  for (std::size_t begin = 0; begin < graph.left; begin += 64) {
    const std::size_t rows = std::min<std::size_t>(64, graph.left - begin);
    for (std::size_t word = 0; word < graph.words; ++word) {
      std::uint64_t any = 0;
      for (std::size_t r = 0; r < rows; ++r) any |= block[r] = graph.row(begin + r)[word];
      std::fill(block + rows, block + 64, 0);
      if (any != 0) transpose(block);
      visit(begin / 64, word, block);
    }
  }
}

std::uint64_t mix(std::uint64_t hash, std::uint64_t value) {
  hash = (hash ^ value) * 0x9E3779B97F4A7C15ULL;
  return hash ^ (hash >> 29);
}

// A summand of the hash of some words: the one at this place, whose factor is odd. The shift lets the high bits of the
// word reach more than the high bits of the sum.
std::uint64_t summand(std::uint64_t word, std::uint64_t factor) { return (word ^ (word >> 32)) * factor; }

std::vector<std::uint64_t> factors(std::size_t count) {
  std::vector<std::uint64_t> result(count);
  for (std::size_t i = 0; i < count; ++i) result[i] = mix(mix(1, i), i) | 1;
  return result;
}

// first[i] = the first index with the hash of i.
std::vector<std::int32_t> first_with_hash(const std::vector<std::uint64_t>& hashes) {
  std::vector<std::int32_t> first(hashes.size());
  std::unordered_map<std::uint64_t, std::int32_t> seen;
  seen.reserve(hashes.size());
  for (std::size_t i = 0; i < hashes.size(); ++i) {
    first[i] = seen.emplace(hashes[i], static_cast<std::int32_t>(i)).first->second;
  }
  return first;
}

// Makes every vertex that does not have the conflicts of first[v] its own first.
void check_columns(const BitGraph& graph, std::vector<std::int32_t>& first) {
  std::vector<std::uint64_t> any(graph.words, 0);
  for (std::size_t u = 0; u < graph.left; ++u) {
    for (std::size_t w = 0; w < graph.words; ++w) any[w] |= graph.row(u)[w];
  }
  const auto isolated = [&](std::size_t v) { return ((any[v / 64] >> (v % 64)) & 1) == 0; };
  std::vector<std::size_t> open;
  for (std::size_t v = 0; v < first.size(); ++v) {
    const auto other = static_cast<std::size_t>(first[v]);
    if (other == v) continue;
    if (isolated(v) != isolated(other)) first[v] = static_cast<std::int32_t>(v);
    if (!isolated(v)) open.push_back(v);
  }
  if (open.empty()) return;
  std::vector<char> differs(first.size(), 0);
  if (open.size() <= graph.words) {
    for (std::size_t u = 0; u < graph.left; ++u) {
      const std::uint64_t* row = graph.row(u);
      for (const std::size_t v : open) {
        const auto other = static_cast<std::size_t>(first[v]);
        differs[v] |= static_cast<char>(((row[v / 64] >> (v % 64)) ^ (row[other / 64] >> (other % 64))) & 1);
      }
    }
  } else {
    std::vector<std::uint64_t> band(graph.words * 64, 0);
    for_each_column_block(graph, [&](std::size_t, std::size_t word, const std::uint64_t* columns) {
      std::copy(columns, columns + 64, band.begin() + static_cast<std::ptrdiff_t>(word * 64));
      if (word + 1 < graph.words) return;
      for (const std::size_t v : open) {
        differs[v] |= static_cast<char>(band[v] != band[static_cast<std::size_t>(first[v])]);
      }
    });
  }
  for (const std::size_t v : open) {
    if (differs[v]) first[v] = static_cast<std::int32_t>(v);
  }
}

class UnionFind {
 public:
  explicit UnionFind(std::size_t count) : parent_(count) { std::iota(parent_.begin(), parent_.end(), 0); }
  std::size_t find(std::size_t i) {
    while (parent_[i] != i) i = parent_[i] = parent_[parent_[i]];
    return i;
  }
  void merge(std::size_t i, std::size_t j) {
    i = find(i);
    j = find(j);
    if (i < j) std::swap(i, j);
    parent_[i] = j;  // the smaller index is the root, so that numbers do not depend on the order of merging
  }

 private:
  std::vector<std::size_t> parent_;
};

Components number(UnionFind& sets, std::size_t left, std::size_t right) {
  Components result;
  result.left.resize(left);
  result.right.resize(right);
  std::vector<std::int32_t> name(left + right, -1);
  for (std::size_t i = 0; i < left + right; ++i) {
    std::int32_t& label = name[sets.find(i)];
    if (label < 0) label = result.count++;
    (i < left ? result.left[i] : result.right[i - left]) = label;
  }
  return result;
}

// The same graph seen from the right.
struct Reversed {
  std::vector<std::int64_t> offsets;
  std::vector<std::int32_t> targets;

  explicit Reversed(const ListGraph& graph)
      : offsets(graph.right + 1, 0), targets(static_cast<std::size_t>(graph.offsets[graph.left])) {
    for (const std::int32_t target : targets_of(graph)) ++offsets[static_cast<std::size_t>(target) + 1];
    std::partial_sum(offsets.begin(), offsets.end(), offsets.begin());
    std::vector<std::int64_t> next(offsets.begin(), offsets.end() - 1);
    for (std::size_t u = 0; u < graph.left; ++u) {
      for (std::int64_t e = graph.offsets[u]; e < graph.offsets[u + 1]; ++e) {
        targets[static_cast<std::size_t>(next[static_cast<std::size_t>(graph.targets[e])]++)] =
            static_cast<std::int32_t>(u);
      }
    }
  }

 private:
  struct Span {
    const std::int32_t* first;
    const std::int32_t* last;
    const std::int32_t* begin() const { return first; }
    const std::int32_t* end() const { return last; }
  };
  static Span targets_of(const ListGraph& graph) { return {graph.targets, graph.targets + graph.offsets[graph.left]}; }
};

std::vector<std::int32_t> equal_lists(const std::int64_t* offsets, const std::int32_t* targets, std::size_t count) {
  // Not 1, which a list that begins with vertex 1 would cancel: [1, 2] would hash like [3].
  std::vector<std::uint64_t> hashes(count, 0xD1B54A32D192ED03ULL);
  for (std::size_t i = 0; i < count; ++i) {
    for (std::int64_t e = offsets[i]; e < offsets[i + 1]; ++e) {
      hashes[i] = mix(hashes[i], static_cast<std::uint64_t>(targets[e]));
    }
  }
  std::vector<std::int32_t> first = first_with_hash(hashes);
  for (std::size_t i = 0; i < count; ++i) {
    const auto j = static_cast<std::size_t>(first[i]);
    const std::int64_t length = offsets[i + 1] - offsets[i];
    const bool same = length == offsets[j + 1] - offsets[j] &&
                      std::equal(targets + offsets[i], targets + offsets[i + 1], targets + offsets[j]);
    if (!same) first[i] = static_cast<std::int32_t>(i);  // two lists of one hash: rare, and no harm
  }
  return first;
}

}  // namespace

Degrees degrees(const BitGraph& graph) {
  const auto count = kernels().count_bits;
  const auto add_counts = kernels().add_bit_counts;
  Degrees result{std::vector<std::int64_t>(graph.left, 0), std::vector<std::int64_t>(graph.right, 0)};
  for (std::size_t u = 0; u < graph.left; ++u) {
    result.left[u] = count(graph.row(u), graph.words);
  }
  for_each_column_block(graph, [&](std::size_t, std::size_t word, const std::uint64_t* columns) {
    const std::size_t used = std::min<std::size_t>(64, graph.right - word * 64);
    add_counts(columns, used, result.right.data() + word * 64);
  });
  return result;
}

Degrees degrees(const ListGraph& graph) {
  Degrees result{std::vector<std::int64_t>(graph.left, 0), std::vector<std::int64_t>(graph.right, 0)};
  for (std::size_t u = 0; u < graph.left; ++u) {
    result.left[u] = graph.offsets[u + 1] - graph.offsets[u];
    for (std::int64_t e = graph.offsets[u]; e < graph.offsets[u + 1]; ++e) {
      ++result.right[static_cast<std::size_t>(graph.targets[e])];
    }
  }
  return result;
}

Components components(const BitGraph& graph) {
  UnionFind sets(graph.left + graph.right);
  // Most graphs have one large component. `known` marks right vertices already seen to belong to that of the row
  // with the most conflicts; a row that touches any of them needs one merge for all of them.
  std::vector<std::int64_t> degree(graph.left);
  for (std::size_t u = 0; u < graph.left; ++u) degree[u] = kernels().count_bits(graph.row(u), graph.words);
  const std::size_t hub = static_cast<std::size_t>(std::max_element(degree.begin(), degree.end()) - degree.begin());
  std::vector<std::uint64_t> known(graph.words, 0);
  const auto add_row = [&](std::size_t u) {
    const std::uint64_t* row = graph.row(u);
    bool touches = u == hub;
    for (std::size_t w = 0; w < graph.words && !touches; ++w) touches = (row[w] & known[w]) != 0;
    if (touches) sets.merge(u, hub);
    for (std::size_t w = 0; w < graph.words; ++w) {
      for_each_bit(row[w] & ~known[w], w * 64, [&](std::size_t v) { sets.merge(u, graph.left + v); });
      if (touches) known[w] |= row[w];
    }
  };
  if (graph.left > 0) add_row(hub);
  for (std::size_t u = 0; u < graph.left; ++u) {
    if (u != hub) add_row(u);
  }
  return number(sets, graph.left, graph.right);
}

Components components(const ListGraph& graph) {
  UnionFind sets(graph.left + graph.right);
  for (std::size_t u = 0; u < graph.left; ++u) {
    for (std::int64_t e = graph.offsets[u]; e < graph.offsets[u + 1]; ++e) {
      sets.merge(u, graph.left + static_cast<std::size_t>(graph.targets[e]));
    }
  }
  return number(sets, graph.left, graph.right);
}

Twins twins(const BitGraph& graph) {
  Twins result;
  std::vector<std::uint64_t> hashes(graph.left, 0);
  std::vector<std::uint64_t> factor = factors(graph.words);
  for (std::size_t u = 0; u < graph.left; ++u) {
    const std::uint64_t* row = graph.row(u);
    for (std::size_t w = 0; w < graph.words; ++w) hashes[u] += summand(row[w], factor[w]);
  }
  result.left = first_with_hash(hashes);
  for (std::size_t u = 0; u < graph.left; ++u) {
    const auto first = static_cast<std::size_t>(result.left[u]);
    if (first == u) continue;
    if (!std::equal(graph.row(u), graph.row(u) + graph.words, graph.row(first))) {
      result.left[u] = static_cast<std::int32_t>(u);
    }
  }
  hashes.assign(graph.right, 0);
  factor = factors((graph.left + 63) / 64);
  for_each_column_block(graph, [&](std::size_t band, std::size_t word, const std::uint64_t* columns) {
    const std::size_t used = std::min<std::size_t>(64, graph.right - word * 64);
    for (std::size_t c = 0; c < used; ++c) hashes[word * 64 + c] += summand(columns[c], factor[band]);
  });
  result.right = first_with_hash(hashes);
  check_columns(graph, result.right);  // a hash is no proof
  return result;
}

Twins twins(const ListGraph& graph) {
  const Reversed reversed(graph);
  return {equal_lists(graph.offsets, graph.targets, graph.left),
          equal_lists(reversed.offsets.data(), reversed.targets.data(), graph.right)};
}

void pack_levels(const std::uint8_t* levels, std::size_t rows, std::size_t columns, int first, std::size_t count,
                 int threads, std::uint64_t* bits) {
  const auto at_most = kernels().bit_rows.at_most;
  const std::size_t words = (columns + kStrip - 1) / kStrip;
  const std::size_t whole = columns / kStrip;
  constexpr std::size_t rows_at_once = 64;
  in_parallel((rows + rows_at_once - 1) / rows_at_once, threads, [&](std::size_t, std::size_t block) {
    for (std::size_t u = block * rows_at_once; u < std::min(rows, (block + 1) * rows_at_once); ++u) {
      const std::uint8_t* row = levels + u * columns;
      at_most(row, whole, first, count, bits + u * words, rows * words);
      if (whole == words) continue;
      for (std::size_t k = 0; k < count; ++k) {
        std::uint64_t word = 0;
        for (std::size_t c = whole * kStrip; c < columns; ++c) {
          word |= std::uint64_t{row[c] <= first + static_cast<int>(k)} << (c % kStrip);
        }
        bits[(k * rows + u) * words + whole] = word;
      }
    }
  });
}

std::int64_t count_set_bits(const std::uint64_t* bits, std::size_t words) { return kernels().count_bits(bits, words); }

void append_set_bits(const std::uint64_t* bits, std::size_t rows, std::size_t words, std::vector<std::int32_t>& targets,
                     std::vector<std::int64_t>& counts) {
  for (std::size_t u = 0; u < rows; ++u) {
    const std::size_t before = targets.size();
    for (std::size_t w = 0; w < words; ++w) {
      for_each_bit(bits[u * words + w], w * 64,
                   [&](std::size_t v) { targets.push_back(static_cast<std::int32_t>(v)); });
    }
    counts.push_back(static_cast<std::int64_t>(targets.size() - before));
  }
}

}  // namespace lossfloor
