// The loss over the polytope of the rows at hand: minimise sum_v w_v l(q_v) over 0 <= q <= 1 and, for every row e,
// sum of q over e <= 1. A first-order primal-dual method (PDHG with diagonal steps, restarts and averages): every dual
// point z >= 0 gives a lower bound, sum_v min_q (w_v l(q) + s_v q) - sum z with s_v the sum of z over the rows of v.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

namespace lossfloor {

// A loss that is a sum over vertices; all arrays have one entry for each.
class SeparableLoss {
 public:
  virtual ~SeparableLoss() = default;
  // q = argmin w l(q) + (q - point)^2 / (2 step) over [0, 1].
  virtual void prox(std::size_t count, const double* weight, const double* point, const double* step,
                    double* q) const = 0;
  virtual double value(std::size_t count, const double* weight, const double* q) const = 0;
  // sum_v min over [0, 1] of w l(q) + s q.
  virtual double dual(std::size_t count, const double* weight, const double* s) const = 0;
};

struct Rows {
  std::size_t count;
  const std::int64_t* offsets;
  const std::int32_t* members;
};

struct MasterLimits {
  double gap;  // stop when upper - lower of the rows at hand is this small
  std::int64_t steps;
  double seconds;
};

struct MasterResult {
  std::vector<double> q, z;            // the best that were met, each by itself
  std::vector<double> q_next, z_next;  // where to go on
  double lower, upper;       // of the rows at hand
  double balance;            // of the steps, for the next call
  std::int64_t steps;
};

using Stop = std::function<void()>;

MasterResult solve_master(std::size_t count, const double* weight, const Rows& rows, const SeparableLoss& loss,
                          const double* q, const double* z, double balance, const MasterLimits& limits,
                          const Stop& stop);

class LogLoss final : public SeparableLoss {
 public:
  void prox(std::size_t, const double*, const double*, const double*, double*) const override;
  double value(std::size_t, const double*, const double*) const override;
  double dual(std::size_t, const double*, const double*) const override;
};

class LinearLoss final : public SeparableLoss {
 public:
  void prox(std::size_t, const double*, const double*, const double*, double*) const override;
  double value(std::size_t, const double*, const double*) const override;
  double dual(std::size_t, const double*, const double*) const override;
};

class SquareLoss final : public SeparableLoss {
 public:
  void prox(std::size_t, const double*, const double*, const double*, double*) const override;
  double value(std::size_t, const double*, const double*) const override;
  double dual(std::size_t, const double*, const double*) const override;
};

// Any convex decreasing loss, by a table of its slopes, between which they are taken to be linear.
class TableLoss final : public SeparableLoss {
 public:
  // `nodes` ascend from above 0 to 1, `slopes` do not fall and are not positive; `at_one` is the loss at 1.
  TableLoss(std::vector<double> nodes, std::vector<double> slopes, double at_one);
  void prox(std::size_t, const double*, const double*, const double*, double*) const override;
  double value(std::size_t, const double*, const double*) const override;
  double dual(std::size_t, const double*, const double*) const override;

 private:
  // Where scale * slope(q) + pull * q crosses `level`, in [0, 1].
  double crossing(double scale, double pull, double level) const;
  double loss(double q) const;
  std::vector<double> nodes_, slopes_, values_;
};

}  // namespace lossfloor
