// Losses that are sums over vertices, as the first-order method (master.hpp) reads them.
#pragma once

#include <cstddef>
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
