// Branch and bound over the cliques of one root after the other; each thread has a search of its own.
//
// A branch is a root and a second vertex. Those in conflict with both are its candidates. A clique takes at most one of
// each class, so that the first candidate left in each class bounds what the clique can still gain. That bound is made
// of candidates that may join the clique by themselves, which the geometry of the balls often forbids.
//
// Part of cliques.cpp, which alone includes it. The unnamed namespace lets the compiler inline what is called once.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

#include "candidates.hpp"
#include "clique_geometry.hpp"
#include "lossfloor/many/cliques.hpp"
#include "ordered_graph.hpp"
#include "root_rows.hpp"

namespace lossfloor {
namespace {

struct Hit {
  double sum;
  std::vector<std::int32_t> members;  // numbers in the graph, ascending
};

bool larger(const Hit& a, const Hit& b) { return a.sum != b.sum ? a.sum > b.sum : a.members < b.members; }

class CliqueSearch {
 public:
  CliqueSearch(const ClassGraph& graph, const CommonPointRule& rule, const OrderedGraph& ordered, const Search& search,
               std::vector<std::atomic<double>>& most)
      : rule_(rule), ordered_(ordered), search_(search), most_(most), balls_(rule.kind == CommonPointRule::Kind::balls),
        degree_(std::min(search.max_degree, graph.classes)), classes_(graph.classes), rows_(ordered, rule, search.isa),
        geometry_(rule, degree_), candidates_(ordered, rows_, graph.classes, balls_), class_top_(graph.classes),
        left_bits_(degree_ + 1), sure_bits_(degree_ + 1) {}

  CliqueSearch(const CliqueSearch&) = delete;  // the candidates refer to the rows
  CliqueSearch& operator=(const CliqueSearch&) = delete;

  std::int64_t steps = 0;
  bool finished = true;

  // Cliques whose first vertex is `root`: those that are reported are left in `hits`.
  void run(std::int32_t root, std::vector<Hit>& hits) {
    hits.clear();
    finished = true;
    const auto begin = static_cast<std::size_t>(ordered_.offsets[root]);
    const auto end = static_cast<std::size_t>(ordered_.offsets[root + 1]);
    rows_.start(root);
    std::fill(class_top_.begin(), class_top_.end(), 0.0);
    for (std::size_t e = begin; e < end; ++e) {
      double& top = class_top_[static_cast<std::size_t>(ordered_.code[ordered_.targets[e]])];
      top = std::max(top, ordered_.q[ordered_.targets[e]]);
    }
    for (std::size_t e = begin; e < end; ++e) {
      const double q = ordered_.q[ordered_.targets[e]];
      gains_.clear();
      for (const double top : class_top_) gains_.push_back(std::min(top, q));
      const double bound = ordered_.q[root] + gain(1);
      if (bound <= search_.above) break;
      if (hits.size() >= search_.enough || late_) {
        finished = false;
        raise(root, bound);
        for (std::size_t rest = e; rest < end; ++rest) raise(ordered_.targets[rest], bound);
        break;
      }
      branch(root, e - begin, hits);
      if (search_.seconds > 0 && !late_) {
        const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - search_.began;
        late_ = taken.count() > search_.seconds;
      }
    }
    rows_.finish();
    select(hits);
  }

 private:
  static constexpr std::int64_t kGreedy = 50;  // steps of a branch in which the most valuable candidate goes first

  // What one vertex of each class can add, by gains_, to a clique of `size` members; the degree may allow fewer. It
  // allows one of each class that has any where it is the number of classes, as those of the members have none.
  double gain(std::size_t size) {
    const std::size_t joins = degree_ - size;
    if (degree_ < classes_ && gains_.size() > joins) {
      std::partial_sort(gains_.begin(), gains_.begin() + static_cast<std::ptrdiff_t>(joins), gains_.end(),
                        std::greater<double>());
      gains_.resize(joins);
    }
    double sum = 0;
    for (const double value : gains_) sum += value;
    return sum;
  }

  void raise(std::int32_t u, double value) {
    std::atomic<double>& cell = most_[static_cast<std::size_t>(ordered_.name[u])];
    double old = cell.load(std::memory_order_relaxed);
    while (old < value && !cell.compare_exchange_weak(old, value, std::memory_order_relaxed)) {
    }
  }

