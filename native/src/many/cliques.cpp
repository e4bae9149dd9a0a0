#include "lossfloor/many/cliques.hpp"

#include <algorithm>
#include <atomic>
#include <limits>
#include <numeric>

#include "lossfloor/simd/kernels.hpp"
#include "lossfloor/parallel.hpp"

namespace lossfloor {
namespace {

// The graph as the search reads it: vertices numbered by descending q, and for each the conflicts further down.
struct Ordered {
  std::size_t count = 0;
  std::vector<std::int32_t> name;  // number in the graph
  std::vector<double> q;
  std::vector<std::int32_t> code;
  std::vector<double> radius;
  std::vector<std::int64_t> offsets;
  std::vector<std::int32_t> targets;
  std::vector<double> squares;

  Ordered(const ClassGraph& graph, const Meeting& meeting, const double* all_q, const std::uint8_t* alive) {
    for (std::size_t v = 0; v < graph.count; ++v) {
      if (alive[v] && all_q[v] > 0) name.push_back(static_cast<std::int32_t>(v));
    }
    std::sort(name.begin(), name.end(), [&](std::int32_t a, std::int32_t b) {
      return all_q[a] != all_q[b] ? all_q[a] > all_q[b] : a < b;
    });
    count = name.size();
    std::vector<std::int32_t> rank(graph.count, -1);
    for (std::size_t r = 0; r < count; ++r) rank[name[r]] = static_cast<std::int32_t>(r);
    q.resize(count);
    code.resize(count);
    radius.resize(count);
    offsets.assign(count + 1, 0);
    const bool balls = meeting.kind == Meeting::Kind::balls;
    for (std::size_t r = 0; r < count; ++r) {
      const std::int32_t v = name[r];
      q[r] = all_q[v];
      code[r] = graph.codes[v];
      if (balls) radius[r] = meeting.radii[v];
      for (std::int64_t e = graph.offsets[v]; e < graph.offsets[v + 1]; ++e) {
        if (rank[graph.targets[e]] > static_cast<std::int32_t>(r)) ++offsets[r + 1];
      }
    }
    std::partial_sum(offsets.begin(), offsets.end(), offsets.begin());
    targets.resize(static_cast<std::size_t>(offsets[count]));
    if (balls) squares.resize(targets.size());
    std::vector<std::int64_t> next(offsets.begin(), offsets.end() - 1);
    for (std::size_t r = 0; r < count; ++r) {  // vertices in order, so that every list comes out in order
      const std::int32_t v = name[r];
      for (std::int64_t e = graph.offsets[v]; e < graph.offsets[v + 1]; ++e) {
        const std::int32_t other = rank[graph.targets[e]];
        if (other < 0 || other > static_cast<std::int32_t>(r)) continue;
        const auto place = static_cast<std::size_t>(next[static_cast<std::size_t>(other)]++);
        targets[place] = static_cast<std::int32_t>(r);
        if (balls) squares[place] = graph.squares[e];
      }
    }
  }
};

struct Hit {
  double sum;
  std::vector<std::int32_t> members;  // numbers in the graph, ascending
};

// Searches the cliques of one root after the other; each thread has its own.
//
// What the conflicts of a root have to do with each other is told once for the root, row by row, when a row is first
// asked for. A branch is a root and a second vertex. Those in conflict with both are its candidates, ordered by class
// and then by descending q, with a matrix of bits that tells which of them go together. A clique takes one of a class at most, so
// that the first candidate left in each class bounds what it can still gain. That bound
// is made of candidates which may join the clique by themselves, which the geometry of the balls often forbids.
class Worker {
 public:
  Worker(const ClassGraph& graph, const Meeting& meeting, const Ordered& ordered, const Search& search,
         std::vector<std::atomic<double>>& most)
      : meeting_(meeting),
        ordered_(ordered),
        search_(search),
        most_(most),
        balls_(meeting.kind == Meeting::Kind::balls),
        triples_(balls_ && meeting.one_radius),
        kernels_(&kernels(search.level)),
        degree_(std::min(search.max_degree, graph.classes)),
        classes_(graph.classes),
        place_(ordered.count, -1),
        class_top_(graph.classes),
        left_bits_(degree_ + 1),
        sure_bits_(degree_ + 1),
        square_(degree_ * degree_),
        centre_(degree_ + 1),
        radius_(degree_) {
    for (Centre& centre : centre_) centre.weights.resize(degree_);
  }

