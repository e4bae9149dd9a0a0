// The loss over the polytope of the constraints found so far: minimise sum_v w_v l(q_v) over 0 <= q <= 1 and, for every
// constraint e, sum of q over e <= 1. A first-order primal-dual method (PDHG with diagonal steps, restarts and
// averages): every dual point z >= 0 gives a lower bound, sum_v min_q (w_v l(q) + s_v q) - sum z with s_v the sum of z
// over the constraints of v.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "lossfloor/many/losses.hpp"
#include "lossfloor/poll.hpp"

namespace lossfloor {

// Sums of q over the members of each constraint, at most 1.
struct Constraints {
  std::size_t count;
  const std::int64_t* offsets;
  const std::int32_t* members;
};

struct MasterLimits {
  double gap;  // stop when upper - lower is this small
  std::int64_t steps;
  double seconds;
};

struct MasterResult {
  std::vector<double> q, z;            // the best found, each by itself
  std::vector<double> q_next, z_next;  // where to resume
  double lower, upper;                 // bounds of the minimum under these constraints
  double balance;                      // of the steps, for the next call
  std::int64_t steps;
};

// `poll` gets the number of steps.
MasterResult solve_master(std::size_t count, const double* weight, const Constraints& constraints,
                          const SeparableLoss& loss, const double* q, const double* z, double balance,
                          const MasterLimits& limits, const Poll& poll);

}  // namespace lossfloor
