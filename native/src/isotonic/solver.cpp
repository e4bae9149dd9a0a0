#include "lossfloor/isotonic/solver.hpp"

#include <algorithm>
#include <cassert>
#include <numeric>
#include <utility>

#include "lossfloor/simd/bit_rows.hpp"

namespace lossfloor {
namespace {

using Vertices = std::vector<std::int32_t>;
constexpr std::int32_t kNone = -1;
constexpr std::int32_t kFar = 1 << 30;  // the height of what has no way to room

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
//   flatten()                  every right vertex of the block gets height kFar
//   lift(v, from, to)          gives v, of height `from`, the height `to`
//   clear_above(height)        every right vertex above `height` gets height kFar
//   lowest(u, height, v)       the smallest height from `height` on of a right neighbour of u, and such a one in v; kFar
//                              if there is none
//   work                       a count of the words or entries read, for polling

class BitLayers {
 public:
  std::size_t work = 0;

  BitLayers(const BitGraph& graph, Level most)
      : graph_(graph), steps_(bit_steps(most)), row_(graph.left, nullptr), place_(graph.right, 0), cursor_(graph.left, 0) {}

  // Copies the rows of the block with nothing but its own columns, so that searches read neighbouring words only. Of a
  // large graph that is done when it has shrunk to an eighth, as memory matters there.
  void enter(const Vertices& left, const Vertices& right, std::int32_t) {
    pieces_.clear();
    for (const std::int32_t v : right) {
      const auto word = static_cast<std::uint32_t>(v) / 64;
      if (pieces_.empty() || pieces_.back().word != word) pieces_.push_back({word, 0, 0});
      pieces_.back().mask |= std::uint64_t{1} << (v % 64);
    }
    std::size_t width = 0;
    for (Piece& piece : pieces_) {
      const int bits = __builtin_popcountll(piece.mask);
      piece.width = bits > steps_.most_packed ? 64 : static_cast<std::uint32_t>(bits);
      width += piece.width;
    }
    words_ = (width + 63) / 64;
    if (left.size() * words_ > std::max(kAlwaysPacked, graph_.left * graph_.words / 8)) {
      words_ = graph_.words;
      for (const std::int32_t u : left) row_[at(u)] = graph_.row(at(u));
      for (const std::int32_t v : right) place_[at(v)] = v;
    } else {
      packed_.assign(left.size() * words_, 0);
      std::uint64_t* row = packed_.data();
      for (const std::int32_t u : left) {
        steps_.pack(graph_.row(at(u)), pieces_.data(), pieces_.size(), row);
        row_[at(u)] = row;
        row += words_;
      }
      work += left.size() * pieces_.size();
      std::int32_t begin = 0;
      std::size_t next = 0;
      for (const Piece& piece : pieces_) {
        for (std::int32_t k = 0; next < right.size() && static_cast<std::uint32_t>(right[next]) / 64 == piece.word;
             ++k, ++next) {
          place_[at(right[next])] = begin + (piece.width == 64 ? right[next] % 64 : k);
        }
        begin += static_cast<std::int32_t>(piece.width);
      }
    }
    vertex_.resize(std::max(vertex_.size(), words_ * 64));
    found_.resize(vertex_.size());
    all_.assign(words_, 0);
    for (const std::int32_t v : right) {
      const std::int32_t place = place_[at(v)];
      vertex_[at(place)] = v;
      all_[at(place / 64)] |= std::uint64_t{1} << (place % 64);
    }
  }

  void restart() {
    unvisited_ = all_;
    open_.resize((words_ + kChunk - 1) / kChunk);
    std::iota(open_.begin(), open_.end(), 0u);
    n_open_ = open_.size();
    layers_.clear();
    sealed_.clear();
    sealed_begin_.assign(1, 0);
  }

  template <class Found>
  void visit(std::int32_t u, std::size_t layer, const Found& found) {
    if (layers_.size() < (layer + 1) * words_) layers_.resize((layer + 1) * words_, 0);
    work += n_open_ * kChunk + 1;
    const std::size_t count = steps_.visit(row_[at(u)], words_, unvisited_.data(), layers_.data() + layer * words_,
                                           open_.data(), &n_open_, found_.data());
    for (std::size_t i = 0; i < count; ++i) found(vertex_[at(found_[i])]);
  }

