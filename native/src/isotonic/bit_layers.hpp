// The conflicts of a block, by layers of a breadth-first search from the left. There are two stores with one interface,
// this one for bits and that of list_layers.hpp:
//   enter(left, right, id)     makes these vertices (ascending) the block that the calls below are about
//   restart()                  forgets the layers: every right vertex of the block is unvisited
//   visit(u, layer, found)     moves the unvisited right neighbours of u into `layer`, calling found(v) for each
//   seal(layer)                no more will be moved into this layer
//   unvisited(v)               whether no search has found v since restart
//   rewind(u)                  makes next(u, ..) start again
//   next(u, layer)             a right neighbour of u that is alive in `layer`, or kNone; the same until it is removed
//   remove(v, layer)           v is no longer alive in `layer`
//   flatten()                  every right vertex of the block gets height kFar
//   lift(v, from, to)          gives v, of height `from`, the height `to`
//   clear_above(height)        every right vertex above `height` gets height kFar
//   lowest(u, height, v)       the smallest height >= `height` of a right neighbour of u, and such a neighbour in v;
//                              kFar if there is none
//   work                       a count of the words or entries read, for polling
//
// Part of solver.cpp, which alone includes it. The unnamed namespace lets the compiler inline what is called once.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <vector>

#include "lossfloor/isotonic/graph.hpp"
#include "lossfloor/simd/kernels.hpp"
#include "vertices.hpp"

namespace lossfloor {
namespace {

class BitLayers {
 public:
  std::size_t work = 0;

  BitLayers(const BitGraph& graph, Isa most)
      : graph_(graph), bit_rows_(kernels(most).bit_rows), row_(graph.left, nullptr), place_(graph.right, 0),
        cursor_(graph.left, 0) {}

  // Copies the rows of the block with nothing but its own columns, so that searches read neighbouring words only. Of a
  // large graph that is done when it has shrunk to an eighth, as memory matters there.
  void enter(const Vertices& left, const Vertices& right, std::int32_t) {
    find_pieces(right);
    if (left.size() * words_ > std::max(kAlwaysPacked, graph_.left * graph_.words / 8)) {
      words_ = graph_.words;
      for (const std::int32_t u : left) row_[at(u)] = graph_.row(at(u));
      for (const std::int32_t v : right) place_[at(v)] = v;
    } else {
      pack(left);
      place(right);
    }
    vertex_.resize(std::max(vertex_.size(), words_ * 64));
    found_.resize(vertex_.size());
    all_.assign(words_, 0);
    for (const std::int32_t v : right) {
      const std::int32_t bit = place_[at(v)];
      vertex_[at(bit)] = v;
      all_[at(bit / 64)] |= std::uint64_t{1} << (bit % 64);
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
    const std::size_t count = bit_rows_.visit(row_[at(u)], words_, unvisited_.data(), layers_.data() + layer * words_,
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
        bit_rows_.meet(row_[at(u)], words_, layers_.data() + layer * words_, chunks, cursor_[at(u)], count, &place);
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

  void clear_above(std::int32_t height) { heights_.resize(std::min(heights_.size(), (at(height) + 1) * words_)); }

  std::int32_t lowest(std::int32_t u, std::int32_t height, std::int32_t& v) {
    for (std::size_t begin = at(height) * words_; begin < heights_.size(); begin += words_, ++height) {
      std::int32_t place = kNone;
      work += words_;
      bit_rows_.meet(row_[at(u)], words_, heights_.data() + begin, every_.data(), 0, every_.size(), &place);
      if (place == kNone) continue;
      v = vertex_[at(place)];
      return height;
    }
    return kFar;
  }

 private:
  // The words of the graph's rows that have columns of the block, and how many words they take when packed.
  void find_pieces(const Vertices& right) {
    pieces_.clear();
    for (const std::int32_t v : right) {
      const auto word = static_cast<std::uint32_t>(v) / 64;
      if (pieces_.empty() || pieces_.back().word != word) pieces_.push_back({word, 0, 0});
      pieces_.back().mask |= std::uint64_t{1} << (v % 64);
    }
    std::size_t width = 0;
    for (Piece& piece : pieces_) {
      const int bits = __builtin_popcountll(piece.mask);
      piece.width = bits > bit_rows_.most_packed ? 64 : static_cast<std::uint32_t>(bits);
      width += piece.width;
    }
    words_ = (width + 63) / 64;
  }

  void pack(const Vertices& left) {
    packed_.assign(left.size() * words_, 0);
    std::uint64_t* row = packed_.data();
    for (const std::int32_t u : left) {
      bit_rows_.pack(graph_.row(at(u)), pieces_.data(), pieces_.size(), row);
      row_[at(u)] = row;
      row += words_;
    }
    work += left.size() * pieces_.size();
  }

  // Finds the bit of each right vertex in the packed rows.
  void place(const Vertices& right) {
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

  static constexpr std::size_t kAlwaysPacked = std::size_t{1} << 16;  // words
  const BitGraph& graph_;
  const BitRows& bit_rows_;
  std::vector<Piece> pieces_;
  std::vector<std::uint64_t> packed_;      // the rows of the block, unless they are those of the graph
  std::size_t words_ = 0;                  // of a row
  std::vector<const std::uint64_t*> row_;  // of each left vertex of the block
  Vertices place_;                         // the bit of each right vertex of the block in its rows
  Vertices vertex_;                        // the vertex of each such bit
  std::vector<std::uint64_t> all_;         // the bits of the block
  std::vector<std::uint64_t> unvisited_;
  std::vector<std::uint32_t> open_;  // the first n_open_ are the chunks with unvisited bits
  std::size_t n_open_ = 0;
  Vertices found_;
  std::vector<std::uint64_t> layers_;  // [layer][word]: alive bits
  std::vector<std::uint32_t> sealed_;  // for each layer the chunks where it had bits
  std::vector<std::size_t> sealed_begin_;
  std::vector<std::uint64_t> heights_;  // [height][word]: bits of the vertices of that height
  std::vector<std::uint32_t> every_;    // all chunks
  std::vector<std::uint32_t> cursor_;
};

}  // namespace
}  // namespace lossfloor
