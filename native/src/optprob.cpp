#include "lossfloor/optprob.hpp"

#include <algorithm>
#include <numeric>
#include <utility>

namespace lossfloor {
namespace {

using Vertices = std::vector<std::int32_t>;
constexpr std::int32_t kNone = -1;

std::size_t at(std::int32_t vertex) { return static_cast<std::size_t>(vertex); }

// The conflicts of a block, seen by layers of a breadth-first search from the left. Two stores, one face:
//   enter(left, right, id)     make these vertices (ascending) the block that the calls below speak of
//   restart()                  forget the layers: every right vertex of the block is unvisited
//   visit(u, layer, found)     move the unvisited right neighbours of u into `layer`, calling found(v) for each
//   seal(layer)                no more will be moved into this layer
//   unvisited(v)               whether no search has found v since restart
//   rewind(u)                  let next(u, ..) begin again
//   next(u, layer)             a right neighbour of u that is alive in `layer`, or kNone; the same until it is removed
//   remove(v, layer)           v is alive in `layer` no more
//   work                       a count of the words or entries read, for polling

class BitLayers {
 public:
  std::size_t work = 0;

  explicit BitLayers(const BitGraph& graph) : graph_(graph), place_(graph.words, 0), cursor_(graph.left, 0) {}

  void enter(const Vertices&, const Vertices& right, std::int32_t) {
    words_.clear();
    all_.clear();
    for (const std::int32_t v : right) {
      const auto word = static_cast<std::uint32_t>(v) / 64;
      if (words_.empty() || words_.back() != word) {
        place_[word] = static_cast<std::uint32_t>(words_.size());
        words_.push_back(word);
        all_.push_back(0);
      }
      all_.back() |= std::uint64_t{1} << (v % 64);
    }
  }

  void restart() {
    unvisited_ = all_;
    open_.resize(words_.size());
    std::iota(open_.begin(), open_.end(), 0u);
    layers_.clear();
    sealed_.clear();
    sealed_begin_.clear();
  }

  template <class Found>
  void visit(std::int32_t u, std::size_t layer, const Found& found) {
    const std::size_t count = words_.size();
    if (layers_.size() < (layer + 1) * count) layers_.resize((layer + 1) * count, 0);
    std::uint64_t* alive = layers_.data() + layer * count;
    const std::uint64_t* row = graph_.row(at(u));
    work += open_.size() + 1;
    for (std::size_t k = 0; k < open_.size();) {
      const std::uint32_t i = open_[k];
      std::uint64_t fresh = row[words_[i]] & unvisited_[i];
      if (fresh == 0) {
        ++k;
        continue;
      }
      unvisited_[i] &= ~fresh;
      alive[i] |= fresh;
      for (; fresh != 0; fresh &= fresh - 1) {
        found(static_cast<std::int32_t>(words_[i] * 64 + static_cast<std::uint32_t>(__builtin_ctzll(fresh))));
      }
      if (unvisited_[i] != 0) {
        ++k;
      } else {  // nothing is left to find in this word: later visits pass it over
        open_[k] = open_.back();
        open_.pop_back();
      }
    }
  }

  void seal(std::size_t layer) {
    const std::size_t count = words_.size();
    if (layers_.size() < (layer + 1) * count) layers_.resize((layer + 1) * count, 0);
    if (sealed_begin_.empty()) sealed_begin_.push_back(0);
    for (std::size_t i = 0; i < count; ++i) {
      if (layers_[layer * count + i] != 0) sealed_.push_back(static_cast<std::uint32_t>(i));
    }
    sealed_begin_.push_back(sealed_.size());
  }

  bool unvisited(std::int32_t v) const { return (unvisited_[place(v)] >> (v % 64)) & 1; }

  void rewind(std::int32_t u) { cursor_[at(u)] = 0; }

  std::int32_t next(std::int32_t u, std::size_t layer) {
    const std::uint64_t* alive = layers_.data() + layer * words_.size();
    const std::uint64_t* row = graph_.row(at(u));
    const std::uint32_t* places = sealed_.data() + sealed_begin_[layer];
    const auto count = static_cast<std::uint32_t>(sealed_begin_[layer + 1] - sealed_begin_[layer]);
    std::uint32_t& k = cursor_[at(u)];
    const std::uint32_t begin = k;
    for (; k < count; ++k) {
      const std::uint32_t i = places[k];
      const std::uint64_t hit = row[words_[i]] & alive[i];
      if (hit != 0) {
        work += k - begin + 1;
        return static_cast<std::int32_t>(words_[i] * 64 + static_cast<std::uint32_t>(__builtin_ctzll(hit)));
      }
    }
    work += count - begin + 1;
    return kNone;
  }