  void seal(std::size_t layer) {
    if (layers_.size() < (layer + 1) * words_) layers_.resize((layer + 1) * words_, 0);
    const std::uint64_t* alive = layers_.data() + layer * words_;
    for (std::size_t begin = 0; begin < words_; begin += kChunk) {
      const std::uint64_t* end = alive + std::min(begin + kChunk, words_);
      if (std::any_of(alive + begin, end, [](std::uint64_t word) { return word != 0; })) {
        sealed_.push_back(static_cast<std::uint32_t>(begin / kChunk));
      }
    }
    sealed_begin_.push_back(sealed_.size());
  }

  bool unvisited(std::int32_t v) const {
    const std::int32_t place = place_[at(v)];
    return (unvisited_[at(place / 64)] >> (place % 64)) & 1;
  }

  void rewind(std::int32_t u) { cursor_[at(u)] = 0; }

  std::int32_t next(std::int32_t u, std::size_t layer) {
    const std::uint32_t* chunks = sealed_.data() + sealed_begin_[layer];
    const std::size_t count = sealed_begin_[layer + 1] - sealed_begin_[layer];
    std::int32_t place = kNone;
    const std::size_t k =
        steps_.meet(row_[at(u)], words_, layers_.data() + layer * words_, chunks, cursor_[at(u)], count, &place);
    work += (k - cursor_[at(u)]) * kChunk + 1;
    cursor_[at(u)] = static_cast<std::uint32_t>(k);
    return place == kNone ? kNone : vertex_[at(place)];
  }

  void remove(std::int32_t v, std::size_t layer) {
    const std::int32_t place = place_[at(v)];
    layers_[layer * words_ + at(place / 64)] &= ~(std::uint64_t{1} << (place % 64));
  }

  void flatten() {
    heights_.clear();
    every_.resize((words_ + kChunk - 1) / kChunk);
    std::iota(every_.begin(), every_.end(), 0u);
  }

  void lift(std::int32_t v, std::int32_t from, std::int32_t to) {
    const std::int32_t place = place_[at(v)];
    const std::uint64_t bit = std::uint64_t{1} << (place % 64);
    const std::size_t word = at(place / 64);
    if (from != kFar) heights_[at(from) * words_ + word] &= ~bit;
    if (to == kFar) return;
    if (heights_.size() < (at(to) + 1) * words_) heights_.resize((at(to) + 1) * words_, 0);
    heights_[at(to) * words_ + word] |= bit;
  }

  void clear_above(std::int32_t height) {
    heights_.resize(std::min(heights_.size(), (at(height) + 1) * words_));
  }

  std::int32_t lowest(std::int32_t u, std::int32_t height, std::int32_t& v) {
    for (std::size_t begin = at(height) * words_; begin < heights_.size(); begin += words_, ++height) {
      std::int32_t place = kNone;
      work += words_;
      steps_.meet(row_[at(u)], words_, heights_.data() + begin, every_.data(), 0, every_.size(), &place);
      if (place == kNone) continue;
      v = vertex_[at(place)];
      return height;
    }
    return kFar;
  }

