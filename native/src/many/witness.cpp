#include <algorithm>
#include <vector>

#include "lossfloor/many/cliques.hpp"

namespace lossfloor {
namespace {

double square_of(const ClassGraph& graph, std::int32_t u, std::int32_t v) {
  const auto* begin = graph.targets + graph.offsets[u];
  const auto* end = graph.targets + graph.offsets[u + 1];
  return graph.squares[std::lower_bound(begin, end, v) - graph.targets];
}

// Witnesses of cliques of balls.
class BallWitness {
 public:
  BallWitness(const ClassGraph& graph, const CommonPointRule& rule) : graph_(graph), rule_(rule) {}

  Verdict find(const std::int32_t* members, std::size_t size, double* weights) {
    squares_.assign(size * size, 0.0);
    radii_.resize(size);
    for (std::size_t i = 0; i < size; ++i) {
      radii_[i] = rule_.radii[members[i]];
      for (std::size_t j = i + 1; j < size; ++j) {
        squares_[i * size + j] = squares_[j * size + i] = square_of(graph_, members[i], members[j]);
      }
    }
    const Verdict verdict =
        ball_.decide(size, squares_.data(), size, radii_.data(), rule_.slack, weights, BallMeeting::Depth::deepest);
    // Pairs are conflicts of the graph, decided exactly; so is a ball over the longest of three sides, by its angle.
    if (size == 2) return Verdict::yes;
    if (size == 3 && rule_.one_radius && verdict == Verdict::undecided) {
      return triple_meets(squares_[1], squares_[2], squares_[5], radii_[0], rule_.slack);
    }
    return verdict;
  }

 private:
  const ClassGraph& graph_;
  const CommonPointRule& rule_;
  BallMeeting ball_;
  std::vector<double> squares_, radii_;
};

}  // namespace

void witness(const ClassGraph& graph, const CommonPointRule& rule, Cliques& cliques) {
  const std::size_t count = cliques.offsets.size() - 1;
  cliques.weights.assign(cliques.members.size(), 0.0);
  cliques.verdict.assign(count, static_cast<std::int8_t>(Verdict::yes));
  if (rule.kind == CommonPointRule::Kind::always) return;
  BallWitness balls(graph, rule);
  for (std::size_t c = 0; c < count; ++c) {
    const auto begin = static_cast<std::size_t>(cliques.offsets[c]);
    const auto size = static_cast<std::size_t>(cliques.offsets[c + 1]) - begin;
    const std::int32_t* members = cliques.members.data() + begin;
    if (rule.kind == CommonPointRule::Kind::balls) {
      cliques.verdict[c] = static_cast<std::int8_t>(balls.find(members, size, cliques.weights.data() + begin));
    } else if (size > 2) {
      cliques.verdict[c] = static_cast<std::int8_t>(rule.ask(members, size));
    }
  }
}

}  // namespace lossfloor
