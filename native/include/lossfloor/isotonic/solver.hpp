// Isotonic regression on a bipartite conflict graph: the partition into blocks that is optimal for every loss at once.
//
// With integer weights p and t in [0, 1] the problem is: minimise sum_left p_u l(t_u) + sum_right p_v l(1 - t_v)
// subject to t_u <= t_v for every conflict (u, v). A block with weights a (left) and b (right) has t = a / (a + b). A
// guess of one block is tested by a max-flow from left supplies p_u b' to right capacities p_v a' along the conflicts
// (a' : b' = a : b in lowest terms); if all is routed the flow proves the guess, otherwise the minimum cut splits the
// block in two. Everything is an integer; nothing is compared with a tolerance.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "lossfloor/isotonic/graph.hpp"
#include "lossfloor/poll.hpp"
#include "lossfloor/simd/isa.hpp"

namespace lossfloor {

__extension__ typedef __int128 Wide;

// Flow from left u to right v in the units of their block: sum_v flow = p_u b', sum_u flow = p_v a'. Packed to 24
// bytes.
struct [[gnu::packed, gnu::aligned(8)]] FlowEdge {
  std::int32_t left;
  std::int32_t right;
  Wide amount;
};

// Blocks are in ascending order of a / (a + b), all different, so that they do not depend on the order of examples.
struct Partition {
  std::vector<std::int32_t> left_block;
  std::vector<std::int32_t> right_block;
  std::vector<std::int64_t> a;  // weight of the left vertices of each block
  std::vector<std::int64_t> b;  // weight of the right ones
  std::vector<FlowEdge> flow;   // amounts > 0, ordered by (left, right), one for each pair
  std::int64_t n_flows = 0;     // max-flows solved
  std::int64_t n_searches = 0;  // breadth-first searches made
};

// Weights are positive, and their sum is below 2^62 (std::invalid_argument otherwise). The flow too is the same
// with any instruction set. `poll` gets the number of vertices whose block is final.
Partition solve(const BitGraph& graph, const std::int64_t* left_weight, const std::int64_t* right_weight,
                const Poll& poll, Isa most = kWidest);
Partition solve(const ListGraph& graph, const std::int64_t* left_weight, const std::int64_t* right_weight,
                const Poll& poll);

}  // namespace lossfloor