  void remove(std::int32_t v, std::size_t layer) {
    layers_[layer * words_.size() + place(v)] &= ~(std::uint64_t{1} << (v % 64));
  }

 private:
  std::size_t place(std::int32_t v) const { return place_[static_cast<std::uint32_t>(v) / 64]; }

  const BitGraph& graph_;
  std::vector<std::uint32_t> words_;      // the words of a row that hold right vertices of the block
  std::vector<std::uint32_t> place_;      // where each such word stands in words_
  std::vector<std::uint64_t> all_;        // the right vertices of the block in those words
  std::vector<std::uint64_t> unvisited_;
  std::vector<std::uint32_t> open_;       // places of the words with unvisited vertices
  std::vector<std::uint64_t> layers_;     // [layer][place]: alive vertices
  std::vector<std::uint32_t> sealed_;     // for each layer the places where it had vertices
  std::vector<std::size_t> sealed_begin_;
  std::vector<std::uint32_t> cursor_;
};

class ListLayers {
 public:
  std::size_t work = 0;

  explicit ListLayers(const ListGraph& graph)
      : offsets_(graph.offsets), targets_(graph.targets, graph.targets + graph.offsets[graph.left]),
        end_(graph.offsets + 1, graph.offsets + 1 + graph.left), cursor_(graph.left, 0), block_(graph.right, kNone),
        layer_(graph.right, kNone) {}

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

 private:
  static constexpr std::int32_t kUnvisited = -1;
  static constexpr std::int32_t kRemoved = -2;
  const std::int64_t* offsets_;
  std::vector<std::int32_t> targets_;
  std::vector<std::int64_t> end_;
  std::vector<std::int64_t> cursor_;
  std::vector<std::int32_t> block_;
  std::vector<std::int32_t> layer_;
  const Vertices* right_ = nullptr;
};

struct Block {
  Vertices left;
  Vertices right;
  std::int64_t a = 0;
  std::int64_t b = 0;
  // Flow left over from the block that this one was cut from was in units of these; 0 where there is none.
  std::int64_t old_a = 0;
  std::int64_t old_b = 0;
};

std::pair<std::int64_t, std::int64_t> lowest_terms(std::int64_t a, std::int64_t b) {
  const std::int64_t g = std::gcd(a, b);
  return {a / g, b / g};
}

// Flow is int64 where supplies fit it, else 128 bits.
template <class Layers, class Flow>
class Solver {
 public:
  template <class Graph>
  Solver(const Graph& graph, std::vector<std::int64_t> left_weight, std::vector<std::int64_t> right_weight,
         const Poll& poll)
      : layers_(graph), left_weight_(std::move(left_weight)), right_weight_(std::move(right_weight)), poll_(poll),
        remaining_(graph.left, 0), room_(graph.right, 0), left_layer_(graph.left, kNone), entries_(graph.right),
        cursor_(graph.right, 0), compacted_(graph.right, 8) {}

  std::vector<Block> settled;
  std::int64_t n_flows = 0;
  std::int64_t n_searches = 0;

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
    for (std::size_t v = 0; v < entries_.size(); ++v) {
      for (const Entry& entry : entries_[v]) {
        if (entry.amount > 0) emit(entry.left, static_cast<std::int32_t>(v), Wide{entry.amount});
      }
    }
  }

 private:
  // Flow into a right vertex. A left vertex may have several entries at one right vertex; they add up.
  struct Entry {
    std::int32_t left;
    Flow amount;
  };

  void settle(Block block) {
    n_settled_ += block.left.size() + block.right.size();
    settled.push_back(std::move(block));
    look_up();
  }

  void look_up() {
    if (layers_.work < next_poll_) return;
    next_poll_ = layers_.work + 4'000'000;
    if (poll_ && poll_(n_settled_)) throw Cancelled();
  }

