// Splits blocks by max-flows until none can be split.
//
// Part of solver.cpp, which alone includes it. The unnamed namespace lets the compiler inline what is called once.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <tuple>
#include <utility>
#include <vector>

#include "flow.hpp"
#include "lossfloor/isotonic/solver.hpp"
#include "push_relabel.hpp"
#include "shortest_paths.hpp"
#include "vertices.hpp"

namespace lossfloor {
namespace {

template <class Layers, class Flow>
class BlockSolver {
 public:
  template <class Graph>
  BlockSolver(Layers layers, const Graph& graph, std::vector<std::int64_t> left_weight,
              std::vector<std::int64_t> right_weight, const Poll& poll)
      : layers_(std::move(layers)), left_weight_(std::move(left_weight)), right_weight_(std::move(right_weight)),
        flow_(graph.left, graph.right), watch_(layers_, poll), push_(layers_, flow_, watch_),
        paths_(layers_, flow_, watch_) {}

  BlockSolver(const BlockSolver&) = delete;  // the parts refer to each other
  BlockSolver& operator=(const BlockSolver&) = delete;

  std::vector<Block> settled;
  std::int64_t n_flows = 0;
  std::int64_t n_searches() const { return paths_.n_searches; }

  void run(std::vector<Block> todo) {
    std::int32_t id = 0;
    while (!todo.empty()) {
      Block block = std::move(todo.back());
      todo.pop_back();
      if (block.a == 0 || block.b == 0) {
        settle(std::move(block));
        continue;
      }
      layers_.enter(block.left, block.right, id++);
      ++n_flows;
      if (maximise(block)) {
        settle(std::move(block));
      } else {
        split(block, todo);
      }
    }
  }

  template <class Emit>
  void for_each_flow(const Emit& emit) {
    for (std::size_t v = 0; v < flow_.entries.size(); ++v) {
      for (const Entry& entry : flow_.entries[v]) {
        if (entry.amount > 0) emit(entry.left, static_cast<std::int32_t>(v), Wide{entry.amount});
      }
    }
  }

 private:
  using Entry = typename FlowState<Flow>::Entry;

  void settle(Block block) {
    watch_.settled += block.left.size() + block.right.size();
    settled.push_back(std::move(block));
    watch_.look_up();
  }

  // Routes as much as can be; true if that is everything.
  bool maximise(const Block& block) {
    const auto [a, b] = lowest_terms(block.a, block.b);
    for (const std::int32_t u : block.left) flow_.remaining[at(u)] = Flow{left_weight_[at(u)]} * b;
    for (const std::int32_t v : block.right) flow_.room[at(v)] = Flow{right_weight_[at(v)]} * a;
    if (block.old_a != 0) reuse(block, a, b);
    push_.run(block);
    return paths_.run(block);
  }

  // Shrinks the flow of the larger block until it fits the supplies and capacities of this one: both scale by
  // b / old_b and a / old_a, and the smaller of the two fits both. A minimum cut lets flow go between vertices of this
  // block only, but empty entries may come from left vertices of others: they go first. What becomes empty here is a
  // conflict in this block and may be filled again. Leaves no empty entry.
  void reuse(const Block& block, std::int64_t a, std::int64_t b) {
    const bool by_left = Wide{b} * block.old_a < Wide{a} * block.old_b;
    const std::int64_t scale = by_left ? b : a;
    const std::int64_t unit = by_left ? block.old_b : block.old_a;
    for (const std::int32_t v : block.right) {
      flow_.drop_empty(v);
      flow_.compact(v);
      for (Entry& entry : flow_.entries[at(v)]) {
        entry.amount = scaled_down(entry.amount, scale, unit);
        flow_.remaining[at(entry.left)] -= entry.amount;
        flow_.room[at(v)] -= entry.amount;
      }
    }
    // What rounding left behind goes along the same conflicts first.
    for (const std::int32_t v : block.right) {
      for (Entry& entry : flow_.entries[at(v)]) {
        const Flow more = std::min(flow_.remaining[at(entry.left)], flow_.room[at(v)]);
        entry.amount += more;
        flow_.remaining[at(entry.left)] -= more;
        flow_.room[at(v)] -= more;
      }
      flow_.drop_empty(v);
    }
  }

  // At most amount * scale / unit, and near it.
  static Flow scaled_down(Flow amount, std::int64_t scale, std::int64_t unit) {
    if constexpr (sizeof(Flow) == sizeof(std::int64_t)) {
      return static_cast<Flow>(Wide{amount} * scale / unit);
    } else {
      const Flow whole = amount / unit;
      return whole * scale + amount % unit * scale / unit;
    }
  }

  // The last search found no room: what it reached is the part with the larger a / b.
  void split(const Block& block, std::vector<Block>& todo) {
    Block upper;
    Block lower;
    std::tie(upper.old_a, upper.old_b) = lowest_terms(block.a, block.b);
    lower.old_a = upper.old_a;
    lower.old_b = upper.old_b;
    for (const std::int32_t u : block.left) {
      Block& part = paths_.reached(u) ? upper : lower;
      part.left.push_back(u);
      part.a += left_weight_[at(u)];
    }
    for (const std::int32_t v : block.right) {
      Block& part = layers_.unvisited(v) ? lower : upper;
      part.right.push_back(v);
      part.b += right_weight_[at(v)];
    }
    todo.push_back(std::move(lower));
    todo.push_back(std::move(upper));
  }

  Layers layers_;
  std::vector<std::int64_t> left_weight_;
  std::vector<std::int64_t> right_weight_;
  FlowState<Flow> flow_;
  Watch<Layers> watch_;
  PushRelabel<Layers, Flow> push_;
  ShortestPaths<Layers, Flow> paths_;
};

}  // namespace
}  // namespace lossfloor
