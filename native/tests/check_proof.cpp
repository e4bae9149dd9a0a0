#include <numeric>

#include "checks.hpp"
#include "slow_blocks.hpp"

namespace trials {
namespace {

using lossfloor::FlowEdge;
using lossfloor::Partition;
using lossfloor::Wide;

std::size_t at(std::int32_t index) { return static_cast<std::size_t>(index); }

void check_indices(const std::vector<std::int32_t>& block, std::size_t vertices, std::size_t blocks) {
  require(block.size() == vertices, "not every vertex has a block");
  for (const std::int32_t index : block) require(index >= 0 && at(index) < blocks, "a block that there is not");
}

void check_weights(const Case& one, const Partition& partition) {
  std::vector<std::int64_t> a(partition.a.size(), 0);
  std::vector<std::int64_t> b(partition.b.size(), 0);
  for (std::size_t u = 0; u < one.left; ++u) a[at(partition.left_block[u])] += one.left_weight[u];
  for (std::size_t v = 0; v < one.right; ++v) b[at(partition.right_block[v])] += one.right_weight[v];
  require(a == partition.a && b == partition.b, "the weights of a block are not those of its vertices");
  for (std::size_t i = 0; i < a.size(); ++i) {
    require(a[i] + b[i] > 0, "an empty block");
    require(i == 0 || Wide{a[i - 1]} * b[i] < Wide{a[i]} * b[i - 1], "posteriors do not ascend");
  }
}

void check_flow(const Case& one, const Partition& partition) {
  std::vector<Wide> sent(one.left, 0);
  std::vector<Wide> taken(one.right, 0);
  const FlowEdge* before = nullptr;
  for (const FlowEdge& edge : partition.flow) {
    require(edge.left >= 0 && at(edge.left) < one.left && edge.right >= 0 && at(edge.right) < one.right,
            "flow of a vertex that there is not");
    require(!before || before->left < edge.left || (before->left == edge.left && before->right < edge.right),
            "flow is not in order");
    require(edge.amount > 0, "flow of nothing");
    require(one.conflict(at(edge.left), at(edge.right)), "flow without a conflict");
    require(partition.left_block[at(edge.left)] == partition.right_block[at(edge.right)], "flow between blocks");
    sent[at(edge.left)] += edge.amount;
    taken[at(edge.right)] += edge.amount;
    before = &edge;
  }
  const auto unit = [&](std::size_t block) { return std::gcd(partition.a[block], partition.b[block]); };
  for (std::size_t u = 0; u < one.left; ++u) {
    const std::size_t block = at(partition.left_block[u]);
    require(sent[u] == Wide{one.left_weight[u]} * (partition.b[block] / unit(block)), "a supply is not what is sent");
  }
  for (std::size_t v = 0; v < one.right; ++v) {
    const std::size_t block = at(partition.right_block[v]);
    require(taken[v] == Wide{one.right_weight[v]} * (partition.a[block] / unit(block)),
            "a capacity is not what is taken");
  }
}

}  // namespace

void check_proof(const Case& one, const Partition& partition) {
  require(partition.a.size() == partition.b.size(), "blocks have two weights");
  check_indices(partition.left_block, one.left, partition.a.size());
  check_indices(partition.right_block, one.right, partition.a.size());
  check_weights(one, partition);
  check_flow(one, partition);
  for (std::size_t u = 0; u < one.left; ++u) {
    for (std::size_t v = 0; v < one.right; ++v) {
      // Blocks ascend, so that their numbers tell.
      require(!one.conflict(u, v) || partition.left_block[u] <= partition.right_block[v],
              "a conflict in the wrong order");
    }
  }
}

void check_same_blocks(const Partition& one, const Partition& other) {
  require(one.a == other.a && one.b == other.b, "weights of blocks differ");
  require(one.left_block == other.left_block && one.right_block == other.right_block, "blocks differ");
}

void check_same_flow(const Partition& one, const Partition& other) {
  require(one.n_flows == other.n_flows && one.n_searches == other.n_searches, "the work differs");
  require(one.flow.size() == other.flow.size(), "the number of edges with flow differs");
  for (std::size_t i = 0; i < one.flow.size(); ++i) {
    const FlowEdge& edge = one.flow[i];
    const FlowEdge& same = other.flow[i];
    require(edge.left == same.left && edge.right == same.right && edge.amount == same.amount, "flow differs");
  }
}

void check_slow_blocks(const Case& one, const Partition& partition) {
  const Blocks expected = slow_blocks(one);
  require(expected.a == partition.a && expected.b == partition.b, "weights of blocks are not those of the slow way");
  require(expected.left == partition.left_block && expected.right == partition.right_block,
          "blocks are not those of the slow way");
}

}  // namespace trials