  std::int64_t steps = 0;
  bool finished = true;

  // Cliques whose first vertex is `root`: those that are reported are left in `hits`.
  void run(std::int32_t root, std::vector<Hit>& hits) {
    hits.clear();
    finished = true;
    const auto begin = static_cast<std::size_t>(ordered_.offsets[root]);
    const auto end = static_cast<std::size_t>(ordered_.offsets[root + 1]);
    first_ = begin;
    count_ = end - begin;
    marked_ = false;
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
    if (marked_) {
      for (std::size_t e = begin; e < end; ++e) place_[static_cast<std::size_t>(ordered_.targets[e])] = -1;
    }
    select(hits);
  }

 private:
  static constexpr std::size_t kMatrix = 512;    // up to so many candidates, their distances are kept in a matrix
  static constexpr std::size_t kLanes = 8;       // lists that kernels read are filled up to a multiple of it
  static constexpr std::size_t kRows = 4 << 20;  // numbers in the rows that are kept at a time
  static constexpr std::int64_t kGreedy = 50;    // steps of a branch in which the most valuable candidate goes first
  static constexpr double kNever = std::numeric_limits<double>::infinity();  // squared distance of no conflict

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
    const std::int32_t second = ordered_.targets[first_ + at];
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
        square_[1] = square_[degree_] = ordered_.squares[first_ + at];
        square_[0] = square_[degree_ + 1] = 0;
        radius_[0] = ordered_.radius[root];
        radius_[1] = ordered_.radius[second];
      }
      gather_joint(at);
      bound = sum + bound_of_joint();
      if (bound > best_ && arrange(sum)) {
        if (balls_) settle(1);
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

  // The slot of a row of what the root's conflict at place i has to do with those after it: squared distances, infinite
  // where the two and the root have surely no common point, and bits of the others.
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

  // Of vertices with squared distances `to_first` to a first and `squares` to another vertex, which are `between` from
  // each other: those that surely share no point with both become infinitely far, the others get a bit.
  void drop_triples(double between, const double* to_first, double* squares, std::size_t count, std::uint64_t* bits) {
    if (triples_) {
      kernels_->triples_f64(between, to_first, squares, count, radius_[0], meeting_.slack, bits);
      return;
    }
    std::fill_n(bits, (count + 63) / 64, std::uint64_t{0});
    for (std::size_t c = 0; c < count; ++c) bits[c / 64] |= std::uint64_t{squares[c] < kNever} << (c % 64);
  }

  // Who conflicts with the root and its conflict at place `at`.
  void gather_joint(std::size_t at) {
    if (!marked_) mark();
    const std::size_t slot = row(at);
    const double* squares = rows_.data() + slot * width_;
    const std::uint64_t* words = row_bits_.data() + slot * row_words_;
    for (std::size_t w = 0; w < row_words_; ++w) {
      for (std::uint64_t bits = words[w]; bits != 0; bits &= bits - 1) {
        const std::size_t j = w * 64 + static_cast<std::size_t>(__builtin_ctzll(bits));
        joint_.push_back({ordered_.targets[first_ + j], static_cast<std::int32_t>(j), to_root_[j], squares[j]});
      }
    }
  }

  double bound_of_joint() {
    std::fill(class_top_joint_.begin(), class_top_joint_.end(), 0.0);
    class_top_joint_.resize(classes_, 0.0);
    for (const Joint& one : joint_) {
      double& top = class_top_joint_[static_cast<std::size_t>(ordered_.code[one.vertex])];
      top = std::max(top, ordered_.q[one.vertex]);
    }
    gains_.assign(class_top_joint_.begin(), class_top_joint_.end());
    return gain(2);
  }

  // Finds which candidates go together; false if none can lead to more than the best.
  bool arrange(double sum) {
    double all = 0;
    for (const double top : class_top_joint_) all += top;
    near_.clear();
    sizes_.assign(classes_, 0);
    for (const Joint& one : joint_) {  // the degree may allow fewer than one of each class, but not more
      const auto code = static_cast<std::size_t>(ordered_.code[one.vertex]);
      if (sum + all - class_top_joint_[code] + ordered_.q[one.vertex] <= best_) continue;
      near_.push_back(one);
      ++sizes_[code];
    }
    const std::size_t count = near_.size();
    if (count == 0) return false;
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
    for (auto& bits : left_bits_) bits.assign(words_, 0);
    for (auto& bits : sure_bits_) bits.assign(words_, 0);
    auto& bits = left_bits_[2];
    for (std::size_t i = 0; i < count; ++i) put(bits, i);
    if (degree_ == 3) return true;
    beside_.assign(count * words_, 0);
    matrix_ = balls_ && count <= kMatrix;
    if (matrix_) between_.resize(count * count);
    to_second_.assign(count + kLanes, kNever);
    for (std::size_t k = 0; k < count; ++k) to_second_[k] = near_[k].to_second;
    squares_.resize(count + kLanes);
    bits_.resize(words_);
    for (std::size_t k = 0; k + 1 < count; ++k) beside(k);
    // Those that cannot lead to more than the best even with the first of each class beside them are left out.
    for (int pass = 0; pass < 2; ++pass) {
      bool left_out = false;
      for (std::size_t i = 0; i < count; ++i) {
        if (!(bits[i / 64] >> (i % 64) & 1)) continue;
        narrow(bits, i, left_bits_[3]);
        if (sum + q_of(i) + gain_of(left_bits_[3], 3) > best_) continue;
        take(bits, i);
        left_out = true;
      }
      if (!left_out) break;
    }
    return true;
  }

  static void put(std::vector<std::uint64_t>& bits, std::size_t i) { bits[i / 64] |= std::uint64_t{1} << (i % 64); }
  static void take(std::vector<std::uint64_t>& bits, std::size_t i) { bits[i / 64] &= ~(std::uint64_t{1} << (i % 64)); }

  // Marks which candidates go with the k-th in the order of vertices and come after it, both ways.
  void beside(std::size_t k) {
    const std::size_t first = k + 1, count = local_.size(), after = count - first;
    const std::size_t width = (after + kLanes - 1) / kLanes * kLanes;
    const std::size_t slot = row(static_cast<std::size_t>(near_[k].place));  // which may move the rows
    const double* of_root = rows_.data() + slot * width_;
    for (std::size_t j = 0; j < after; ++j) squares_[j] = of_root[near_[first + j].place];
    std::fill(squares_.begin() + static_cast<std::ptrdiff_t>(after), squares_.begin() + static_cast<std::ptrdiff_t>(width),
              kNever);
    drop_triples(to_second_[k], to_second_.data() + first, squares_.data(), width, bits_.data());
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

  double between(std::size_t i, std::size_t j) const {
    if (matrix_) {
      const std::size_t k = order_[i], l = order_[j];
      return between_[std::min(k, l) * local_.size() + std::max(k, l)];
    }
    const std::int32_t u = std::min(local_[i].vertex, local_[j].vertex), v = std::max(local_[i].vertex, local_[j].vertex);
    const auto* begin = ordered_.targets.data() + ordered_.offsets[u];
    const auto* end = ordered_.targets.data() + ordered_.offsets[u + 1];
    return ordered_.squares[static_cast<std::size_t>(std::lower_bound(begin, end, v) - ordered_.targets.data())];
  }

  double q_of(std::size_t i) const { return ordered_.q[local_[i].vertex]; }

  // Sets next to those of `bits` that go with candidate i.
  void narrow(const std::vector<std::uint64_t>& bits, std::size_t i, std::vector<std::uint64_t>& next) const {
    for (std::size_t w = 0; w < words_; ++w) next[w] = bits[w] & beside_[i * words_ + w];
  }

  // The first bit at or after `begin`, or `end`.
  static std::size_t first_bit(const std::vector<std::uint64_t>& bits, std::size_t begin, std::size_t end) {
    std::size_t word = begin / 64;
    std::uint64_t here = bits[word] & (~std::uint64_t{0} << (begin % 64));
    while (here == 0) {
      if (++word * 64 >= end) return end;
      here = bits[word];
    }
    return std::min(end, word * 64 + static_cast<std::size_t>(__builtin_ctzll(here)));
  }

  // What candidates among `bits` can add to a clique of `size`; leaves the likeliest in likeliest_.
  double gain_of(const std::vector<std::uint64_t>& bits, std::size_t size) {
    gains_.clear();
    tops_.clear();
    double highest = -1;
    likeliest_ = local_.size();
    for (std::size_t c = 0; c + 1 < ranges_.size(); ++c) {
      const std::size_t top = first_bit(bits, ranges_[c], ranges_[c + 1]);
      if (top == ranges_[c + 1]) continue;
      const double q = q_of(top);
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
      if (likeliest_ == local_.size() || sum + bound <= best_) return bound;
      bool changed = false;
      for (const std::size_t top : tops_) {
        if (sure[top / 64] >> (top % 64) & 1) continue;
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

  // The first candidate of the class that leaves the fewest choices. With a bound that is `slack` more than needed, a
  // clique that matters has a candidate of every class whose first is worth more than that, and one that is worth
  // nearly as much as the first.
  std::size_t most_telling(const std::vector<std::uint64_t>& bits, double slack) const {
    std::size_t chosen = likeliest_, fewest = local_.size() + 2;
    for (const std::size_t top : tops_) {
      const double least = q_of(top) - slack;
      const std::size_t end = *std::upper_bound(ranges_.begin(), ranges_.end(), top);
      std::size_t choices = least > 0 ? 1 : 2;  // to leave the class out is one more
      for (std::size_t next = top + 1; choices < fewest && next < end; ++next) {
        next = first_bit(bits, next, end);
        if (next == end || q_of(next) <= least) break;
        ++choices;
      }
      if (choices < fewest || (choices == fewest && q_of(top) > q_of(chosen))) fewest = choices, chosen = top;
    }
    return chosen;
  }

  void extend(std::size_t size, double sum) {
    auto& bits = left_bits_[size];
    std::fill(sure_bits_[size].begin(), sure_bits_[size].end(), 0);
    while (true) {
      const double bound = sum + sure_gain_of(size, sum);
      if (likeliest_ == local_.size() || bound <= best_) return;
      if (--left_ < 0) return;
      // At first what is worth most, for good cliques soon; then what leaves the least to be searched.
      const bool at_first = search_.budget - left_ <= kGreedy;
      const std::size_t i = at_first ? likeliest_ : most_telling(bits, bound - best_);
      const double with = sum + q_of(i);
      take(bits, i);
      bool on = size + 1 < degree_;
      if (on) {
        narrow(bits, i, left_bits_[size + 1]);
        on = with + gain_of(left_bits_[size + 1], size + 1) > best_;
      }
      if (!on && with <= best_) continue;
      add(i, size);
      keep(with);
      if (on) {
        joins(i, size);  // once more, for its distances and weights
        if (balls_) settle(size);
        extend(size + 1, with);
      }
      if (left_ < 0) return;
    }
  }

  void add(std::size_t i, std::size_t size) {
    chosen_.resize(size - 2);
    chosen_.push_back(i);
    clique_.resize(size);
    clique_.push_back(local_[i].vertex);
  }

  // Whether candidate i may be part of the clique with all its members. Pairs are known to conflict, and triples with
  // the root and the second vertex have been told before if all balls have one radius.
  bool joins(std::size_t i, std::size_t size) {
    const Joint& one = local_[i];
    if (balls_) {
      const auto put = [&](std::size_t member, double square) {
        square_[member * degree_ + size] = square_[size * degree_ + member] = square;
      };
      put(0, one.to_root);
      put(1, one.to_second);
      for (std::size_t m = 2; m < size; ++m) put(m, between(chosen_[m - 2], i));
      square_[size * degree_ + size] = 0;
      radius_[size] = ordered_.radius[one.vertex];
      return meets(size);
    }
    if (meeting_.kind == Meeting::Kind::always) return true;
    members_.clear();
    for (std::size_t m = 0; m < size; ++m) members_.push_back(ordered_.name[clique_[m]]);
    members_.push_back(ordered_.name[one.vertex]);
    std::sort(members_.begin(), members_.end());
    return meeting_.ask(members_.data(), members_.size()) != Verdict::no;
  }

  // A point in all balls of the first so many members: weights of the centres, and what is known of it.
  struct Centre {
    std::vector<double> weights;
    double spread = 0;    // sum over pairs of members of both weights and the squared distance
    double scale = 0;     // the largest squared distance or radius so far
    bool inside = false;  // whether it is surely in all the balls
  };

  // Whether the member at place `size` may join those before it; leaves trial weights in centre_[size + 1].
  bool meets(std::size_t size) {
    if (triples_ && size == 2) return true;
    const Centre& old = centre_[size];
    Centre& next = centre_[size + 1];
    const double* squares = square_.data() + size * degree_;
    double mean = 0;
    next.scale = std::max(old.scale, radius_[size]);
    for (std::size_t m = 0; m < size; ++m) {
      mean += old.weights[m] * squares[m];
      next.scale = std::max(next.scale, squares[m]);
    }
    // Squared distance of the newest from the centre of the others (|x - sum t_i x_i|^2 = sum t_i D_i - spread).
    const double away = mean - old.spread, tolerance = meeting_.slack * next.scale;
    double share = 0;
    next.inside = old.inside && away <= radius_[size] - tolerance;
    if (!next.inside) {
      if (triples_) {
        // The best weights between the old ones and the newest alone prove a squared radius of (g + f)^2 / 4g.
        const double both = away + old.spread;
        if (away > old.spread) {
          if (both * both > 4 * away * (radius_[0] + tolerance)) return false;
          share = (away - old.spread) / (2 * away);
        }
        // Then triples with the newest member but one; with the root and the second vertex they are known to meet.
        const std::size_t last = size - 1;
        for (std::size_t m = 2; m < last; ++m) {
          if (triple_meets(square_[m * degree_ + last], squares[m], squares[last], radius_[0], meeting_.slack) ==
              Verdict::no) {
            return false;
          }
        }
      }
    }
    for (std::size_t m = 0; m < size; ++m) next.weights[m] = (1 - share) * old.weights[m];
    next.weights[size] = share;
    if (next.inside) {
      next.spread = old.spread;
      return true;
    }
    const Verdict verdict = ball_.decide(size + 1, square_.data(), degree_, radius_.data(), meeting_.slack,
                                         next.weights.data(), BallMeeting::Depth::warm);
    next.inside = verdict == Verdict::yes;
    return verdict != Verdict::no;
  }

  // Makes centre_[size + 1] that of the clique with the member at place `size`, which may join.
  void settle(std::size_t size) {
    Centre& next = centre_[size + 1];
    if (size < 2 || (triples_ && size == 2)) {
      next.scale = 0;
      for (std::size_t m = 0; m <= size; ++m) {
        next.scale = std::max(next.scale, radius_[m]);
        for (std::size_t l = 0; l < m; ++l) next.scale = std::max(next.scale, square_[m * degree_ + l]);
      }
      next.inside = ball_.decide(size + 1, square_.data(), degree_, radius_.data(), meeting_.slack,
                                 next.weights.data()) == Verdict::yes;
    }
    double spread = 0;
    for (std::size_t m = 1; m <= size; ++m) {
      for (std::size_t l = 0; l < m; ++l) spread += next.weights[m] * next.weights[l] * square_[m * degree_ + l];
    }
    next.spread = spread;
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
    std::sort(hits.begin(), hits.end(), [](const Hit& a, const Hit& b) {
      return a.sum != b.sum ? a.sum > b.sum : a.members < b.members;
    });
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

  // A vertex in conflict with the root and the second vertex.
  struct Joint {
    std::int32_t vertex;
    std::int32_t place;  // among the conflicts of the root
    double to_root, to_second;
  };

  const Meeting& meeting_;
  const Ordered& ordered_;
  const Search& search_;
  std::vector<std::atomic<double>>& most_;
  const bool balls_, triples_;
  const Kernels* const kernels_;
  const std::size_t degree_, classes_;
  // The root: its conflicts down the order, by their place in its list.
  std::size_t first_ = 0, count_ = 0, width_ = 0, row_words_ = 0, kept_rows_ = 0;
  bool marked_ = false;
  std::vector<std::int32_t> place_;  // of each vertex in the list, or -1
  std::vector<double> to_root_, rows_;
  std::vector<std::uint64_t> row_bits_;
  std::vector<std::int32_t> slot_;  // where the row of each is, or -1
  // The branch.
  std::vector<double> class_top_, class_top_joint_, gains_;
  std::vector<Joint> joint_, near_, local_;  // all; those that may lead to more than the best; these by class
  std::vector<std::size_t> sizes_, position_, order_;  // where those of near_ are in local_, and the other way round
  std::vector<std::vector<std::uint64_t>> left_bits_;  // [members]: who may still join
  std::vector<std::vector<std::uint64_t>> sure_bits_;  // of them, those known to join
  std::vector<std::size_t> tops_;                      // the first of each class
  std::vector<std::uint64_t> beside_;
  std::vector<double> between_, to_second_, squares_;
  std::vector<std::uint64_t> bits_;
  std::vector<std::size_t> ranges_;  // where each class begins in local_
  std::size_t words_ = 0, likeliest_ = 0;
  bool matrix_ = false;
  std::vector<std::size_t> chosen_;  // the members beyond the second, by their place in local_
  std::vector<double> square_, radius_;
  std::vector<Centre> centre_;  // [members]
  std::vector<std::int32_t> clique_, members_, best_members_;
  bool late_ = false;
  double best_ = 0;
  std::int64_t left_ = 0;
  BallMeeting ball_;
};

double square_of(const ClassGraph& graph, std::int32_t u, std::int32_t v) {
  const auto* begin = graph.targets + graph.offsets[u];
  const auto* end = graph.targets + graph.offsets[u + 1];
  return graph.squares[std::lower_bound(begin, end, v) - graph.targets];
}

}  // namespace

void witness(const ClassGraph& graph, const Meeting& meeting, Cliques& cliques) {
  const std::size_t count = cliques.offsets.size() - 1;
  cliques.weights.assign(cliques.members.size(), 0.0);
  cliques.verdict.assign(count, static_cast<std::int8_t>(Verdict::yes));
  if (meeting.kind != Meeting::Kind::balls) {
    for (std::size_t c = 0; c < count && meeting.kind == Meeting::Kind::ask; ++c) {
      const auto begin = cliques.offsets[c], size = cliques.offsets[c + 1] - begin;
      if (size > 2) {
        const Verdict verdict = meeting.ask(cliques.members.data() + begin, static_cast<std::size_t>(size));
        cliques.verdict[c] = static_cast<std::int8_t>(verdict);
      }
    }
    return;
  }
  BallMeeting ball;
  std::vector<double> squares, radii;
  for (std::size_t c = 0; c < count; ++c) {
    const auto begin = static_cast<std::size_t>(cliques.offsets[c]);
    const auto size = static_cast<std::size_t>(cliques.offsets[c + 1]) - begin;
    const std::int32_t* members = cliques.members.data() + begin;
    double* weights = cliques.weights.data() + begin;
    squares.assign(size * size, 0.0);
    radii.resize(size);
    for (std::size_t i = 0; i < size; ++i) {
      radii[i] = meeting.radii[members[i]];
      for (std::size_t j = i + 1; j < size; ++j) {
        squares[i * size + j] = squares[j * size + i] = square_of(graph, members[i], members[j]);
      }
    }
    Verdict verdict = ball.decide(size, squares.data(), size, radii.data(), meeting.slack, weights,
                                  BallMeeting::Depth::deepest);
    // Pairs are conflicts of the graph, decided exactly; so is a ball over the longest of three sides, by its angle.
    if (size == 2) verdict = Verdict::yes;
    if (size == 3 && meeting.one_radius && verdict == Verdict::perhaps) {
      verdict = triple_meets(squares[1], squares[2], squares[5], radii[0], meeting.slack);
    }
    cliques.verdict[c] = static_cast<std::int8_t>(verdict);
  }
}

Separation separate(const ClassGraph& graph, const Meeting& meeting, const double* q, const std::uint8_t* alive,
                    const Search& search, const Stop& stop) {
  const Ordered ordered(graph, meeting, q, alive);
  std::vector<std::atomic<double>> most(graph.count);
  for (auto& cell : most) cell.store(search.above, std::memory_order_relaxed);
  const int threads = meeting.kind == Meeting::Kind::ask ? 1 : std::max(search.threads, 1);
  std::vector<Worker> workers;
  workers.reserve(static_cast<std::size_t>(threads));
  for (int i = 0; i < threads; ++i) workers.emplace_back(graph, meeting, ordered, search, most);
  std::vector<std::vector<Hit>> hits(ordered.count);
  std::atomic<std::int64_t> unfinished{0};
  constexpr std::size_t kRoots = 4;
  in_parallel((ordered.count + kRoots - 1) / kRoots, threads, [&](std::size_t worker, std::size_t block) {
    if (worker == 0) stop();
    const std::size_t end = std::min(ordered.count, (block + 1) * kRoots);
    for (std::size_t root = block * kRoots; root < end; ++root) {
      workers[worker].run(static_cast<std::int32_t>(root), hits[root]);
      unfinished += !workers[worker].finished;
    }
  });
  Separation result;
  result.unfinished = unfinished;
  for (const Worker& worker : workers) result.steps += worker.steps;
  result.most.resize(graph.count);
  for (std::size_t v = 0; v < graph.count; ++v) result.most[v] = most[v].load(std::memory_order_relaxed);

  std::vector<Hit*> order;
  for (auto& of_root : hits) {
    for (Hit& hit : of_root) order.push_back(&hit);
  }
  std::sort(order.begin(), order.end(), [](const Hit* a, const Hit* b) {
    return a->sum != b->sum ? a->sum > b->sum : a->members < b->members;
  });
  std::vector<std::uint32_t> used(graph.count, 0);
  for (const Hit* hit : order) {
    const bool room = std::any_of(hit->members.begin(), hit->members.end(),
                                  [&](std::int32_t v) { return used[v] < search.per_vertex; });
    if (!room) continue;
    for (const std::int32_t v : hit->members) ++used[v];
    result.found.members.insert(result.found.members.end(), hit->members.begin(), hit->members.end());
    result.found.offsets.push_back(static_cast<std::int64_t>(result.found.members.size()));
  }
  witness(graph, meeting, result.found);
  return result;
}

}  // namespace lossfloor