  // All cliques that begin with the root and its conflict at place `at`.
  void branch(std::int32_t root, std::size_t at, std::vector<Hit>& hits) {
    const std::size_t edge = static_cast<std::size_t>(ordered_.offsets[root]) + at;
    const std::int32_t second = ordered_.targets[edge];
    const double sum = ordered_.q[root] + ordered_.q[second];
    best_ = search_.above;
    best_members_.clear();
    left_ = search_.budget;
    double bound = sum;
    clique_.assign({root, second});
    keep(sum);
    joint_.clear();
    if (degree_ > 2) {
      if (balls_) {
        geometry_.start(ordered_.radius[root], ordered_.radius[second], ordered_.squares[edge]);
      }
      rows_.gather(at, joint_);
      bound = sum + bound_of_joint();
      if (bound > best_ && arrange(sum)) {
        if (balls_) geometry_.settle(1);
        extend(2, sum);
      }
    }
    if (!best_members_.empty()) hits.push_back({best_, best_members_});
    if (left_ < 0) finished = false;
    const double most = left_ < 0 ? bound : best_;
    if (most > search_.above) {
      raise(root, most);
      raise(second, most);
      for (const Joint& one : joint_) raise(one.vertex, most);
    }
  }

  double bound_of_joint() {
    std::fill(joint_top_.begin(), joint_top_.end(), 0.0);
    joint_top_.resize(classes_, 0.0);
    for (const Joint& one : joint_) {
      double& top = joint_top_[static_cast<std::size_t>(ordered_.code[one.vertex])];
      top = std::max(top, ordered_.q[one.vertex]);
    }
    gains_.assign(joint_top_.begin(), joint_top_.end());
    return gain(2);
  }

  // Prepares the candidates; false if none can lead to more than the best.
  bool arrange(double sum) {
    candidates_.choose(joint_, joint_top_, sum, best_);
    if (candidates_.size() == 0) return false;
    for (Bits& bits : left_bits_) bits.assign(candidates_.words(), 0);
    for (Bits& bits : sure_bits_) bits.assign(candidates_.words(), 0);
    for (std::size_t i = 0; i < candidates_.size(); ++i) put(left_bits_[2], i);
    if (degree_ == 3) return true;
    candidates_.relate();
    // Those that cannot lead to more than the best even with the first of each class beside them are left out.
    for (int pass = 0; pass < 2 && leave_out(sum); ++pass) {
    }
    return true;
  }

  // True if some were left out.
  bool leave_out(double sum) {
    Bits& bits = left_bits_[2];
    bool left_out = false;
    for (std::size_t i = 0; i < candidates_.size(); ++i) {
      if (!has(bits, i)) continue;
      candidates_.narrow(bits, i, left_bits_[3]);
      if (sum + candidates_.q(i) + gain_of(left_bits_[3], 3) > best_) continue;
      take(bits, i);
      left_out = true;
    }
    return left_out;
  }

  // What candidates among `bits` can add to a clique of `size`; leaves the likeliest in likeliest_.
  double gain_of(const Bits& bits, std::size_t size) {
    const std::vector<std::size_t>& ranges = candidates_.ranges();
    gains_.clear();
    tops_.clear();
    double highest = -1;
    likeliest_ = candidates_.size();
    for (std::size_t c = 0; c + 1 < ranges.size(); ++c) {
      const std::size_t top = first_bit(bits, ranges[c], ranges[c + 1]);
      if (top == ranges[c + 1]) continue;
      const double q = candidates_.q(top);
      gains_.push_back(q);
      tops_.push_back(top);
      if (q > highest) highest = q, likeliest_ = top;
    }
    return gain(size);
  }

  // What candidates can add to the clique of `size` members. The first candidate of each class is one that may join it:
  // those before it that may not are taken out. Leaves the likeliest in likeliest_.
  double sure_gain_of(std::size_t size, double sum) {
    auto& bits = left_bits_[size];
    auto& sure = sure_bits_[size];
    while (true) {
      const double bound = gain_of(bits, size);
      if (likeliest_ == candidates_.size() || sum + bound <= best_) return bound;
      bool changed = false;
      for (const std::size_t top : tops_) {
        if (has(sure, top)) continue;
        if (joins(top, size)) {
          put(sure, top);
        } else {
          take(bits, top);
          changed = true;
        }
      }
      if (!changed) return bound;
    }
  }

  // Branches on the class with the fewest usable candidates. slack = bound - best: any clique that beats the best must
  // use, in every class whose top is worth more than slack, a candidate within slack of that top.
  std::size_t most_telling(const Bits& bits, double slack) const {
    const std::vector<std::size_t>& ranges = candidates_.ranges();
    std::size_t chosen = likeliest_, fewest = candidates_.size() + 2;
    for (const std::size_t top : tops_) {
      const double least = candidates_.q(top) - slack;
      const std::size_t end = *std::upper_bound(ranges.begin(), ranges.end(), top);
      std::size_t choices = least > 0 ? 1 : 2;  // to leave the class out is one more
      for (std::size_t next = top + 1; choices < fewest && next < end; ++next) {
        next = first_bit(bits, next, end);
        if (next == end || candidates_.q(next) <= least) break;
        ++choices;
      }
      if (choices < fewest || (choices == fewest && candidates_.q(top) > candidates_.q(chosen)))
        fewest = choices, chosen = top;
    }
    return chosen;
  }

