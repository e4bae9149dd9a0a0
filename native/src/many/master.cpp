#include "lossfloor/many/master.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <utility>

namespace lossfloor {

void LogLoss::prox(std::size_t count, const double* weight, const double* point, const double* step,
                   double* q) const {
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

namespace {

// What the method keeps of one point: its bounds.
struct Quality {
  double lower, upper;
  double gap() const { return upper - lower; }
};

class Master {
 public:
  Master(std::size_t count, const double* weight, const Rows& rows, const SeparableLoss& loss)
      : count_(count), weight_(weight), rows_(rows), loss_(loss), share_(count), s_(count), scaled_(count) {}

  void column_sums(const std::vector<double>& z, std::vector<double>& s) const {
    std::fill(s.begin(), s.end(), 0.0);
    for (std::size_t e = 0; e < rows_.count; ++e) {
      if (z[e] == 0) continue;
      for (std::int64_t i = rows_.offsets[e]; i < rows_.offsets[e + 1]; ++i) s[rows_.members[i]] += z[e];
    }
  }

  Quality judge(const std::vector<double>& q, const std::vector<double>& z) {
    column_sums(z, s_);
    double total = 0;
    for (const double value : z) total += value;
    const double lower = loss_.dual(count_, weight_, s_.data()) - total;
    // Feasible after each vertex is divided by the largest sum of a row that it is in.
    std::fill(share_.begin(), share_.end(), 1.0);
    for (std::size_t e = 0; e < rows_.count; ++e) {
      double sum = 0;
      for (std::int64_t i = rows_.offsets[e]; i < rows_.offsets[e + 1]; ++i) sum += q[rows_.members[i]];
      if (sum <= 1) continue;
      for (std::int64_t i = rows_.offsets[e]; i < rows_.offsets[e + 1]; ++i) {
        double& cell = share_[rows_.members[i]];
        cell = std::max(cell, sum);
      }
    }
    for (std::size_t v = 0; v < count_; ++v) scaled_[v] = q[v] / share_[v];
    return {lower, loss_.value(count_, weight_, scaled_.data())};
  }

  std::size_t count_;
  const double* weight_;
  const Rows& rows_;
  const SeparableLoss& loss_;
  std::vector<double> share_, s_, scaled_;
};

double distance(const std::vector<double>& a, const std::vector<double>& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += (a[i] - b[i]) * (a[i] - b[i]);
  return std::sqrt(sum);
}

}  // namespace

MasterResult solve_master(std::size_t count, const double* weight, const Rows& rows, const SeparableLoss& loss,
                          const double* q_start, const double* z_start, double balance, const MasterLimits& limits,
                          const Stop& stop) {
  const auto began = std::chrono::steady_clock::now();
  Master master(count, weight, rows, loss);
  std::vector<double> q(q_start, q_start + count), z(z_start, z_start + rows.count);
  std::vector<double> degree(count, 0.0), tau(count), sigma(rows.count), s(count);
  for (std::size_t e = 0; e < rows.count; ++e) {
    for (std::int64_t i = rows.offsets[e]; i < rows.offsets[e + 1]; ++i) degree[rows.members[i]] += 1;
  }
  const auto set_steps = [&] {
    for (std::size_t v = 0; v < count; ++v) tau[v] = 1 / (balance * std::max(degree[v], 1.0) * weight[v]);
    for (std::size_t e = 0; e < rows.count; ++e) {
      double lightest = std::numeric_limits<double>::infinity();
      for (std::int64_t i = rows.offsets[e]; i < rows.offsets[e + 1]; ++i) {
        lightest = std::min(lightest, weight[rows.members[i]]);
      }
      sigma[e] = balance * lightest / static_cast<double>(rows.offsets[e + 1] - rows.offsets[e]);
    }
  };
  set_steps();
  std::vector<double> point(count), q_next(count), q_mean(count, 0.0), z_mean(rows.count, 0.0);
  std::vector<double> q_restart = q, z_restart = z, q_sum(count, 0.0), z_sum(rows.count, 0.0);
  MasterResult result{q, z, {}, {}, -std::numeric_limits<double>::infinity(), std::numeric_limits<double>::infinity(),
                      balance, 0};
  double best_gap = std::numeric_limits<double>::infinity();
  const auto note = [&](const std::vector<double>& some_q, const std::vector<double>& some_z, const Quality& found) {
    if (found.lower > result.lower) result.lower = found.lower, result.z = some_z;
    if (found.upper < result.upper) result.upper = found.upper, result.q = some_q;
    best_gap = result.upper - result.lower;
  };
  Quality at_restart = master.judge(q, z);
  note(q, z, at_restart);
  double last_gap = at_restart.gap();
  std::int64_t since = 0;
  constexpr std::int64_t kCheck = 40;
  while (result.steps < limits.steps && best_gap > limits.gap) {
    master.column_sums(z, s);
    for (std::int64_t step = 0; step < kCheck; ++step) {
      for (std::size_t v = 0; v < count; ++v) point[v] = q[v] - tau[v] * s[v];
      loss.prox(count, weight, point.data(), tau.data(), q_next.data());
      for (std::size_t v = 0; v < count; ++v) {
        point[v] = 2 * q_next[v] - q[v];
        q_sum[v] += q_next[v];
      }
      q.swap(q_next);
      for (std::size_t e = 0; e < rows.count; ++e) {
        double sum = -1;
        const std::int64_t begin = rows.offsets[e], end = rows.offsets[e + 1];
        for (std::int64_t i = begin; i < end; ++i) sum += point[rows.members[i]];
        const double next = std::max(z[e] + sigma[e] * sum, 0.0), change = next - z[e];
        if (change != 0) {
          for (std::int64_t i = begin; i < end; ++i) s[rows.members[i]] += change;
          z[e] = next;
        }
        z_sum[e] += next;
      }
    }
    result.steps += kCheck;
    since += kCheck;
    stop();
    for (std::size_t v = 0; v < count; ++v) q_mean[v] = q_sum[v] / static_cast<double>(since);
    for (std::size_t e = 0; e < rows.count; ++e) z_mean[e] = z_sum[e] / static_cast<double>(since);
    const Quality now = master.judge(q, z), mean = master.judge(q_mean, z_mean);
    note(q, z, now);
    note(q_mean, z_mean, mean);
    const bool take_mean = mean.gap() < now.gap();
    const Quality chosen = take_mean ? mean : now;
    const bool enough = chosen.gap() <= 0.2 * at_restart.gap();
    const bool stuck = chosen.gap() <= 0.8 * at_restart.gap() && chosen.gap() > last_gap;
    const bool late = since >= std::max<std::int64_t>(10 * kCheck, static_cast<std::int64_t>(0.36 * static_cast<double>(result.steps)));
    last_gap = chosen.gap();
    if (enough || stuck || late) {
      if (take_mean) q = q_mean, z = z_mean;
      const double moved_q = distance(q, q_restart), moved_z = distance(z, z_restart);
      if (moved_q > 1e-12 && moved_z > 1e-12) {
        balance = std::exp(0.5 * std::log(moved_z / moved_q) + 0.5 * std::log(balance));
        balance = std::min(std::max(balance, 0.02), 50.0);
        set_steps();
      }
      q_restart = q;
      z_restart = z;
      at_restart = chosen;
      last_gap = chosen.gap();
      since = 0;
      std::fill(q_sum.begin(), q_sum.end(), 0.0);
      std::fill(z_sum.begin(), z_sum.end(), 0.0);
    }
    const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - began;
    if (taken.count() > limits.seconds || result.steps >= limits.steps || best_gap <= limits.gap) {
      q_restart = take_mean ? q_mean : q;
      z_restart = take_mean ? z_mean : z;
      break;
    }
  }
  result.q_next = std::move(q_restart);
  result.z_next = std::move(z_restart);
  result.balance = balance;
  return result;
}

}  // namespace lossfloor