 private:
  static constexpr std::size_t kAlwaysPacked = std::size_t{1} << 16;  // words
  const BitGraph& graph_;
  const BitSteps& steps_;
  std::vector<Piece> pieces_;
  std::vector<std::uint64_t> packed_;      // the rows of the block, unless they are those of the graph
  std::size_t words_ = 0;                  // of a row
  std::vector<const std::uint64_t*> row_;  // of each left vertex of the block
  Vertices place_;                         // the bit of each right vertex of the block in its rows
  Vertices vertex_;                        // the vertex of each such bit
  std::vector<std::uint64_t> all_;         // the bits of the block
  std::vector<std::uint64_t> unvisited_;
  std::vector<std::uint32_t> open_;        // the first n_open_ are the chunks with unvisited bits
  std::size_t n_open_ = 0;
  Vertices found_;
  std::vector<std::uint64_t> layers_;      // [layer][word]: alive bits
  std::vector<std::uint32_t> sealed_;      // for each layer the chunks where it had bits
  std::vector<std::size_t> sealed_begin_;
  std::vector<std::uint64_t> heights_;     // [height][word]: bits of the vertices of that height
  std::vector<std::uint32_t> every_;       // all chunks
  std::vector<std::uint32_t> cursor_;
};

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
  std::vector<Vertices> lifted_;  // those that were given each height, some of which have another one by now
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
  Solver(Layers layers, const Graph& graph, std::vector<std::int64_t> left_weight,
         std::vector<std::int64_t> right_weight, const Poll& poll)
      : layers_(std::move(layers)), left_weight_(std::move(left_weight)), right_weight_(std::move(right_weight)), poll_(poll),
        remaining_(graph.left, 0), room_(graph.right, 0), left_layer_(graph.left, kNone), entries_(graph.right),
        cursor_(graph.right, 0), compacted_(graph.right, 8), left_height_(graph.left, 0), right_height_(graph.right, 0),
        flow_end_(graph.left, 0) {}

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

