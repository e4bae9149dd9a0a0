// Dinic's algorithm, which routes what push-relabel left: flow goes along shortest paths until there are none.
//
// Part of solver.cpp, which alone includes it. The unnamed namespace lets the compiler inline what is called once.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "flow.hpp"
#include "vertices.hpp"

namespace lossfloor {
namespace {

template <class Layers, class Flow>
class ShortestPaths {
 public:
  ShortestPaths(Layers& layers, FlowState<Flow>& flow, Watch<Layers>& watch)
      : layers_(layers), flow_(flow), watch_(watch), left_layer_(flow.remaining.size(), kNone),
        cursor_(flow.room.size(), 0) {}

  std::int64_t n_searches = 0;

  // True if all supply is routed now. Leaves the last search in the layers and for `reached`.
  bool run(const Block& block) {
    while (search(block)) {
      for (const std::int32_t u : sources_) {
        push_from(u);
        watch_.look_up();
      }
    }
    return sources_.empty();
  }

  bool reached(std::int32_t u) const { return left_layer_[at(u)] != kNone; }

 private:
  using Entry = typename FlowState<Flow>::Entry;

  // Breadth-first search from all left vertices with supply to the nearest right vertices with room. True if any.
  bool search(const Block& block) {
    ++n_searches;
    layers_.restart();
    for (const std::int32_t u : block.left) left_layer_[at(u)] = kNone;
    sources_.clear();
    frontier_.clear();
    for (const std::int32_t u : block.left) {
      if (flow_.remaining[at(u)] > 0) sources_.push_back(u);
    }
    frontier_ = sources_;
    for (std::size_t layer = 0; !frontier_.empty(); ++layer) {
      for (const std::int32_t u : frontier_) left_layer_[at(u)] = static_cast<std::int32_t>(layer);
      bool reached = false;
      found_.clear();
      for (const std::int32_t u : frontier_) {
        layers_.rewind(u);
        layers_.visit(u, layer, [&](std::int32_t v) {
          found_.push_back(v);
          reached |= flow_.room[at(v)] > 0;
        });
        watch_.look_up();
      }
      layers_.seal(layer);
      if (reached) {
        last_layer_ = layer;
        for (const std::int32_t v : found_) {
          if (flow_.room[at(v)] == 0) layers_.remove(v, layer);
        }
        return true;
      }
      step_back(layer);
    }
    return false;
  }

  // Makes the frontier of the left vertices whose flow goes to those found in a layer.
  void step_back(std::size_t layer) {
    frontier_.clear();
    for (const std::int32_t v : found_) {
      flow_.compact(v);
      cursor_[at(v)] = 0;
      layers_.work += flow_.entries[at(v)].size();
      for (const Entry& entry : flow_.entries[at(v)]) {
        if (entry.amount > 0 && left_layer_[at(entry.left)] == kNone) {
          left_layer_[at(entry.left)] = static_cast<std::int32_t>(layer + 1);
          frontier_.push_back(entry.left);
        }
      }
    }
  }

  // Sends what it can from a source along shortest paths (depth first, dead ends removed).
  void push_from(std::int32_t source) {
    path_left_.assign(1, source);
    path_right_.clear();
    while (flow_.remaining[at(source)] > 0) {
      const std::size_t depth = path_left_.size() - 1;
      const std::int32_t u = path_left_.back();
      const std::int32_t v = layers_.next(u, depth);
      if (v == kNone) {
        left_layer_[at(u)] = kNone;  // a dead end for the rest of this search
        path_left_.pop_back();
        if (path_left_.empty()) return;
        const std::int32_t back = path_right_.back();
        path_right_.pop_back();
        ++cursor_[at(back)];
        step_back_from(back, depth - 1);
      } else if (depth == last_layer_) {
        augment(v);
      } else {
        step_back_from(v, depth);
      }
    }
  }

  // Goes from right vertex v, found in `layer` by the last left vertex of the path, against the flow to a left one.
  void step_back_from(std::int32_t v, std::size_t layer) {
    const auto& list = flow_.entries[at(v)];
    for (std::size_t& i = cursor_[at(v)]; i < list.size(); ++i) {
      if (list[i].amount > 0 && left_layer_[at(list[i].left)] == static_cast<std::int32_t>(layer + 1)) {
        path_right_.push_back(v);
        path_left_.push_back(list[i].left);
        return;
      }
    }
    layers_.work += 1;
    layers_.remove(v, layer);
  }

  // Pushes the bottleneck of the path from its source to `sink`, then shortens the path to its first dry edge.
  void augment(std::int32_t sink) {
    const std::int32_t source = path_left_.front();
    Flow amount = std::min(flow_.remaining[at(source)], flow_.room[at(sink)]);
    for (const std::int32_t v : path_right_) amount = std::min(amount, flow_.entries[at(v)][cursor_[at(v)]].amount);
    flow_.remaining[at(source)] -= amount;
    flow_.room[at(sink)] -= amount;
    std::size_t keep = path_right_.size();
    for (std::size_t i = path_right_.size(); i-- > 0;) {
      const std::int32_t v = path_right_[i];
      Entry& back = flow_.entries[at(v)][cursor_[at(v)]];
      back.amount -= amount;
      if (back.amount == 0) keep = i;
      flow_.append(path_left_[i], v, amount);
    }
    flow_.append(path_left_.back(), sink, amount);
    layers_.work += path_left_.size();
    if (flow_.room[at(sink)] == 0) layers_.remove(sink, last_layer_);
    path_right_.resize(keep);
    path_left_.resize(keep + 1);
  }

  Layers& layers_;
  FlowState<Flow>& flow_;
  Watch<Layers>& watch_;
  std::vector<std::int32_t> left_layer_;  // distance in the last search, or kNone
  std::vector<std::size_t> cursor_;       // next entry of a right vertex to look at
  Vertices sources_, frontier_, found_, path_left_, path_right_;
  std::size_t last_layer_ = 0;
};

}  // namespace
}  // namespace lossfloor
