// Push-relabel, which routes most of the flow of a block. A right vertex with room has height 0, a left one the height
// of its lowest neighbour, and a full right one that of the lowest left vertex whose flow it could give back, plus one;
// heights may be too low, never too high. Supply goes to the lowest neighbour, which gives back as much of other flow
// where it is full. So this is a flow at all times, and may stop anywhere: ShortestPaths finds what is left to do. At
// all times, too, every entry of a right vertex of the block is flow, more than 0, from a left vertex of the block;
// what is stored of other vertices is out of date.
//
// Part of solver.cpp, which alone includes it. The unnamed namespace lets the compiler inline what is called once.
#pragma once

#include <algorithm>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <vector>

#include "flow.hpp"
#include "vertices.hpp"

namespace lossfloor {
namespace {

template <class Layers, class Flow>
class PushRelabel {
 public:
  PushRelabel(Layers& layers, FlowState<Flow>& flow, Watch<Layers>& watch)
      : layers_(layers), flow_(flow), watch_(watch), left_height_(flow.remaining.size(), 0),
        right_height_(flow.room.size(), 0), end_(flow.remaining.size(), 0) {}

  void run(const Block& block) {
    active_.clear();
    for (const std::int32_t u : block.left) {
      if (flow_.remaining[at(u)] > 0) active_.push_back(u);
    }
    level_out(block);
    std::size_t kept = 0;
    for (const std::int32_t u : active_) {
      fill_room(u);
      if (flow_.remaining[at(u)] > 0) active_[kept++] = u;
    }
    active_.resize(kept);
    for (int round = 0; round < kMostRounds && !active_.empty(); ++round) {
      measure(block);
      const std::size_t enough = block.left.size() + block.right.size();
      n_lifts_ = 0;
      std::size_t next = 0;
      for (; next < active_.size() && n_lifts_ < enough; ++next) {
        discharge(active_[next]);
        watch_.look_up();
      }
      active_.erase(active_.begin(), active_.begin() + static_cast<std::ptrdiff_t>(next));
    }
  }

 private:
  using Entry = typename FlowState<Flow>::Entry;
  static constexpr int kMostRounds = 16;
  static constexpr std::int32_t kMostHeight = 256;

  // Height 0 for what has room, none for all others.
  void level_out(const Block& block) {
    layers_.flatten();
    population_.assign(1, 0);
    for (const std::int32_t v : block.right) {
      right_height_[at(v)] = kFar;
      if (flow_.room[at(v)] > 0) lift(v, 0);
    }
  }

  // Makes all heights as large as they can be.
  void measure(const Block& block) {
    level_out(block);
    sort_flow(block);
    // The k of the left vertices of the block that have no height yet.
    frontier_.resize(block.left.size());
    std::iota(frontier_.begin(), frontier_.end(), 0);
    for (const std::int32_t u : block.left) left_height_[at(u)] = kFar;
    for (std::int32_t height = 0; height < kMostHeight && population_.size() > at(height); ++height) {
      found_.clear();
      std::size_t kept = 0;
      for (const std::int32_t k : frontier_) {
        const std::int32_t u = block.left[at(k)];
        std::int32_t v = kNone;
        if (layers_.lowest(u, height, v) == kFar) {
          frontier_[kept++] = k;
          continue;
        }
        left_height_[at(u)] = height;
        const std::size_t begin = k == 0 ? 0 : end_[at(block.left[at(k - 1)])];
        found_.insert(found_.end(), targets_.begin() + static_cast<std::ptrdiff_t>(begin),
                      targets_.begin() + static_cast<std::ptrdiff_t>(end_[at(u)]));
      }
      frontier_.resize(kept);
      for (const std::int32_t v : found_) {
        if (right_height_[at(v)] == kFar) lift(v, height + 1);
      }
      watch_.look_up();
    }
  }

