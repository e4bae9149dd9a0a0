#include "lossfloor/many/losses.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

namespace lossfloor {

void LogLoss::prox(std::size_t count, const double* weight, const double* point, const double* step, double* q) const {
  for (std::size_t v = 0; v < count; ++v) {
    const double product = 4 * step[v] * weight[v];
    const double root = std::sqrt(point[v] * point[v] + product);
    // The same root in the form that does not cancel.
    const double value = point[v] >= 0 ? 0.5 * (point[v] + root) : 0.5 * product / (root - point[v]);
    q[v] = std::min(value, 1.0);
  }
}

double LogLoss::value(std::size_t count, const double* weight, const double* q) const {
  double sum = 0;
  for (std::size_t v = 0; v < count; ++v) {
    if (q[v] < 1) sum -= weight[v] * std::log(q[v]);
  }
  return sum;
}

double LogLoss::dual(std::size_t count, const double* weight, const double* s) const {
  double sum = 0;
  for (std::size_t v = 0; v < count; ++v) {
    sum += s[v] > weight[v] ? weight[v] + weight[v] * std::log(s[v] / weight[v]) : s[v];
  }
  return sum;
}

void LinearLoss::prox(std::size_t count, const double* weight, const double* point, const double* step,
                      double* q) const {
  for (std::size_t v = 0; v < count; ++v) q[v] = std::min(std::max(point[v] + step[v] * weight[v], 0.0), 1.0);
}

double LinearLoss::value(std::size_t count, const double* weight, const double* q) const {
  double sum = 0;
  for (std::size_t v = 0; v < count; ++v) sum += weight[v] * (1 - q[v]);
  return sum;
}

double LinearLoss::dual(std::size_t count, const double* weight, const double* s) const {
  double sum = 0;
  for (std::size_t v = 0; v < count; ++v) sum += std::min(s[v], weight[v]);
  return sum;
}

void SquareLoss::prox(std::size_t count, const double* weight, const double* point, const double* step,
                      double* q) const {
  for (std::size_t v = 0; v < count; ++v) {
    const double pull = 2 * step[v] * weight[v];
    q[v] = std::min(std::max((point[v] + pull) / (1 + pull), 0.0), 1.0);
  }
}

double SquareLoss::value(std::size_t count, const double* weight, const double* q) const {
  double sum = 0;
  for (std::size_t v = 0; v < count; ++v) sum += weight[v] * (1 - q[v]) * (1 - q[v]);
  return sum;
}

double SquareLoss::dual(std::size_t count, const double* weight, const double* s) const {
  double sum = 0;
  for (std::size_t v = 0; v < count; ++v) {
    sum += s[v] < 2 * weight[v] ? s[v] - s[v] * s[v] / (4 * weight[v]) : weight[v];
  }
  return sum;
}

TableLoss::TableLoss(std::vector<double> nodes, std::vector<double> slopes, double at_one)
    : nodes_(std::move(nodes)), slopes_(std::move(slopes)), values_(nodes_.size()) {
  values_.back() = at_one;
  for (std::size_t i = nodes_.size() - 1; i-- > 0;) {
    values_[i] = values_[i + 1] - 0.5 * (slopes_[i] + slopes_[i + 1]) * (nodes_[i + 1] - nodes_[i]);
  }
}

double TableLoss::crossing(double scale, double pull, double level) const {
  std::size_t low = 0, high = nodes_.size() - 1;
  if (scale * slopes_[high] + pull * nodes_[high] <= level) return 1;
  if (scale * slopes_[0] + pull * nodes_[0] >= level) {  // before the first node the slope is that there
    return pull > 0 ? std::min(std::max((level - scale * slopes_[0]) / pull, 0.0), nodes_[0]) : 0;
  }
  while (high - low > 1) {
    const std::size_t middle = (low + high) / 2;
    (scale * slopes_[middle] + pull * nodes_[middle] > level ? high : low) = middle;
  }
  const double at = scale * slopes_[low] + pull * nodes_[low], end = scale * slopes_[high] + pull * nodes_[high];
  const double share = end > at ? (level - at) / (end - at) : 1;
  return nodes_[low] + share * (nodes_[high] - nodes_[low]);
}

double TableLoss::loss(double q) const {
  if (q <= nodes_[0]) return values_[0] + slopes_[0] * (q - nodes_[0]);
  const auto behind = std::upper_bound(nodes_.begin() + 1, nodes_.end() - 1, q);
  const auto i = static_cast<std::size_t>(behind - nodes_.begin()) - 1;
  const double step = q - nodes_[i], rise = (slopes_[i + 1] - slopes_[i]) / (nodes_[i + 1] - nodes_[i]);
  return values_[i] + step * (slopes_[i] + 0.5 * rise * step);
}

void TableLoss::prox(std::size_t count, const double* weight, const double* point, const double* step,
                     double* q) const {
  for (std::size_t v = 0; v < count; ++v) q[v] = crossing(step[v] * weight[v], 1, point[v]);
}

double TableLoss::value(std::size_t count, const double* weight, const double* q) const {
  double sum = 0;
  for (std::size_t v = 0; v < count; ++v) sum += weight[v] * loss(q[v]);
  return sum;
}

double TableLoss::dual(std::size_t count, const double* weight, const double* s) const {
  double sum = 0;
  for (std::size_t v = 0; v < count; ++v) {
    const double q = crossing(weight[v], 0, -s[v]);
    sum += weight[v] * loss(q) + s[v] * q;
  }
  return sum;
}

}  // namespace lossfloor
