#include "slow_blocks.hpp"

#include <algorithm>
#include <cstddef>
#include <utility>

namespace trials {
namespace {

__extension__ typedef __int128 Big;
using Marks = std::vector<char>;

// The uppermost block of what is left consists of left vertices S and all their neighbours N(S), such that the ratio of
// their weights is the largest there is and S the largest set that has it. A ratio p / q is too small if some S gives
// q w(S) > p w(N(S)), which a maximum flow tells, and then S has a larger one (Dinkelbach).
class Peeler {
 public:
  explicit Peeler(const Case& one) : one_(one), left_here_(one.left, 1), right_here_(one.right, 1) {}

  Blocks all() {
    Blocks blocks{std::vector<std::int32_t>(one_.left, -1), std::vector<std::int32_t>(one_.right, -1), {}, {}};
    while (any(left_here_) || any(right_here_)) {
      const Marks left = uppermost();
      const Marks right = any(left) ? neighbours(left) : right_here_;
      const auto index = static_cast<std::int32_t>(blocks.a.size());
      blocks.a.push_back(weight(one_.left_weight, left));
      blocks.b.push_back(weight(one_.right_weight, right));
      take(left, left_here_, blocks.left, index);
      take(right, right_here_, blocks.right, index);
    }
    turn_around(blocks);
    return blocks;
  }

 private:
  static bool any(const Marks& marks) { return std::find(marks.begin(), marks.end(), 1) != marks.end(); }

  static std::int64_t weight(const std::vector<std::int64_t>& weights, const Marks& marks) {
    std::int64_t sum = 0;
    for (std::size_t i = 0; i < marks.size(); ++i) sum += marks[i] ? weights[i] : 0;
    return sum;
  }

  static void take(const Marks& marks, Marks& here, std::vector<std::int32_t>& block, std::int32_t index) {
    for (std::size_t i = 0; i < marks.size(); ++i) {
      if (!marks[i]) continue;
      here[i] = 0;
      block[i] = index;
    }
  }

  static void turn_around(Blocks& blocks) {
    const auto last = static_cast<std::int32_t>(blocks.a.size()) - 1;
    for (std::int32_t& block : blocks.left) block = last - block;
    for (std::int32_t& block : blocks.right) block = last - block;
    std::reverse(blocks.a.begin(), blocks.a.end());
    std::reverse(blocks.b.begin(), blocks.b.end());
  }

  Marks neighbours(const Marks& left) const {
    Marks result(one_.right, 0);
    for (std::size_t u = 0; u < one_.left; ++u) {
      for (std::size_t v = 0; left[u] && v < one_.right; ++v) {
        if (right_here_[v] && one_.conflict(u, v)) result[v] = 1;
      }
    }
    return result;
  }

  Marks without_conflicts() const {
    Marks result(one_.left, 0);
    for (std::size_t u = 0; u < one_.left; ++u) {
      Marks alone(one_.left, 0);
      alone[u] = 1;
      result[u] = left_here_[u] && !any(neighbours(alone));
    }
    return result;
  }

  // The left vertices of the uppermost block; none if there are right vertices only.
  Marks uppermost() {
    if (!any(left_here_)) return left_here_;
    const Marks alone = without_conflicts();
    if (any(alone)) return alone;
    Big p = weight(one_.left_weight, left_here_);
    Big q = weight(one_.right_weight, right_here_);
    while (true) {
      route(p, q);
      if (!any_left_over()) return cut_off();
      const Marks better = reached();
      p = weight(one_.left_weight, better);
      q = weight(one_.right_weight, neighbours(better));
    }
  }

  bool any_left_over() const {
    return std::any_of(supply_.begin(), supply_.end(), [](Big amount) { return amount > 0; });
  }

  // A maximum flow from supplies q w_u to rooms p w_v, by shortest augmenting paths.
  void route(Big p, Big q) {
    supply_.assign(one_.left, 0);
    room_.assign(one_.right, 0);
    flow_.assign(one_.left * one_.right, 0);
    for (std::size_t u = 0; u < one_.left; ++u) supply_[u] = left_here_[u] ? q * one_.left_weight[u] : 0;
    for (std::size_t v = 0; v < one_.right; ++v) room_[v] = right_here_[v] ? p * one_.right_weight[v] : 0;
    std::ptrdiff_t sink = search();
    while (sink >= 0) {
      push_to(static_cast<std::size_t>(sink));
      sink = search();
    }
  }

