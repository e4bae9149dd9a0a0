// The conflicts of a block as lists; bit_layers.hpp says what the functions do.
//
// Part of solver.cpp, which alone includes it. The unnamed namespace lets the compiler inline what is called once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "lossfloor/isotonic/graph.hpp"
#include "vertices.hpp"

namespace lossfloor {
namespace {

class ListLayers {
 public:
  std::size_t work = 0;

  explicit ListLayers(const ListGraph& graph)
      : offsets_(graph.offsets), targets_(graph.targets, graph.targets + graph.offsets[graph.left]),
        end_(graph.offsets + 1, graph.offsets + 1 + graph.left), cursor_(graph.left, 0), block_(graph.right, kNone),
        layer_(graph.right, kNone), height_(graph.right, kFar) {}

  // Conflicts with other blocks never come back: they are dropped from the lists here.
  void enter(const Vertices& left, const Vertices& right, std::int32_t id) {
    right_ = &right;
    for (const std::int32_t v : right) block_[at(v)] = id;
    for (const std::int32_t u : left) {
      std::int64_t kept = offsets_[u];
      for (std::int64_t e = offsets_[u]; e < end_[at(u)]; ++e) {
        const std::int32_t v = targets_[static_cast<std::size_t>(e)];
        if (block_[at(v)] == id) targets_[static_cast<std::size_t>(kept++)] = v;
      }
      work += static_cast<std::size_t>(end_[at(u)] - offsets_[u]);
      end_[at(u)] = kept;
    }
  }

  void restart() {
    for (const std::int32_t v : *right_) layer_[at(v)] = kUnvisited;
  }

  template <class Found>
  void visit(std::int32_t u, std::size_t layer, const Found& found) {
    work += static_cast<std::size_t>(end_[at(u)] - offsets_[u]);
    for (std::int64_t e = offsets_[u]; e < end_[at(u)]; ++e) {
      const std::int32_t v = targets_[static_cast<std::size_t>(e)];
      if (layer_[at(v)] != kUnvisited) continue;
      layer_[at(v)] = static_cast<std::int32_t>(layer);
      found(v);
    }
  }

  void seal(std::size_t) {}

  bool unvisited(std::int32_t v) const { return layer_[at(v)] == kUnvisited; }

  void rewind(std::int32_t u) { cursor_[at(u)] = offsets_[u]; }

  std::int32_t next(std::int32_t u, std::size_t layer) {
    for (std::int64_t& e = cursor_[at(u)]; e < end_[at(u)]; ++e) {
      ++work;
      const std::int32_t v = targets_[static_cast<std::size_t>(e)];
      if (layer_[at(v)] == static_cast<std::int32_t>(layer)) return v;
    }
    return kNone;
  }

  void remove(std::int32_t v, std::size_t) { layer_[at(v)] = kRemoved; }

  void flatten() {
    for (const std::int32_t v : *right_) height_[at(v)] = kFar;
    for (Vertices& some : lifted_) some.clear();
  }

  void lift(std::int32_t v, std::int32_t, std::int32_t to) {
    height_[at(v)] = to;
    if (to == kFar) return;
    if (lifted_.size() <= at(to)) lifted_.resize(at(to) + 1);
    lifted_[at(to)].push_back(v);
  }

  void clear_above(std::int32_t height) {
    for (std::size_t above = at(height) + 1; above < lifted_.size(); ++above) {
      work += lifted_[above].size();
      for (const std::int32_t v : lifted_[above]) {
        if (height_[at(v)] == static_cast<std::int32_t>(above)) height_[at(v)] = kFar;
      }
      lifted_[above].clear();
    }
  }

  std::int32_t lowest(std::int32_t u, std::int32_t height, std::int32_t& v) {
    std::int32_t least = kFar;
    for (std::int64_t e = offsets_[u]; e < end_[at(u)]; ++e) {
      ++work;
      const std::int32_t target = targets_[static_cast<std::size_t>(e)];
      if (height_[at(target)] >= least) continue;
      least = height_[at(target)];
      v = target;
      if (least == height) break;
    }
    return least;
  }

 private:
  static constexpr std::int32_t kUnvisited = -1;
  static constexpr std::int32_t kRemoved = -2;
  const std::int64_t* offsets_;
  std::vector<std::int32_t> targets_;
  std::vector<std::int64_t> end_;
  std::vector<std::int64_t> cursor_;
  std::vector<std::int32_t> block_;
  std::vector<std::int32_t> layer_;
  std::vector<std::int32_t> height_;
  std::vector<Vertices> lifted_;  // [height]: vertices lifted to it; stale entries are skipped by comparing height_
  const Vertices* right_ = nullptr;
};

}  // namespace
}  // namespace lossfloor
