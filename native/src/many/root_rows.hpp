// Compatibility among a root's neighbours, computed lazily, one row at a time, and kept for the whole root.
//
// Part of cliques.cpp, which alone includes it. The unnamed namespace lets the compiler inline what is called once.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "lossfloor/many/cliques.hpp"
#include "lossfloor/simd/kernels.hpp"
#include "ordered_graph.hpp"

namespace lossfloor {
namespace {

constexpr std::size_t kLanes = 8;  // lists that kernels read are filled up to a multiple of it
constexpr double kNever = std::numeric_limits<double>::infinity();  // squared distance of no conflict

// A vertex in conflict with the root and the second vertex of a branch.
struct Joint {
  std::int32_t vertex;
  std::int32_t place;  // among the conflicts of the root
  double to_root, to_second;
};

// The neighbours of the root are its conflicts down the order, by their place in its list.
class RootRows {
 public:
  RootRows(const OrderedGraph& ordered, const CommonPointRule& rule, Isa isa)
      : ordered_(ordered), rule_(rule), balls_(rule.kind == CommonPointRule::Kind::balls),
        triples_(balls_ && rule.one_radius), kernels_(&kernels(isa)), place_(ordered.count, -1) {}

  void start(std::int32_t root) {
    first_ = static_cast<std::size_t>(ordered_.offsets[root]);
    count_ = static_cast<std::size_t>(ordered_.offsets[root + 1]) - first_;
    radius_ = ordered_.radius[static_cast<std::size_t>(root)];
    marked_ = false;
  }

  void finish() {
    if (!marked_) return;
    for (std::size_t e = first_; e < first_ + count_; ++e) place_[static_cast<std::size_t>(ordered_.targets[e])] = -1;
  }

  // Appends the vertices in conflict with both the root and its conflict at place `at`.
  void gather(std::size_t at, std::vector<Joint>& joint) {
    if (!marked_) mark();
    const std::size_t slot = row(at);
    const double* squares = rows_.data() + slot * width_;
    const std::uint64_t* words = row_bits_.data() + slot * row_words_;
    for (std::size_t w = 0; w < row_words_; ++w) {
      for (std::uint64_t bits = words[w]; bits != 0; bits &= bits - 1) {
        const std::size_t j = w * 64 + static_cast<std::size_t>(__builtin_ctzll(bits));
        joint.push_back({ordered_.targets[first_ + j], static_cast<std::int32_t>(j), to_root_[j], squares[j]});
      }
    }
  }

  // Squared distances of the neighbour at place i to those after it, infinite where the two and the root surely have
  // no common point. Valid until the next call.
  const double* squares_of(std::size_t i) {
    const std::size_t slot = row(i);  // which may move the rows
    return rows_.data() + slot * width_;
  }

  // Of vertices with squared distances `to_first` to a first and `squares` to another vertex, which are `between` from
  // each other: those that surely share no point with both become infinitely far, the others get a bit.
  void drop_triples(double between, const double* to_first, double* squares, std::size_t count, std::uint64_t* bits) {
    if (triples_) {
      kernels_->triples_f64(between, to_first, squares, count, radius_, rule_.slack, bits);
      return;
    }
    std::fill_n(bits, (count + 63) / 64, std::uint64_t{0});
    for (std::size_t c = 0; c < count; ++c) bits[c / 64] |= std::uint64_t{squares[c] < kNever} << (c % 64);
  }

 private:
  static constexpr std::size_t kRows = 4 << 20;  // numbers in the rows that are kept at a time

  // Prepares the conflicts of the root for `row`.
  void mark() {
    marked_ = true;
    width_ = (count_ + kLanes - 1) / kLanes * kLanes;
    row_words_ = (width_ + 63) / 64;
    to_root_.assign(width_, kNever);
    for (std::size_t i = 0; i < count_; ++i) {
      place_[static_cast<std::size_t>(ordered_.targets[first_ + i])] = static_cast<std::int32_t>(i);
      to_root_[i] = balls_ ? ordered_.squares[first_ + i] : 0;
    }
    slot_.assign(count_, -1);
    kept_rows_ = 0;
  }

  // The slot of the row of the neighbour at place i: squared distances as of `squares_of`, and bits of the finite ones.
  std::size_t row(std::size_t i) {
    if (slot_[i] >= 0) return static_cast<std::size_t>(slot_[i]);
    if (kept_rows_ > 0 && (kept_rows_ + 1) * width_ > kRows) {
      std::fill(slot_.begin(), slot_.end(), -1);
      kept_rows_ = 0;
    }
    const std::size_t slot = kept_rows_++;
    slot_[i] = static_cast<std::int32_t>(slot);
    if (rows_.size() < kept_rows_ * width_) rows_.resize(kept_rows_ * width_);
    if (row_bits_.size() < kept_rows_ * row_words_) row_bits_.resize(kept_rows_ * row_words_);
    double* squares = rows_.data() + slot * width_;
    std::fill_n(squares, width_, kNever);
    const auto vertex = static_cast<std::size_t>(ordered_.targets[first_ + i]);
    const auto end = static_cast<std::size_t>(ordered_.offsets[vertex + 1]);
    for (auto e = static_cast<std::size_t>(ordered_.offsets[vertex]); e < end; ++e) {
      const std::int32_t j = place_[static_cast<std::size_t>(ordered_.targets[e])];
      if (j >= 0) squares[j] = balls_ ? ordered_.squares[e] : 0;
    }
    drop_triples(to_root_[i], to_root_.data(), squares, width_, row_bits_.data() + slot * row_words_);
    return slot;
  }

  const OrderedGraph& ordered_;
  const CommonPointRule& rule_;
  const bool balls_, triples_;
  const Kernels* const kernels_;
  std::size_t first_ = 0, count_ = 0, width_ = 0, row_words_ = 0, kept_rows_ = 0;
  double radius_ = 0;  // squared, of the root
  bool marked_ = false;
  std::vector<std::int32_t> place_;  // of each vertex in the list, or -1
  std::vector<double> to_root_, rows_;
  std::vector<std::uint64_t> row_bits_;
  std::vector<std::int32_t> slot_;  // where the row of each is, or -1
};

}  // namespace
}  // namespace lossfloor