  // Breadth first from all left vertices with supply. A right vertex with room, or -1. Vertices are numbered left
  // before right; before_ tells from where each was reached: itself for a source, kNot if it was not.
  std::ptrdiff_t search() {
    before_.assign(one_.left + one_.right, kNot);
    std::vector<std::size_t> queue;
    const auto reach = [&](std::size_t vertex, std::size_t from) {
      if (before_[vertex] != kNot) return;
      before_[vertex] = static_cast<std::ptrdiff_t>(from);
      queue.push_back(vertex);
    };
    for (std::size_t u = 0; u < one_.left; ++u) {
      if (supply_[u] > 0) reach(u, u);
    }
    for (std::size_t i = 0; i < queue.size(); ++i) {
      const std::size_t vertex = queue[i];
      if (vertex < one_.left) {
        for (std::size_t v = 0; v < one_.right; ++v) {
          if (right_here_[v] && one_.conflict(vertex, v)) reach(one_.left + v, vertex);
        }
      } else {
        const std::size_t v = vertex - one_.left;
        if (room_[v] > 0) return static_cast<std::ptrdiff_t>(v);
        for (std::size_t u = 0; u < one_.left; ++u) {
          if (flow_[u * one_.right + v] > 0) reach(u, vertex);
        }
      }
    }
    return -1;
  }

  void push_to(std::size_t sink) {
    Big amount = room_[sink];
    std::size_t source = 0;
    walk(sink, [&](std::size_t u, std::size_t, std::size_t next) {
      source = u;
      if (next < one_.right) amount = std::min(amount, flow_[u * one_.right + next]);
    });
    amount = std::min(amount, supply_[source]);
    walk(sink, [&](std::size_t u, std::size_t v, std::size_t next) {
      flow_[u * one_.right + v] += amount;
      if (next < one_.right) flow_[u * one_.right + next] -= amount;
    });
    supply_[source] -= amount;
    room_[sink] -= amount;
  }

  // Calls visit(u, v, next) for each left vertex u of the path to right vertex `sink`, from its end: flow goes from u
  // to v, and comes back to u from `next`, which is no right vertex for the first u of the path.
  template <class Visit>
  void walk(std::size_t sink, const Visit& visit) const {
    std::size_t v = sink;
    while (v < one_.right) {
      const auto u = static_cast<std::size_t>(before_[one_.left + v]);
      const auto before = static_cast<std::size_t>(before_[u]);
      const std::size_t next = before == u ? one_.right : before - one_.left;
      visit(u, v, next);
      v = next;
    }
  }

  Marks reached() const {
    Marks result(one_.left, 0);
    for (std::size_t u = 0; u < one_.left; ++u) result[u] = before_[u] != kNot;
    return result;
  }

  // The left vertices from which no room can be reached.
  Marks cut_off() const {
    Marks left = left_here_;
    Marks right(one_.right, 0);
    for (std::size_t v = 0; v < one_.right; ++v) right[v] = room_[v] > 0;
    for (bool changed = true; changed;) {
      changed = false;
      for (std::size_t u = 0; u < one_.left; ++u) {
        for (std::size_t v = 0; v < one_.right; ++v) {
          if (left[u] && right[v] && one_.conflict(u, v)) {
            left[u] = 0;
            changed = true;
          }
          if (!left[u] && !right[v] && flow_[u * one_.right + v] > 0) {
            right[v] = 1;
            changed = true;
          }
        }
      }
    }
    return left;
  }

  static constexpr std::ptrdiff_t kNot = -1;
  const Case& one_;
  Marks left_here_;
  Marks right_here_;
  std::vector<Big> supply_;
  std::vector<Big> room_;
  std::vector<Big> flow_;  // [u][v]
  std::vector<std::ptrdiff_t> before_;
};

}  // namespace

Blocks slow_blocks(const Case& one) { return Peeler(one).all(); }

}  // namespace trials