  void extend(std::size_t size, double sum) {
    auto& bits = left_bits_[size];
    std::fill(sure_bits_[size].begin(), sure_bits_[size].end(), 0);
    while (true) {
      const double bound = sum + sure_gain_of(size, sum);
      if (likeliest_ == candidates_.size() || bound <= best_) return;
      if (--left_ < 0) return;
      // At first what is worth most, for good cliques soon; then what leaves the least to be searched.
      const bool at_first = search_.budget - left_ <= kGreedy;
      const std::size_t i = at_first ? likeliest_ : most_telling(bits, bound - best_);
      const double with = sum + candidates_.q(i);
      take(bits, i);
      bool on = size + 1 < degree_;
      if (on) {
        candidates_.narrow(bits, i, left_bits_[size + 1]);
        on = with + gain_of(left_bits_[size + 1], size + 1) > best_;
      }
      if (!on && with <= best_) continue;
      add(i, size);
      keep(with);
      if (on) {
        joins(i, size);  // once more, for its distances and weights
        if (balls_) geometry_.settle(size);
        extend(size + 1, with);
      }
      if (left_ < 0) return;
    }
  }

  void add(std::size_t i, std::size_t size) {
    chosen_.resize(size - 2);
    chosen_.push_back(i);
    clique_.resize(size);
    clique_.push_back(candidates_[i].vertex);
  }

  // Whether candidate i may be part of the clique with all its members. Pairs are known to conflict, and triples with
  // the root and the second vertex have been decided before if all balls have one radius.
  bool joins(std::size_t i, std::size_t size) {
    const Joint& one = candidates_[i];
    if (balls_) {
      geometry_.set_square(size, 0, one.to_root);
      geometry_.set_square(size, 1, one.to_second);
      for (std::size_t m = 2; m < size; ++m) geometry_.set_square(size, m, candidates_.between(chosen_[m - 2], i));
      geometry_.set_radius(size, ordered_.radius[one.vertex]);
      return geometry_.meets(size);
    }
    if (rule_.kind == CommonPointRule::Kind::always) return true;
    members_.clear();
    for (std::size_t m = 0; m < size; ++m) members_.push_back(ordered_.name[clique_[m]]);
    members_.push_back(ordered_.name[one.vertex]);
    std::sort(members_.begin(), members_.end());
    return rule_.ask(members_.data(), members_.size()) != Verdict::no;
  }

  void keep(double sum) {
    ++steps;
    if (sum <= best_) return;
    best_ = sum;
    best_members_.clear();
    for (const std::int32_t member : clique_) best_members_.push_back(ordered_.name[member]);
    std::sort(best_members_.begin(), best_members_.end());
  }

  // The largest sums, less those that share most of their members with one before.
  void select(std::vector<Hit>& hits) const {
    std::sort(hits.begin(), hits.end(), larger);
    std::size_t kept = 0;
    for (std::size_t i = 0; i < hits.size() && kept < search_.per_root; ++i) {
      bool differs = true;
      for (std::size_t j = 0; j < kept && differs; ++j) {
        std::size_t common = 0;
        for (const std::int32_t v : hits[i].members) {
          common += std::binary_search(hits[j].members.begin(), hits[j].members.end(), v);
        }
        differs = 2 * common <= hits[i].members.size() + 1;
      }
      if (!differs) continue;
      if (kept != i) hits[kept] = std::move(hits[i]);
      ++kept;
    }
    hits.resize(kept);
  }

  const CommonPointRule& rule_;
  const OrderedGraph& ordered_;
  const Search& search_;
  std::vector<std::atomic<double>>& most_;
  const bool balls_;
  const std::size_t degree_, classes_;
  RootRows rows_;
  CliqueGeometry geometry_;
  // The branch.
  Candidates candidates_;
  std::vector<Joint> joint_;
  std::vector<double> class_top_, joint_top_, gains_;
  std::vector<Bits> left_bits_;    // [members]: candidates that may still join
  std::vector<Bits> sure_bits_;    // of them, those known to join
  std::vector<std::size_t> tops_;  // the first of each class
  std::size_t likeliest_ = 0;
  std::vector<std::size_t> chosen_;  // the members beyond the second, by their number among the candidates
  std::vector<std::int32_t> clique_, members_, best_members_;
  bool late_ = false;
  double best_ = 0;
  std::int64_t left_ = 0;
};

}  // namespace
}  // namespace lossfloor