  // Routes as much as can be; true if that is everything. Leaves the last search in `layers_` and `left_layer_`.
  bool maximise(const Block& block) {
    const auto [a, b] = lowest_terms(block.a, block.b);
    for (const std::int32_t u : block.left) remaining_[at(u)] = Flow{left_weight_[at(u)]} * b;
    for (const std::int32_t v : block.right) room_[at(v)] = Flow{right_weight_[at(v)]} * a;
    if (block.old_a != 0) reuse(block, a, b);
    while (search(block)) {
      for (const std::int32_t u : sources_) {
        push_from(u);
        look_up();
      }
    }
    return sources_.empty();
  }

  // Shrinks the flow of the larger block until it fits the supplies and capacities of this one: both scale by
  // b / old_b and a / old_a, and the smaller of the two fits both.
  void reuse(const Block& block, std::int64_t a, std::int64_t b) {
    const bool by_left = Wide{b} * block.old_a < Wide{a} * block.old_b;
    const std::int64_t scale = by_left ? b : a;
    const std::int64_t unit = by_left ? block.old_b : block.old_a;
    for (const std::int32_t v : block.right) {
      compact(v);
      for (Entry& entry : entries_[at(v)]) {
        entry.amount = scaled_down(entry.amount, scale, unit);
        remaining_[at(entry.left)] -= entry.amount;
        room_[at(v)] -= entry.amount;
      }
    }
    // What rounding left behind goes along the same conflicts first.
    for (const std::int32_t v : block.right) {
      for (Entry& entry : entries_[at(v)]) {
        if (entry.amount == 0) continue;  // an empty entry may be a conflict with another block
        const Flow more = std::min(remaining_[at(entry.left)], room_[at(v)]);
        entry.amount += more;
        remaining_[at(entry.left)] -= more;
        room_[at(v)] -= more;
      }
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

  // Breadth-first search from all left vertices with supply to the nearest right vertices with room. True if any.
  bool search(const Block& block) {
    ++n_searches;
    layers_.restart();
    for (const std::int32_t u : block.left) left_layer_[at(u)] = kNone;
    sources_.clear();
    frontier_.clear();
    for (const std::int32_t u : block.left) {
      if (remaining_[at(u)] > 0) sources_.push_back(u);
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
          reached |= room_[at(v)] > 0;
        });
        look_up();
      }
      layers_.seal(layer);
      if (reached) {
        last_layer_ = layer;
        for (const std::int32_t v : found_) {
          if (room_[at(v)] == 0) layers_.remove(v, layer);
        }
        return true;
      }
      frontier_.clear();
      for (const std::int32_t v : found_) {
        compact(v);
        cursor_[at(v)] = 0;
        layers_.work += entries_[at(v)].size();
        for (const Entry& entry : entries_[at(v)]) {
          if (entry.amount > 0 && left_layer_[at(entry.left)] == kNone) {
            left_layer_[at(entry.left)] = static_cast<std::int32_t>(layer + 1);
            frontier_.push_back(entry.left);
          }
        }
      }
    }
    return false;
  }

  // Drops empty entries and adds up those of the same left vertex, when the list has grown enough to pay for it.
  void compact(std::int32_t v) {
    auto& list = entries_[at(v)];
    if (list.size() < compacted_[at(v)]) return;
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
    compacted_[at(v)] = std::max<std::size_t>(8, 2 * kept);
  }

