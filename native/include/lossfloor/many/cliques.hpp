// Conflicts of more than two examples: cliques of the conflict graph, at most one example per class, whose
// neighbourhoods share a point. `separate` finds those whose probabilities sum to more than one, by branch and bound.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "lossfloor/many/balls.hpp"
#include "lossfloor/poll.hpp"
#include "lossfloor/simd/isa.hpp"

namespace lossfloor {

// All conflicts of each vertex, ascending: targets[offsets[v]] .. targets[offsets[v + 1] - 1].
struct ClassGraph {
  std::size_t count;
  std::size_t classes;
  const std::int32_t* codes;
  const std::int64_t* offsets;
  const std::int32_t* targets;
  const double* squares;  // squared distance of each conflict, or null
};

// How to decide whether the neighbourhoods of a clique have a common point.
struct CommonPointRule {
  enum class Kind { always, balls, ask } kind;
  const double* radii;  // squared radius of each vertex (balls)
  bool one_radius;
  double slack;  // as for BallMeeting
  // Asked of cliques of three and more (ask); vertices ascending.
  std::function<Verdict(const std::int32_t*, std::size_t)> ask;
};

struct Search {
  double above;            // what a sum must exceed to be reported
  std::size_t max_degree;  // of reported cliques and of those that `most` is about
  std::size_t per_root;    // cliques reported for each root, at most
  std::size_t per_vertex;  // and for each vertex
  std::size_t enough;      // cliques found for a root beyond which its search stops and leaves a bound
  std::int64_t budget;     // steps per pair that cliques begin with, beyond which only a bound is left
  int threads;
  double seconds;  // after which only bounds are left, too; 0 for no limit
  Isa isa;         // the most that kernels may use
  std::chrono::steady_clock::time_point began = std::chrono::steady_clock::now();
};

struct Cliques {
  std::vector<std::int64_t> offsets{0};
  std::vector<std::int32_t> members;  // ascending in each clique
  std::vector<double> weights;        // of the witness, beside each member
  std::vector<std::int8_t> verdict;   // of each clique: 1 undecided, 2 surely there
};

struct Separation {
  Cliques found;             // by descending sum
  std::vector<double> most;  // for each vertex: no clique with it sums to more (at least `above`)
  std::int64_t steps = 0;
  std::int64_t unfinished = 0;  // roots of which only a bound is known
};

// Only vertices with alive[v] != 0 are considered. `poll` gets the number of roots that were started.
Separation separate(const ClassGraph& graph, const CommonPointRule& rule, const double* q, const std::uint8_t* alive,
                    const Search& search, const Poll& poll);

// Witnesses of given cliques; members of a clique ascending.
void witness(const ClassGraph& graph, const CommonPointRule& rule, Cliques& cliques);

}  // namespace lossfloor
