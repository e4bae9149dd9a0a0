// The candidates of a branch: vertices in conflict with the root and the second vertex, and which of them go together.
//
// Part of cliques.cpp, which alone includes it. The unnamed namespace lets the compiler inline what is called once.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "ordered_graph.hpp"
#include "root_rows.hpp"

namespace lossfloor {
namespace {

using Bits = std::vector<std::uint64_t>;

void put(Bits& bits, std::size_t i) { bits[i / 64] |= std::uint64_t{1} << (i % 64); }
void take(Bits& bits, std::size_t i) { bits[i / 64] &= ~(std::uint64_t{1} << (i % 64)); }
bool has(const Bits& bits, std::size_t i) { return bits[i / 64] >> (i % 64) & 1; }

// The first bit at or after `begin`, or `end`.
std::size_t first_bit(const Bits& bits, std::size_t begin, std::size_t end) {
  std::size_t word = begin / 64;
  std::uint64_t here = bits[word] & (~std::uint64_t{0} << (begin % 64));
  while (here == 0) {
    if (++word * 64 >= end) return end;
    here = bits[word];
  }
  return std::min(end, word * 64 + static_cast<std::size_t>(__builtin_ctzll(here)));
}

class Candidates {
 public:
  Candidates(const OrderedGraph& ordered, RootRows& rows, std::size_t classes, bool balls)
      : ordered_(ordered), rows_(rows), classes_(classes), balls_(balls) {}

  std::size_t size() const { return local_.size(); }
  std::size_t words() const { return words_; }
  const Joint& operator[](std::size_t i) const { return local_[i]; }
  double q(std::size_t i) const { return ordered_.q[local_[i].vertex]; }
  // Where each class begins, and the end.
  const std::vector<std::size_t>& ranges() const { return ranges_; }

  // Takes those of `joint` that may be in a clique of more than `best`, by class and then by descending q. The root and
  // the second vertex bring `sum`, the first of each class at most tops[class].
  void choose(const std::vector<Joint>& joint, const std::vector<double>& tops, double sum, double best) {
    double all = 0;
    for (const double top : tops) all += top;
    near_.clear();
    sizes_.assign(classes_, 0);
    for (const Joint& one : joint) {  // the degree may allow fewer than one of each class, but not more
      const auto code = static_cast<std::size_t>(ordered_.code[one.vertex]);
      if (sum + all - tops[code] + ordered_.q[one.vertex] <= best) continue;
      near_.push_back(one);
      ++sizes_[code];
    }
    const std::size_t count = near_.size();
    ranges_.assign(1, 0);
    std::size_t before = 0;
    for (std::size_t& size : sizes_) {
      const std::size_t begin = before;
      before += size;
      if (size > 0) ranges_.push_back(before);
      size = begin;
    }
    local_.resize(count);
    position_.resize(count);
    order_.resize(count);
    for (std::size_t k = 0; k < count; ++k) {  // by class; the order of vertices stays within each
      position_[k] = sizes_[static_cast<std::size_t>(ordered_.code[near_[k].vertex])]++;
      local_[position_[k]] = near_[k];
      order_[position_[k]] = k;
    }
    words_ = (count + 63) / 64;
  }

  // Finds which of them go together.
  void relate() {
    const std::size_t count = size();
    beside_.assign(count * words_, 0);
    matrix_ = balls_ && count <= kMatrix;
    if (matrix_) between_.resize(count * count);
    to_second_.assign(count + kLanes, kNever);
    for (std::size_t k = 0; k < count; ++k) to_second_[k] = near_[k].to_second;
    squares_.resize(count + kLanes);
    bits_.resize(words_);
    for (std::size_t k = 0; k + 1 < count; ++k) relate(k);
  }

  // Sets next to those of `bits` that go with candidate i.
  void narrow(const Bits& bits, std::size_t i, Bits& next) const {
    for (std::size_t w = 0; w < words_; ++w) next[w] = bits[w] & beside_[i * words_ + w];
  }

  // The squared distance of two candidates.
  double between(std::size_t i, std::size_t j) const {
    if (matrix_) {
      const std::size_t k = order_[i], l = order_[j];
      return between_[std::min(k, l) * local_.size() + std::max(k, l)];
    }
    const std::int32_t u = std::min(local_[i].vertex, local_[j].vertex);
    const std::int32_t v = std::max(local_[i].vertex, local_[j].vertex);
    const auto* begin = ordered_.targets.data() + ordered_.offsets[u];
    const auto* end = ordered_.targets.data() + ordered_.offsets[u + 1];
    return ordered_.squares[static_cast<std::size_t>(std::lower_bound(begin, end, v) - ordered_.targets.data())];
  }

 private:
  static constexpr std::size_t kMatrix = 512;  // up to so many candidates, their distances are kept in a matrix

  // Marks which candidates go with the k-th in the order of vertices and come after it, both ways.
  void relate(std::size_t k) {
    const std::size_t first = k + 1, count = local_.size(), after = count - first;
    const std::size_t width = (after + kLanes - 1) / kLanes * kLanes;
    const double* of_root = rows_.squares_of(static_cast<std::size_t>(near_[k].place));
    for (std::size_t j = 0; j < after; ++j) squares_[j] = of_root[near_[first + j].place];
    std::fill(squares_.begin() + static_cast<std::ptrdiff_t>(after),
              squares_.begin() + static_cast<std::ptrdiff_t>(width), kNever);
    rows_.drop_triples(to_second_[k], to_second_.data() + first, squares_.data(), width, bits_.data());
    if (matrix_) std::copy_n(squares_.data(), after, between_.data() + k * count + first);
    const std::size_t i = position_[k];
    std::uint64_t* const of_i = beside_.data() + i * words_;
    std::uint64_t* const bit_i = beside_.data() + i / 64;
    for (std::size_t w = 0; w < (width + 63) / 64; ++w) {
      for (std::uint64_t bits = bits_[w]; bits != 0; bits &= bits - 1) {
        const std::size_t at = w * 64 + static_cast<std::size_t>(__builtin_ctzll(bits)), j = position_[first + at];
        of_i[j / 64] |= std::uint64_t{1} << (j % 64);
        bit_i[j * words_] |= std::uint64_t{1} << (i % 64);
      }
    }
  }

  const OrderedGraph& ordered_;
  RootRows& rows_;
  const std::size_t classes_;
  const bool balls_;
  std::vector<Joint> near_, local_;                    // in the order of vertices; by class
  std::vector<std::size_t> sizes_, position_, order_;  // where those of near_ are in local_, and the other way round
  std::vector<std::size_t> ranges_;
  std::size_t words_ = 0;
  std::vector<std::uint64_t> beside_;  // [candidate][word]
  bool matrix_ = false;
  std::vector<double> between_, to_second_, squares_;
  std::vector<std::uint64_t> bits_;
};

}  // namespace
}  // namespace lossfloor