  // Sends what it can from a source along shortest paths (depth first, dead ends removed).
  void push_from(std::int32_t source) {
    path_left_.assign(1, source);
    path_right_.clear();
    while (remaining_[at(source)] > 0) {
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
    const auto& list = entries_[at(v)];
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
    Flow amount = std::min(remaining_[at(source)], room_[at(sink)]);
    for (const std::int32_t v : path_right_) amount = std::min(amount, entries_[at(v)][cursor_[at(v)]].amount);
    remaining_[at(source)] -= amount;
    room_[at(sink)] -= amount;
    std::size_t keep = path_right_.size();
    for (std::size_t i = path_right_.size(); i-- > 0;) {
      const std::int32_t v = path_right_[i];
      Entry& back = entries_[at(v)][cursor_[at(v)]];
      back.amount -= amount;
      if (back.amount == 0) keep = i;
      add(path_left_[i], v, amount);
    }
    add(path_left_.back(), sink, amount);
    layers_.work += path_left_.size();
    if (room_[at(sink)] == 0) layers_.remove(sink, last_layer_);
    path_right_.resize(keep);
    path_left_.resize(keep + 1);
  }

  void add(std::int32_t u, std::int32_t v, Flow amount) {
    auto& list = entries_[at(v)];
    if (!list.empty() && list.back().left == u) {
      list.back().amount += amount;
    } else {
      list.push_back({u, amount});
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
      Block& part = left_layer_[at(u)] != kNone ? upper : lower;
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
  const Poll& poll_;
  std::vector<Flow> remaining_;            // supply not yet routed
  std::vector<Flow> room_;                 // capacity not yet used
  std::vector<std::int32_t> left_layer_;   // distance in the last search, or kNone
  std::vector<std::vector<Entry>> entries_;
  std::vector<std::size_t> cursor_;        // next entry of a right vertex to look at
  std::vector<std::size_t> compacted_;     // length at which its list is compacted
  Vertices sources_, frontier_, found_, path_left_, path_right_;
  std::size_t last_layer_ = 0;
  std::size_t n_settled_ = 0;
  std::size_t next_poll_ = 0;
};

std::int64_t total_of(const std::int64_t* weight, std::size_t count) {
  constexpr std::int64_t limit = std::int64_t{1} << 62;
  std::int64_t total = 0;
  for (std::size_t i = 0; i < count; ++i) {
    if (weight[i] <= 0) throw std::invalid_argument("weights must be positive");
    if (weight[i] >= limit - total) throw std::invalid_argument("the sum of all weights must be below 2^62");
    total += weight[i];
  }
  return total;
}

// One block for each component of the representatives, and their weights with those of their twins added.
struct Reduced {
  std::vector<std::int64_t> left_weight;
  std::vector<std::int64_t> right_weight;
  std::vector<Block> blocks;
};

template <class Graph>
Reduced reduce(const Graph& graph, const Twins& twin, const std::int64_t* left_weight,
               const std::int64_t* right_weight) {
  Reduced reduced{std::vector<std::int64_t>(graph.left, 0), std::vector<std::int64_t>(graph.right, 0), {}};
  for (std::size_t u = 0; u < graph.left; ++u) reduced.left_weight[at(twin.left[u])] += left_weight[u];
  for (std::size_t v = 0; v < graph.right; ++v) reduced.right_weight[at(twin.right[v])] += right_weight[v];
  const Components parts = components(graph);
  // Vertices without any conflict are twins too, though each is a component of its own: only the components that
  // have a representative become blocks.
  std::vector<std::int32_t> block_of(at(parts.count), kNone);
  const auto block = [&](std::int32_t part) -> Block& {
    if (block_of[at(part)] == kNone) {
      block_of[at(part)] = static_cast<std::int32_t>(reduced.blocks.size());
      reduced.blocks.emplace_back();
    }
    return reduced.blocks[at(block_of[at(part)])];
  };
  for (std::size_t u = 0; u < graph.left; ++u) {
    if (at(twin.left[u]) != u) continue;
    block(parts.left[u]).left.push_back(static_cast<std::int32_t>(u));
    block(parts.left[u]).a += reduced.left_weight[u];
  }
  for (std::size_t v = 0; v < graph.right; ++v) {
    if (at(twin.right[v]) != v) continue;
    block(parts.right[v]).right.push_back(static_cast<std::int32_t>(v));
    block(parts.right[v]).b += reduced.right_weight[v];
  }
  return reduced;
}

// Shares the flow of a representative among its twins: each takes what its weight asks for, in order.
void share_among_twins(std::vector<FlowEdge>& flow, const std::vector<std::int32_t>& twin,
                       const std::vector<Wide>& needs, std::int32_t FlowEdge::*side) {
  std::vector<std::int32_t> members(twin.size());
  std::iota(members.begin(), members.end(), 0);
  std::stable_sort(members.begin(), members.end(),
                   [&](std::int32_t x, std::int32_t y) { return twin[at(x)] < twin[at(y)]; });
  std::stable_sort(flow.begin(), flow.end(),
                   [&](const FlowEdge& x, const FlowEdge& y) { return x.*side < y.*side; });
  std::vector<FlowEdge> shared;
  shared.reserve(flow.size() + twin.size());
  std::size_t member = 0;
  Wide taken = 0;
  for (FlowEdge edge : flow) {
    const std::int32_t representative = edge.*side;
    while (edge.amount > 0) {
      while (twin[at(members[member])] != representative || taken == needs[at(members[member])]) {
        ++member;
        taken = 0;
      }
      const std::int32_t v = members[member];
      const Wide amount = std::min(edge.amount, needs[at(v)] - taken);
      FlowEdge piece = edge;
      piece.*side = v;
      piece.amount = amount;
      shared.push_back(piece);
      taken += amount;
      edge.amount -= amount;
    }
  }
  flow = std::move(shared);
}

bool smaller_posterior(const Block& x, const Block& y) { return Wide{x.a} * y.b < Wide{y.a} * x.b; }

template <class Layers, class Flow, class Graph>
Partition solve_with(const Graph& graph, const std::int64_t* left_weight, const std::int64_t* right_weight,
                     const Poll& poll) {
  const Twins twin = twins(graph);
  Reduced reduced = reduce(graph, twin, left_weight, right_weight);
  Solver<Layers, Flow> solver(graph, std::move(reduced.left_weight), std::move(reduced.right_weight), poll);
  solver.run(std::move(reduced.blocks));

  Partition result;
  result.n_flows = solver.n_flows;
  result.n_searches = solver.n_searches;
  result.left_block.assign(graph.left, kNone);
  result.right_block.assign(graph.right, kNone);
  std::vector<Block>& blocks = solver.settled;
  std::stable_sort(blocks.begin(), blocks.end(), smaller_posterior);
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    if (i == 0 || smaller_posterior(blocks[i - 1], blocks[i])) {
      result.a.push_back(0);
      result.b.push_back(0);
    }
    result.a.back() += blocks[i].a;
    result.b.back() += blocks[i].b;
    const auto index = static_cast<std::int32_t>(result.a.size() - 1);
    for (const std::int32_t u : blocks[i].left) result.left_block[at(u)] = index;
    for (const std::int32_t v : blocks[i].right) result.right_block[at(v)] = index;
  }
  std::vector<Wide> supply(graph.left);
  std::vector<Wide> capacity(graph.right);
  for (std::size_t u = 0; u < graph.left; ++u) {
    const std::int32_t block = result.left_block[u] = result.left_block[at(twin.left[u])];
    supply[u] = Wide{left_weight[u]} * lowest_terms(result.a[at(block)], result.b[at(block)]).second;
  }
  for (std::size_t v = 0; v < graph.right; ++v) {
    const std::int32_t block = result.right_block[v] = result.right_block[at(twin.right[v])];
    capacity[v] = Wide{right_weight[v]} * lowest_terms(result.a[at(block)], result.b[at(block)]).first;
  }

  solver.for_each_flow([&](std::int32_t u, std::int32_t v, Wide amount) { result.flow.push_back({u, v, amount}); });
  share_among_twins(result.flow, twin.left, supply, &FlowEdge::left);
  share_among_twins(result.flow, twin.right, capacity, &FlowEdge::right);
  std::sort(result.flow.begin(), result.flow.end(), [](const FlowEdge& x, const FlowEdge& y) {
    return x.left != y.left ? x.left < y.left : x.right < y.right;
  });
  std::size_t kept = 0;
  for (const FlowEdge& edge : result.flow) {
    if (kept > 0 && result.flow[kept - 1].left == edge.left && result.flow[kept - 1].right == edge.right) {
      result.flow[kept - 1].amount += edge.amount;
    } else {
      result.flow[kept++] = edge;
    }
  }
  result.flow.resize(kept);
  return result;
}

template <class Layers, class Graph>
Partition solve_any(const Graph& graph, const std::int64_t* left_weight, const std::int64_t* right_weight,
                    const Poll& poll) {
  const std::int64_t left_total = total_of(left_weight, graph.left);
  const std::int64_t right_total = total_of(right_weight, graph.right);
  const Wide limit = Wide{1} << 62;
  if (Wide{left_total} + right_total >= limit) {
    throw std::invalid_argument("the sum of all weights must be below 2^62");
  }
  if (Wide{left_total} * right_total < limit) {
    return solve_with<Layers, std::int64_t>(graph, left_weight, right_weight, poll);
  }
  return solve_with<Layers, Wide>(graph, left_weight, right_weight, poll);
}

}  // namespace

Partition solve(const BitGraph& graph, const std::int64_t* left_weight, const std::int64_t* right_weight,
                const Poll& poll) {
  return solve_any<BitLayers>(graph, left_weight, right_weight, poll);
}

Partition solve(const ListGraph& graph, const std::int64_t* left_weight, const std::int64_t* right_weight,
                const Poll& poll) {
  return solve_any<ListLayers>(graph, left_weight, right_weight, poll);
}

}  // namespace lossfloor
