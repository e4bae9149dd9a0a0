// The flow of a block, and polling the caller while it is computed.
//
// Part of solver.cpp, which alone includes it. The unnamed namespace lets the compiler inline what is called once.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "lossfloor/poll.hpp"
#include "vertices.hpp"

namespace lossfloor {
namespace {

// Flow is int64 where supplies fit it, else 128 bits.
template <class Flow>
struct FlowState {
  // Flow into a right vertex. A left vertex may have several entries at one right vertex; they add up.
  struct Entry {
    std::int32_t left;
    Flow amount;
  };

  std::vector<Flow> remaining;              // supply not yet routed
  std::vector<Flow> room;                   // capacity not yet used
  std::vector<std::vector<Entry>> entries;  // of each right vertex
  std::vector<std::size_t> compacted;       // length at which its list is compacted

  FlowState(std::size_t left, std::size_t right)
      : remaining(left, 0), room(right, 0), entries(right), compacted(right, 8) {}

  // Adds to the entry of u at v.
  void put(std::int32_t u, std::int32_t v, Flow amount) {
    for (Entry& entry : entries[at(v)]) {
      if (entry.left != u) continue;
      entry.amount += amount;
      return;
    }
    entries[at(v)].push_back({u, amount});
  }

  // Adds to the entry of u at v if that is the last, else makes another one.
  void append(std::int32_t u, std::int32_t v, Flow amount) {
    auto& list = entries[at(v)];
    if (!list.empty() && list.back().left == u) {
      list.back().amount += amount;
    } else {
      list.push_back({u, amount});
    }
  }

  void drop_empty(std::int32_t v) {
    auto& list = entries[at(v)];
    list.erase(std::remove_if(list.begin(), list.end(), [](const Entry& entry) { return entry.amount == 0; }),
               list.end());
  }

  // Drops empty entries and adds up those of the same left vertex, when the list has grown enough to pay for it.
  void compact(std::int32_t v) {
    auto& list = entries[at(v)];
    if (list.size() < compacted[at(v)]) return;
    std::sort(list.begin(), list.end(), [](const Entry& x, const Entry& y) { return x.left < y.left; });
    std::size_t kept = 0;
    for (const Entry& entry : list) {
      if (entry.amount == 0) continue;
      if (kept > 0 && list[kept - 1].left == entry.left) {
        list[kept - 1].amount += entry.amount;
      } else {
        list[kept++] = entry;
      }
    }
    list.resize(kept);
    compacted[at(v)] = std::max<std::size_t>(8, 2 * kept);
  }
};

// Polls whenever the layers have done enough work.
template <class Layers>
class Watch {
 public:
  Watch(const Layers& layers, const Poll& poll) : layers_(layers), poll_(poll) {}

  std::size_t settled = 0;

  void look_up() {
    if (layers_.work < next_) return;
    next_ = layers_.work + 4'000'000;
    if (poll_) poll_(settled);
  }

 private:
  const Layers& layers_;
  const Poll& poll_;
  std::size_t next_ = 0;
};

}  // namespace
}  // namespace lossfloor
