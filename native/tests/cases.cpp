#include "cases.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>

namespace trials {
namespace {

using Weights = std::vector<std::int64_t>;

// Large sides are near whole words, where rows of bits go wrong.
std::size_t random_side(Random& random, bool large) {
  static constexpr std::size_t special[] = {63, 64, 65, 63, 64, 65, 127, 128, 129};
  if (!large) return static_cast<std::size_t>(random.chance(0.01) ? 0 : random.between(1, 20));
  if (random.chance(0.3)) return static_cast<std::size_t>(random.between(1, 130));
  return special[random.below(std::size(special))];
}

template <class Meets>
void fill(Case& one, const Meets& meets) {
  for (std::size_t u = 0; u < one.left; ++u) {
    for (std::size_t v = 0; v < one.right; ++v) one.conflicts[u * one.right + v] = meets(u, v);
  }
}

// A few conflicts for each vertex, or a share of all pairs.
double density(Random& random, const Case& one) {
  static constexpr double shares[] = {0, 0.02, 0.1, 0.2, 0.35, 0.6, 0.9, 1};
  if (random.chance(0.4)) return shares[random.below(std::size(shares))];
  return (0.3 + 5 * random.unit()) / static_cast<double>(std::max<std::size_t>({one.left, one.right, 1}));
}

void scatter(Case& one, Random& random) {
  const double share = density(random, one);
  fill(one, [&](std::size_t, std::size_t) { return random.chance(share); });
}

// Vertices with many conflicts and vertices with few.
void scatter_unevenly(Case& one, Random& random) {
  const double share = 4 * density(random, one);
  std::vector<double> often(one.left + one.right);
  for (double& one_often : often) one_often = random.unit();
  fill(one, [&](std::size_t u, std::size_t v) { return random.chance(share * often[u] * often[one.left + v]); });
}

// Points of a line or a plane in conflict when they are near: what data looks like.
void near_points(Case& one, Random& random) {
  const double dimensions = random.chance(0.5) ? 1 : 2;
  const double radius = 1.2 * std::pow(density(random, one), 1 / dimensions);
  const double height = dimensions - 1;
  std::vector<double> x(one.left + one.right);
  std::vector<double> y(x.size());
  for (double& value : x) value = random.unit();
  for (double& value : y) value = random.unit() * height;
  fill(one, [&](std::size_t u, std::size_t v) {
    return std::hypot(x[u] - x[one.left + v], y[u] - y[one.left + v]) <= radius;
  });
}

// Nested neighbourhoods: many blocks.
void nested(Case& one, Random& random) {
  const std::int64_t most = random.between(1, 40);
  std::vector<std::int64_t> rank(one.left + one.right);
  for (std::int64_t& value : rank) value = random.between(0, most);
  fill(one, [&](std::size_t u, std::size_t v) { return rank[u] + rank[one.left + v] <= most; });
}

// A path u0 v0 u1 v1 ...: long ways for flow.
void chain(Case& one, Random&) {
  fill(one, [&](std::size_t u, std::size_t v) { return u == v || u == v + 1; });
}

// Few neighbourhoods, each of many vertices; or complete pieces, some of which have equal posteriors.
void groups(Case& one, Random& random) {
  const std::int64_t count = random.between(1, 8);
  const bool pieces = random.chance(0.5);
  std::vector<char> joined(static_cast<std::size_t>(count * count));
  for (char& value : joined) value = random.chance(0.4);
  std::vector<std::int64_t> group(one.left + one.right);
  for (std::int64_t& value : group) value = random.below(count);
  fill(one, [&](std::size_t u, std::size_t v) {
    const std::int64_t x = group[u];
    const std::int64_t y = group[one.left + v];
    return pieces ? x == y : joined[static_cast<std::size_t>(x * count + y)] != 0;
  });
}

// Gives some vertices the conflicts of others.
void copy_some(Case& one, Random& random) {
  if (one.left == 0 || one.right == 0) return;
  const auto left = static_cast<std::int64_t>(one.left);
  const auto right = static_cast<std::int64_t>(one.right);
  for (std::int64_t i = random.between(1, 1 + left / 2); i > 0; --i) {
    const auto from = one.conflicts.begin() + random.below(left) * right;
    std::copy(from, from + right, one.conflicts.begin() + random.below(left) * right);
  }
  for (std::int64_t i = random.between(1, 1 + right / 2); i > 0; --i) {
    const auto from = static_cast<std::size_t>(random.below(right));
    const auto to = static_cast<std::size_t>(random.below(right));
    for (std::size_t u = 0; u < one.left; ++u) one.conflicts[u * one.right + to] = one.conflict(u, from);
  }
}

void flip_some(Case& one, Random& random) {
  if (one.conflicts.empty()) return;
  const auto pairs = static_cast<std::int64_t>(one.conflicts.size());
  for (std::int64_t i = random.between(1, 6); i > 0; --i) {
    char& conflict = one.conflicts[static_cast<std::size_t>(random.below(pairs))];
    conflict = conflict == 0;
  }
}

std::int64_t weight_up_to(Random& random, std::int64_t most) {
  return random.between(1, std::max<std::int64_t>(most, 1));
}

// Up to three vertices of near 2^60, and others that are next to nothing beside them.
void make_giants(Weights& weights, Random& random) {
  for (std::int64_t& weight : weights) weight = weight_up_to(random, 4);
  for (int i = 0; i < 3; ++i) {
    weights[static_cast<std::size_t>(random.below(static_cast<std::int64_t>(weights.size())))] =
        (std::int64_t{1} << 60) - random.below(1000);
  }
}

// In total below 2^62, the most that the solver takes.
Weights random_weights(std::size_t count, Random& random) {
  Weights weights(count, 1);
  if (count == 0) return weights;
  const auto shared = [&](int bits) { return (std::int64_t{1} << bits) / static_cast<std::int64_t>(count); };
  switch (random.below(8)) {
    case 0:
      break;
    case 1:
      weights.assign(count, weight_up_to(random, shared(61)));
      break;
    case 2:
    case 3:
      for (std::int64_t& weight : weights) weight = weight_up_to(random, 4);
      break;
    case 4:  // weight times weight near 2^62, from where on flow takes 128 bits
      for (std::int64_t& weight : weights) weight = weight_up_to(random, shared(33));
      break;
    case 5:
      for (std::int64_t& weight : weights) weight = shared(62) - random.between(1, 4);
      break;
    case 6:
      for (std::int64_t& weight : weights) weight = weight_up_to(random, random.chance(0.2) ? 4 : shared(62) - 1);
      break;
    default:
      make_giants(weights, random);
  }
  return weights;
}

}  // namespace

std::uint64_t Random::bits() {
  std::uint64_t value = state_ += 0x9E3779B97F4A7C15ULL;
  value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9ULL;
  value = (value ^ (value >> 27)) * 0x94D049BB133111EBULL;
  return value ^ (value >> 31);
}

std::int64_t Random::below(std::int64_t bound) {
  return static_cast<std::int64_t>(bits() % static_cast<std::uint64_t>(bound));
}

std::int64_t Random::between(std::int64_t least, std::int64_t most) { return least + below(most - least + 1); }

double Random::unit() { return static_cast<double>(bits() >> 11) / 9007199254740992.0; }

Case read_case(std::istream& in) {
  Case one;
  if (!(in >> one.left >> one.right)) throw std::runtime_error("a case begins with its numbers of vertices");
  one.left_weight.resize(one.left);
  one.right_weight.resize(one.right);
  for (std::int64_t& weight : one.left_weight) in >> weight;
  for (std::int64_t& weight : one.right_weight) in >> weight;
  if (!in) throw std::runtime_error("a case has a weight for every vertex");
  one.conflicts.assign(one.left * one.right, 0);
  for (std::size_t u = 0, v = 0; in >> u >> v;) {
    if (u >= one.left || v >= one.right) throw std::runtime_error("a conflict is one of vertices that there are");
    one.conflicts[u * one.right + v] = 1;
  }
  return one;
}

Case random_case(Random& random) {
  static constexpr void (*kinds[])(Case&, Random&) = {scatter, scatter, scatter_unevenly, near_points, nested,
                                                      chain,   groups};
  const bool large = random.chance(0.3);
  Case one;
  one.left = random_side(random, large);
  one.right = random_side(random, large != random.chance(0.1));
  // Rows of more than eight words, which wide instructions take at once.
  if (!large && random.chance(0.01)) one.right = static_cast<std::size_t>(random.between(500, 1100));
  one.conflicts.assign(one.left * one.right, 0);
  kinds[random.below(std::size(kinds))](one, random);
  if (random.chance(0.2)) copy_some(one, random);
  if (random.chance(0.2)) flip_some(one, random);
  Weights weights = random_weights(one.left + one.right, random);
  one.right_weight.assign(weights.begin() + static_cast<std::ptrdiff_t>(one.left), weights.end());
  weights.resize(one.left);
  weights.shrink_to_fit();
  one.left_weight = weights;
  return one;
}

Stored::Stored(const Case& one)
    : left(one.left), right(one.right), words((one.right + 63) / 64), bits(one.left * words, 0), offsets(1, 0) {
  for (std::size_t u = 0; u < left; ++u) {
    for (std::size_t v = 0; v < right; ++v) {
      if (!one.conflict(u, v)) continue;
      bits[u * words + v / 64] |= std::uint64_t{1} << (v % 64);
      targets.push_back(static_cast<std::int32_t>(v));
    }
    offsets.push_back(static_cast<std::int64_t>(targets.size()));
  }
  targets.shrink_to_fit();
  offsets.shrink_to_fit();
}

}  // namespace trials
