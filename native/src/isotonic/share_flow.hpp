// From the flow of representatives to that of all vertices.
//
// Part of solver.cpp, which alone includes it. The unnamed namespace lets the compiler inline what is called once.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <utility>
#include <vector>

#include "lossfloor/isotonic/solver.hpp"
#include "vertices.hpp"

namespace lossfloor {
namespace {

// Orders flow by its left or right vertices, and keeps the order of those of one vertex.
void order_by(std::vector<FlowEdge>& flow, std::int32_t FlowEdge::* side, std::size_t count) {
  std::vector<std::size_t> next(count + 1, 0);
  for (const FlowEdge& edge : flow) ++next[at(edge.*side) + 1];
  std::partial_sum(next.begin(), next.end(), next.begin());
  std::vector<FlowEdge> ordered(flow.size());
  for (const FlowEdge& edge : flow) ordered[next[at(edge.*side)]++] = edge;
  flow = std::move(ordered);
}

// The next twin of each vertex, ascending, or kNone.
Vertices following_twins(const Vertices& twin) {
  Vertices following(twin.size(), kNone);
  Vertices last(twin.size(), kNone);
  for (std::size_t i = 0; i < twin.size(); ++i) {
    std::int32_t& end = last[at(twin[i])];
    if (end != kNone) following[at(end)] = static_cast<std::int32_t>(i);
    end = static_cast<std::int32_t>(i);
  }
  return following;
}

// Whether any of the flow is at a vertex that has twins.
bool any_has_twins(const std::vector<FlowEdge>& flow, const Vertices& twin, std::int32_t FlowEdge::* side) {
  std::vector<bool> has_twins(twin.size(), false);
  for (std::size_t i = 0; i < twin.size(); ++i) {
    if (at(twin[i]) != i) has_twins[at(twin[i])] = true;
  }
  return std::any_of(flow.begin(), flow.end(), [&](const FlowEdge& edge) { return has_twins[at(edge.*side)]; });
}

// Shares the flow of a representative among its twins: each takes what it needs, needs(vertex), in order.
template <class Needs>
void share_among_twins(std::vector<FlowEdge>& flow, const Vertices& twin, const Needs& needs,
                       std::int32_t FlowEdge::* side) {
  if (!any_has_twins(flow, twin, side)) return;
  const Vertices following = following_twins(twin);
  order_by(flow, side, twin.size());
  std::vector<FlowEdge> shared;
  shared.reserve(flow.size() + twin.size());
  std::int32_t member = kNone;
  std::int32_t representative = kNone;
  Wide taken = 0;
  for (FlowEdge edge : flow) {
    if (edge.*side != representative) {
      representative = member = edge.*side;
      taken = 0;
    }
    while (edge.amount > 0) {
      while (taken == needs(member)) {
        member = following[at(member)];
        taken = 0;
      }
      const Wide amount = std::min<Wide>(edge.amount, needs(member) - taken);
      FlowEdge piece = edge;
      piece.*side = member;
      piece.amount = amount;
      shared.push_back(piece);
      taken += amount;
      edge.amount -= amount;
    }
  }
  flow = std::move(shared);
}

// Orders flow by (left, right) and adds up that of the same pair. In place, as memory matters more here than the time
// that `order_by` would save.
void merge_pairs(std::vector<FlowEdge>& flow) {
  std::sort(flow.begin(), flow.end(), [](const FlowEdge& x, const FlowEdge& y) {
    return x.left != y.left ? x.left < y.left : x.right < y.right;
  });
  std::size_t kept = 0;
  for (const FlowEdge& edge : flow) {
    if (kept > 0 && flow[kept - 1].left == edge.left && flow[kept - 1].right == edge.right) {
      flow[kept - 1].amount += edge.amount;
    } else {
      flow[kept++] = edge;
    }
  }
  flow.resize(kept);
}

}  // namespace
}  // namespace lossfloor