  static constexpr int kMostRounds = 16;
  static constexpr std::int32_t kMostHeight = 256;

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
    push_down(block);
    while (search(block)) {
      for (const std::int32_t u : sources_) {
        push_from(u);
        look_up();
      }
    }
    return sources_.empty();
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
      drop_empty(v);
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
        const Flow more = std::min(remaining_[at(entry.left)], room_[at(v)]);
        entry.amount += more;
        remaining_[at(entry.left)] -= more;
        room_[at(v)] -= more;
      }
      drop_empty(v);
    }
  }

  void drop_empty(std::int32_t v) {
    auto& list = entries_[at(v)];
    list.erase(std::remove_if(list.begin(), list.end(), [](const Entry& entry) { return entry.amount == 0; }),
               list.end());
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

  // Push-relabel. A right vertex with room has height 0, a left one the height of its lowest neighbour, and a full right
  // one that of the lowest left vertex whose flow it could give back, plus one; heights may be too low, never too high.
  // Supply goes to the lowest neighbour, which gives back as much of other flow where it is full. So this is a flow all
  // the time, and may stop anywhere: `search` finds what is left to do. All the time too, every entry of a right vertex
  // of the block is flow, more than 0, from a left vertex of the block: what is known of others here is out of date.
  void push_down(const Block& block) {
    active_.clear();
    for (const std::int32_t u : block.left) {
      if (remaining_[at(u)] > 0) active_.push_back(u);
    }
    level_out(block);
    std::size_t kept = 0;
    for (const std::int32_t u : active_) {
      fill_room(u);
      if (remaining_[at(u)] > 0) active_[kept++] = u;
    }
    active_.resize(kept);
    for (int round = 0; round < kMostRounds && !active_.empty(); ++round) {
      measure(block);
      const std::size_t enough = block.left.size() + block.right.size();
      n_lifts_ = 0;
      std::size_t next = 0;
      for (; next < active_.size() && n_lifts_ < enough; ++next) {
        discharge(active_[next]);
        look_up();
      }
      active_.erase(active_.begin(), active_.begin() + static_cast<std::ptrdiff_t>(next));
    }
  }

  // Height 0 for what has room, none for all others.
  void level_out(const Block& block) {
    layers_.flatten();
    population_.assign(1, 0);
    for (const std::int32_t v : block.right) {
      right_height_[at(v)] = kFar;
      if (room_[at(v)] > 0) lift(v, 0);
    }
  }

  // Makes all heights as large as they can be.
  void measure(const Block& block) {
    level_out(block);
    for (const std::int32_t u : block.left) flow_end_[at(u)] = 0;
    for (const std::int32_t v : block.right) {
      for (const Entry& entry : entries_[at(v)]) {
        assert(entry.amount > 0);
        ++flow_end_[at(entry.left)];
      }
    }
    std::size_t total = 0;
    for (const std::int32_t u : block.left) {
      total += flow_end_[at(u)];
      flow_end_[at(u)] = total - flow_end_[at(u)];
    }
    flow_.resize(total);
    for (const std::int32_t v : block.right) {
      for (const Entry& entry : entries_[at(v)]) flow_[flow_end_[at(entry.left)]++] = v;
    }
    layers_.work += total;
    // The flow of the k-th left vertex of the block ends where that of the next begins.
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
        const std::size_t begin = k == 0 ? 0 : flow_end_[at(block.left[at(k - 1)])];
        found_.insert(found_.end(), flow_.begin() + static_cast<std::ptrdiff_t>(begin),
                      flow_.begin() + static_cast<std::ptrdiff_t>(flow_end_[at(u)]));
      }
      frontier_.resize(kept);
      for (const std::int32_t v : found_) {
        if (right_height_[at(v)] == kFar) lift(v, height + 1);
      }
      look_up();
    }
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
    while (remaining_[at(u)] > 0 && layers_.lowest(u, 0, v) == 0) {
      const Flow amount = std::min(remaining_[at(u)], room_[at(v)]);
      remaining_[at(u)] -= amount;
      room_[at(v)] -= amount;
      put(u, v, amount);
      if (room_[at(v)] == 0) lift(v, 1);
    }
  }

  void discharge(std::int32_t u) {
    std::int32_t& height = left_height_[at(u)];
    while (remaining_[at(u)] > 0) {
      if (height == 0) fill_room(u);
      if (remaining_[at(u)] == 0 || height == kFar) return;
      std::int32_t v = kNone;
      height = layers_.lowest(u, height, v);
      if (height == 0 || height == kFar) continue;
      auto& list = entries_[at(v)];
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
      const std::int32_t other = list[giver].left;
      const Flow amount = std::min(remaining_[at(u)], list[giver].amount);
      if (remaining_[at(other)] == 0) active_.push_back(other);
      remaining_[at(other)] += amount;
      remaining_[at(u)] -= amount;
      list[giver].amount -= amount;
      if (list[giver].amount == 0) {
        list[giver] = list.back();
        list.pop_back();
      }
      put(u, v, amount);
    }
  }

  void put(std::int32_t u, std::int32_t v, Flow amount) {
    for (Entry& entry : entries_[at(v)]) {
      if (entry.left != u) continue;
      entry.amount += amount;
      return;
    }
    entries_[at(v)].push_back({u, amount});
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
  Vertices left_height_, right_height_;
  std::vector<std::size_t> population_;    // right vertices of each height
  Vertices active_;                        // left vertices with supply that may have a way to room
  std::size_t n_lifts_ = 0;
  Vertices flow_;                          // right vertices to which flow goes, by left vertex
  std::vector<std::size_t> flow_end_;
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

// Orders flow by its left or right vertices, and keeps the order of those of one vertex.
void order_by(std::vector<FlowEdge>& flow, std::int32_t FlowEdge::*side, std::size_t count) {
  std::vector<std::size_t> next(count + 1, 0);
  for (const FlowEdge& edge : flow) ++next[at(edge.*side) + 1];
  std::partial_sum(next.begin(), next.end(), next.begin());
  std::vector<FlowEdge> ordered(flow.size());
  for (const FlowEdge& edge : flow) ordered[next[at(edge.*side)]++] = edge;
  flow = std::move(ordered);
}

// Shares the flow of a representative among its twins: each takes what it needs, needs(vertex), in order.
template <class Needs>
void share_among_twins(std::vector<FlowEdge>& flow, const std::vector<std::int32_t>& twin, const Needs& needs,
                       std::int32_t FlowEdge::*side) {
  std::vector<bool> has_twins(twin.size(), false);
  for (std::size_t i = 0; i < twin.size(); ++i) {
    if (at(twin[i]) != i) has_twins[at(twin[i])] = true;
  }
  if (std::none_of(flow.begin(), flow.end(), [&](const FlowEdge& edge) { return has_twins[at(edge.*side)]; })) return;
  // The twins of each vertex: chains of indices, ascending.
  std::vector<std::int32_t> following(twin.size(), kNone);
  std::vector<std::int32_t> last(twin.size(), kNone);
  for (std::size_t i = 0; i < twin.size(); ++i) {
    std::int32_t& end = last[at(twin[i])];
    if (end != kNone) following[at(end)] = static_cast<std::int32_t>(i);
    end = static_cast<std::int32_t>(i);
  }
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

bool smaller_posterior(const Block& x, const Block& y) { return Wide{x.a} * y.b < Wide{y.a} * x.b; }

template <class Layers, class Flow, class Graph>
Partition solve_with(Layers layers, const Graph& graph, const std::int64_t* left_weight, const std::int64_t* right_weight,
                     const Poll& poll) {
  const Twins twin = twins(graph);
  Reduced reduced = reduce(graph, twin, left_weight, right_weight);
  Partition result;
  std::vector<Block> blocks;
  {  // what the solver holds is given back before the flow is put in order
    Solver<Layers, Flow> solver(std::move(layers), graph, std::move(reduced.left_weight),
                                std::move(reduced.right_weight), poll);
    solver.run(std::move(reduced.blocks));
    result.n_flows = solver.n_flows;
    result.n_searches = solver.n_searches;
    blocks = std::move(solver.settled);
    std::size_t n_edges = 0;
    solver.for_each_flow([&](std::int32_t, std::int32_t, Wide) { ++n_edges; });
    result.flow.reserve(n_edges);
    solver.for_each_flow([&](std::int32_t u, std::int32_t v, Wide amount) { result.flow.push_back({u, v, amount}); });
  }
  result.left_block.assign(graph.left, kNone);
  result.right_block.assign(graph.right, kNone);
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
  for (std::size_t u = 0; u < graph.left; ++u) result.left_block[u] = result.left_block[at(twin.left[u])];
  for (std::size_t v = 0; v < graph.right; ++v) result.right_block[v] = result.right_block[at(twin.right[v])];
  std::vector<std::pair<std::int64_t, std::int64_t>> terms;  // of each block
  for (std::size_t i = 0; i < result.a.size(); ++i) terms.push_back(lowest_terms(result.a[i], result.b[i]));
  const auto supply = [&](std::int32_t u) { return Wide{left_weight[u]} * terms[at(result.left_block[at(u)])].second; };
  const auto capacity = [&](std::int32_t v) { return Wide{right_weight[v]} * terms[at(result.right_block[at(v)])].first; };

  share_among_twins(result.flow, twin.left, supply, &FlowEdge::left);
  share_among_twins(result.flow, twin.right, capacity, &FlowEdge::right);
  // In place, as memory matters more here than the time that `order_by` would save.
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
Partition solve_any(Layers layers, const Graph& graph, const std::int64_t* left_weight,
                    const std::int64_t* right_weight, const Poll& poll) {
  const std::int64_t left_total = total_of(left_weight, graph.left);
  const std::int64_t right_total = total_of(right_weight, graph.right);
  const Wide limit = Wide{1} << 62;
  if (Wide{left_total} + right_total >= limit) {
    throw std::invalid_argument("the sum of all weights must be below 2^62");
  }
  if (Wide{left_total} * right_total < limit) {
    return solve_with<Layers, std::int64_t>(std::move(layers), graph, left_weight, right_weight, poll);
  }
  return solve_with<Layers, Wide>(std::move(layers), graph, left_weight, right_weight, poll);
}

}  // namespace

Partition solve(const BitGraph& graph, const std::int64_t* left_weight, const std::int64_t* right_weight,
                const Poll& poll, Level most) {
  return solve_any(BitLayers(graph, most), graph, left_weight, right_weight, poll);
}

Partition solve(const ListGraph& graph, const std::int64_t* left_weight, const std::int64_t* right_weight,
                const Poll& poll) {
  return solve_any(ListLayers(graph), graph, left_weight, right_weight, poll);
}

}  // namespace lossfloor