  // Lists the right vertices to which the flow of each left vertex goes. Those of the k-th left vertex of the block end
  // where those of the next begin.
  void sort_flow(const Block& block) {
    for (const std::int32_t u : block.left) end_[at(u)] = 0;
    for (const std::int32_t v : block.right) {
      for (const Entry& entry : flow_.entries[at(v)]) {
        assert(entry.amount > 0);
        ++end_[at(entry.left)];
      }
    }
    std::size_t total = 0;
    for (const std::int32_t u : block.left) {
      total += end_[at(u)];
      end_[at(u)] = total - end_[at(u)];
    }
    targets_.resize(total);
    for (const std::int32_t v : block.right) {
      for (const Entry& entry : flow_.entries[at(v)]) targets_[end_[at(entry.left)]++] = v;
    }
    layers_.work += total;
  }

  void lift(std::int32_t v, std::int32_t to) {
    const std::int32_t from = right_height_[at(v)];
    if (from != kFar && --population_[at(from)] == 0) {  // no way from above leads past an empty height
      layers_.clear_above(from);
      population_.resize(at(from) + 1);
      to = kFar;
    }
    layers_.lift(v, from, to);
    right_height_[at(v)] = to;
    if (to == kFar) return;
    if (population_.size() <= at(to)) population_.resize(at(to) + 1, 0);
    ++population_[at(to)];
  }

  void fill_room(std::int32_t u) {
    std::int32_t v = kNone;
    while (flow_.remaining[at(u)] > 0 && layers_.lowest(u, 0, v) == 0) {
      const Flow amount = std::min(flow_.remaining[at(u)], flow_.room[at(v)]);
      flow_.remaining[at(u)] -= amount;
      flow_.room[at(v)] -= amount;
      flow_.put(u, v, amount);
      if (flow_.room[at(v)] == 0) lift(v, 1);
    }
  }

  void discharge(std::int32_t u) {
    std::int32_t& height = left_height_[at(u)];
    while (flow_.remaining[at(u)] > 0) {
      if (height == 0) fill_room(u);
      if (flow_.remaining[at(u)] == 0 || height == kFar) return;
      std::int32_t v = kNone;
      height = layers_.lowest(u, height, v);
      if (height == 0 || height == kFar) continue;
      auto& list = flow_.entries[at(v)];
      std::size_t giver = list.size();
      std::int32_t least = kFar;
      layers_.work += list.size();
      for (std::size_t i = 0; i < list.size(); ++i) {
        if (left_height_[at(list[i].left)] < least) {
          least = left_height_[at(list[i].left)];
          giver = i;
        }
      }
      if (least >= height) {
        ++n_lifts_;
        lift(v, least >= kMostHeight ? kFar : least + 1);
        continue;
      }
      give_back(u, v, giver);
    }
  }

  // Supply of u goes to v, which gives back as much to one whose flow it has.
  void give_back(std::int32_t u, std::int32_t v, std::size_t giver) {
    auto& list = flow_.entries[at(v)];
    const std::int32_t other = list[giver].left;
    const Flow amount = std::min(flow_.remaining[at(u)], list[giver].amount);
    if (flow_.remaining[at(other)] == 0) active_.push_back(other);
    flow_.remaining[at(other)] += amount;
    flow_.remaining[at(u)] -= amount;
    list[giver].amount -= amount;
    if (list[giver].amount == 0) {
      list[giver] = list.back();
      list.pop_back();
    }
    flow_.put(u, v, amount);
  }

  Layers& layers_;
  FlowState<Flow>& flow_;
  Watch<Layers>& watch_;
  Vertices left_height_, right_height_;
  std::vector<std::size_t> population_;  // right vertices of each height
  Vertices active_;                      // left vertices with supply that may have a way to room
  std::size_t n_lifts_ = 0;
  Vertices targets_;  // right vertices to which flow goes, by left vertex
  std::vector<std::size_t> end_;
  Vertices frontier_, found_;
};

}  // namespace
}  // namespace lossfloor
