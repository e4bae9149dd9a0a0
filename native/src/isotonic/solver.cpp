#include "lossfloor/isotonic/solver.hpp"

#include <algorithm>
#include <numeric>
#include <stdexcept>
#include <utility>

#include "bit_layers.hpp"
#include "block_solver.hpp"
#include "list_layers.hpp"
#include "share_flow.hpp"
#include "vertices.hpp"

namespace lossfloor {
namespace {

std::int64_t total_of(const std::int64_t* weight, std::size_t count) {
  constexpr std::int64_t limit = std::int64_t{1} << 62;
  std::int64_t total = 0;
  for (std::size_t i = 0; i < count; ++i) {
    if (weight[i] <= 0) throw std::invalid_argument("weights must be positive");
    if (weight[i] >= limit - total) throw std::invalid_argument("the sum of all weights must be below 2^62");
    total += weight[i];
  }
  return total;
}

// One block for each component of the representatives, and their weights with those of their twins added.
struct Reduced {
  std::vector<std::int64_t> left_weight;
  std::vector<std::int64_t> right_weight;
  std::vector<Block> blocks;
};

template <class Graph>
Reduced reduce(const Graph& graph, const Twins& twin, const std::int64_t* left_weight,
               const std::int64_t* right_weight) {
  Reduced reduced{std::vector<std::int64_t>(graph.left, 0), std::vector<std::int64_t>(graph.right, 0), {}};
  for (std::size_t u = 0; u < graph.left; ++u) reduced.left_weight[at(twin.left[u])] += left_weight[u];
  for (std::size_t v = 0; v < graph.right; ++v) reduced.right_weight[at(twin.right[v])] += right_weight[v];
  const Components parts = components(graph);
  // Vertices without any conflict are twins too, though each is a component of its own: only the components that
  // have a representative become blocks.
  std::vector<std::int32_t> block_of(at(parts.count), kNone);
  const auto block = [&](std::int32_t part) -> Block& {
    if (block_of[at(part)] == kNone) {
      block_of[at(part)] = static_cast<std::int32_t>(reduced.blocks.size());
      reduced.blocks.emplace_back();
    }
    return reduced.blocks[at(block_of[at(part)])];
  };
  for (std::size_t u = 0; u < graph.left; ++u) {
    if (at(twin.left[u]) != u) continue;
    block(parts.left[u]).left.push_back(static_cast<std::int32_t>(u));
    block(parts.left[u]).a += reduced.left_weight[u];
  }
  for (std::size_t v = 0; v < graph.right; ++v) {
    if (at(twin.right[v]) != v) continue;
    block(parts.right[v]).right.push_back(static_cast<std::int32_t>(v));
    block(parts.right[v]).b += reduced.right_weight[v];
  }
  return reduced;
}

bool smaller_posterior(const Block& x, const Block& y) { return Wide{x.a} * y.b < Wide{y.a} * x.b; }

// Numbers blocks by their posterior, those of the same one alike, and gives each vertex the number of its block.
template <class Graph>
void number_blocks(const Graph& graph, const Twins& twin, std::vector<Block> blocks, Partition& result) {
  result.left_block.assign(graph.left, kNone);
  result.right_block.assign(graph.right, kNone);
  std::stable_sort(blocks.begin(), blocks.end(), smaller_posterior);
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    if (i == 0 || smaller_posterior(blocks[i - 1], blocks[i])) {
      result.a.push_back(0);
      result.b.push_back(0);
    }
    result.a.back() += blocks[i].a;
    result.b.back() += blocks[i].b;
    const auto index = static_cast<std::int32_t>(result.a.size() - 1);
    for (const std::int32_t u : blocks[i].left) result.left_block[at(u)] = index;
    for (const std::int32_t v : blocks[i].right) result.right_block[at(v)] = index;
  }
  for (std::size_t u = 0; u < graph.left; ++u) result.left_block[u] = result.left_block[at(twin.left[u])];
  for (std::size_t v = 0; v < graph.right; ++v) result.right_block[v] = result.right_block[at(twin.right[v])];
}

template <class Layers, class Flow, class Graph>
Partition solve_with(Layers layers, const Graph& graph, const std::int64_t* left_weight,
                     const std::int64_t* right_weight, const Poll& poll) {
  const Twins twin = twins(graph);
  Reduced reduced = reduce(graph, twin, left_weight, right_weight);
  Partition result;
  std::vector<Block> blocks;
  {  // what the solver holds is freed before the flow is put in order
    BlockSolver<Layers, Flow> solver(std::move(layers), graph, std::move(reduced.left_weight),
                                     std::move(reduced.right_weight), poll);
    solver.run(std::move(reduced.blocks));
    result.n_flows = solver.n_flows;
    result.n_searches = solver.n_searches();
    blocks = std::move(solver.settled);
    std::size_t n_edges = 0;
    solver.for_each_flow([&](std::int32_t, std::int32_t, Wide) { ++n_edges; });
    result.flow.reserve(n_edges);
    solver.for_each_flow([&](std::int32_t u, std::int32_t v, Wide amount) { result.flow.push_back({u, v, amount}); });
  }
  number_blocks(graph, twin, std::move(blocks), result);
  std::vector<std::pair<std::int64_t, std::int64_t>> terms;  // of each block
  for (std::size_t i = 0; i < result.a.size(); ++i) terms.push_back(lowest_terms(result.a[i], result.b[i]));
  const auto supply = [&](std::int32_t u) { return Wide{left_weight[u]} * terms[at(result.left_block[at(u)])].second; };
  const auto room = [&](std::int32_t v) { return Wide{right_weight[v]} * terms[at(result.right_block[at(v)])].first; };
  share_among_twins(result.flow, twin.left, supply, &FlowEdge::left);
  share_among_twins(result.flow, twin.right, room, &FlowEdge::right);
  merge_pairs(result.flow);
  return result;
}

template <class Layers, class Graph>
Partition solve_any(Layers layers, const Graph& graph, const std::int64_t* left_weight,
                    const std::int64_t* right_weight, const Poll& poll) {
  const std::int64_t left_total = total_of(left_weight, graph.left);
  const std::int64_t right_total = total_of(right_weight, graph.right);
  const Wide limit = Wide{1} << 62;
  if (Wide{left_total} + right_total >= limit) {
    throw std::invalid_argument("the sum of all weights must be below 2^62");
  }
  if (Wide{left_total} * right_total < limit) {
    return solve_with<Layers, std::int64_t>(std::move(layers), graph, left_weight, right_weight, poll);
  }
  return solve_with<Layers, Wide>(std::move(layers), graph, left_weight, right_weight, poll);
}

}  // namespace

Partition solve(const BitGraph& graph, const std::int64_t* left_weight, const std::int64_t* right_weight,
                const Poll& poll, Isa most) {
  return solve_any(BitLayers(graph, most), graph, left_weight, right_weight, poll);
}

Partition solve(const ListGraph& graph, const std::int64_t* left_weight, const std::int64_t* right_weight,
                const Poll& poll) {
  return solve_any(ListLayers(graph), graph, left_weight, right_weight, poll);
}

}  // namespace lossfloor
