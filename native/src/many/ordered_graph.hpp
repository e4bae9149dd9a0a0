// The graph as the search reads it: vertices numbered by descending q, and for each the conflicts further down.
//
// Part of cliques.cpp, which alone includes it. The unnamed namespace lets the compiler inline what is called once.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <vector>

#include "lossfloor/many/cliques.hpp"

namespace lossfloor {
namespace {

struct OrderedGraph {
  std::size_t count = 0;
  std::vector<std::int32_t> name;  // number in the graph
  std::vector<double> q;
  std::vector<std::int32_t> code;
  std::vector<double> radius;
  std::vector<std::int64_t> offsets;
  std::vector<std::int32_t> targets;
  std::vector<double> squares;

  OrderedGraph(const ClassGraph& graph, const CommonPointRule& rule, const double* all_q, const std::uint8_t* alive) {
    for (std::size_t v = 0; v < graph.count; ++v) {
      if (alive[v] && all_q[v] > 0) name.push_back(static_cast<std::int32_t>(v));
    }
    std::sort(name.begin(), name.end(),
              [&](std::int32_t a, std::int32_t b) { return all_q[a] != all_q[b] ? all_q[a] > all_q[b] : a < b; });
    count = name.size();
    const bool balls = rule.kind == CommonPointRule::Kind::balls;
    q.resize(count);
    code.resize(count);
    radius.resize(count);
    for (std::size_t r = 0; r < count; ++r) {
      const std::int32_t v = name[r];
      q[r] = all_q[v];
      code[r] = graph.codes[v];
      if (balls) radius[r] = rule.radii[v];
    }
    list_conflicts(graph, balls);
  }

 private:
  void list_conflicts(const ClassGraph& graph, bool balls) {
    std::vector<std::int32_t> rank(graph.count, -1);
    for (std::size_t r = 0; r < count; ++r) rank[name[r]] = static_cast<std::int32_t>(r);
    offsets.assign(count + 1, 0);
    for (std::size_t r = 0; r < count; ++r) {
      const std::int32_t v = name[r];
      for (std::int64_t e = graph.offsets[v]; e < graph.offsets[v + 1]; ++e) {
        if (rank[graph.targets[e]] > static_cast<std::int32_t>(r)) ++offsets[r + 1];
      }
    }
    std::partial_sum(offsets.begin(), offsets.end(), offsets.begin());
    targets.resize(static_cast<std::size_t>(offsets[count]));
    if (balls) squares.resize(targets.size());
    std::vector<std::int64_t> next(offsets.begin(), offsets.end() - 1);
    for (std::size_t r = 0; r < count; ++r) {  // vertices in order, so that every list comes out in order
      const std::int32_t v = name[r];
      for (std::int64_t e = graph.offsets[v]; e < graph.offsets[v + 1]; ++e) {
        const std::int32_t other = rank[graph.targets[e]];
        if (other < 0 || other > static_cast<std::int32_t>(r)) continue;
        const auto place = static_cast<std::size_t>(next[static_cast<std::size_t>(other)]++);
        targets[place] = static_cast<std::int32_t>(r);
        if (balls) squares[place] = graph.squares[e];
      }
    }
  }
};

}  // namespace
}  // namespace lossfloor
