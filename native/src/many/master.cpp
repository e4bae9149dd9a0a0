#include "lossfloor/many/master.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <utility>

namespace lossfloor {
namespace {

using Vector = std::vector<double>;
constexpr double kInfinity = std::numeric_limits<double>::infinity();

// The bounds that a point proves.
struct Quality {
  double lower, upper;
  double gap() const { return upper - lower; }
};

double distance(const Vector& a, const Vector& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += (a[i] - b[i]) * (a[i] - b[i]);
  return std::sqrt(sum);
}

class Master {
 public:
  Master(std::size_t count, const double* weight, const Constraints& constraints, const SeparableLoss& loss,
         const double* q, const double* z, double balance)
      : count_(count), weight_(weight), constraints_(constraints), loss_(loss), balance_(balance), q_(q, q + count),
        z_(z, z + constraints.count), degree_(count, 0.0), tau_(count), sigma_(constraints.count), s_(count),
        point_(count), q_new_(count), q_sum_(count, 0.0), z_sum_(constraints.count, 0.0), q_mean_(count, 0.0),
        z_mean_(constraints.count, 0.0), share_(count), sums_(count), scaled_(count) {
    for (std::size_t e = 0; e < constraints_.count; ++e) {
      for (std::int64_t i = begin(e); i < end(e); ++i) degree_[member(i)] += 1;
    }
  }

  MasterResult solve(const MasterLimits& limits, const Poll& poll) {
    const auto began = std::chrono::steady_clock::now();
    set_steps();
    q_restart_ = q_;
    z_restart_ = z_;
    result_ = {q_, z_, {}, {}, -kInfinity, kInfinity, balance_, 0};
    at_restart_ = judge(q_, z_);
    note(q_, z_, at_restart_);
    last_gap_ = at_restart_.gap();
    while (result_.steps < limits.steps && best_gap() > limits.gap) {
      column_sums(z_, s_);
      for (std::int64_t step = 0; step < kCheck; ++step) take_step();
      result_.steps += kCheck;
      since_ += kCheck;
      if (poll) poll(static_cast<std::size_t>(result_.steps));
      const bool take_mean = check();
      const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - began;
      if (taken.count() > limits.seconds || result_.steps >= limits.steps || best_gap() <= limits.gap) {
        q_restart_ = take_mean ? q_mean_ : q_;
        z_restart_ = take_mean ? z_mean_ : z_;
        break;
      }
    }
    result_.q_next = std::move(q_restart_);
    result_.z_next = std::move(z_restart_);
    result_.balance = balance_;
    return std::move(result_);
  }

 private:
  static constexpr std::int64_t kCheck = 40;  // steps between two checks of the bounds

  std::int64_t begin(std::size_t e) const { return constraints_.offsets[e]; }
  std::int64_t end(std::size_t e) const { return constraints_.offsets[e + 1]; }
  std::int32_t member(std::int64_t i) const { return constraints_.members[i]; }
  double best_gap() const { return result_.upper - result_.lower; }

  void set_steps() {
    for (std::size_t v = 0; v < count_; ++v) tau_[v] = 1 / (balance_ * std::max(degree_[v], 1.0) * weight_[v]);
    for (std::size_t e = 0; e < constraints_.count; ++e) {
      double lightest = kInfinity;
      for (std::int64_t i = begin(e); i < end(e); ++i) lightest = std::min(lightest, weight_[member(i)]);
      sigma_[e] = balance_ * lightest / static_cast<double>(end(e) - begin(e));
    }
  }

  void column_sums(const Vector& z, Vector& s) const {
    std::fill(s.begin(), s.end(), 0.0);
    for (std::size_t e = 0; e < constraints_.count; ++e) {
      if (z[e] == 0) continue;
      for (std::int64_t i = begin(e); i < end(e); ++i) s[member(i)] += z[e];
    }
  }

  // One step of q, and of z at the point beyond it; keeps s_ the sums of z_.
  void take_step() {
    for (std::size_t v = 0; v < count_; ++v) point_[v] = q_[v] - tau_[v] * s_[v];
    loss_.prox(count_, weight_, point_.data(), tau_.data(), q_new_.data());
    for (std::size_t v = 0; v < count_; ++v) {
      point_[v] = 2 * q_new_[v] - q_[v];
      q_sum_[v] += q_new_[v];
    }
    q_.swap(q_new_);
    for (std::size_t e = 0; e < constraints_.count; ++e) {
      double sum = -1;
      const std::int64_t first = begin(e), last = end(e);
      for (std::int64_t i = first; i < last; ++i) sum += point_[member(i)];
      const double next = std::max(z_[e] + sigma_[e] * sum, 0.0), change = next - z_[e];
      if (change != 0) {
        for (std::int64_t i = first; i < last; ++i) s_[member(i)] += change;
        z_[e] = next;
      }
      z_sum_[e] += next;
    }
  }

  Quality judge(const Vector& q, const Vector& z) {
    column_sums(z, sums_);
    double total = 0;
    for (const double value : z) total += value;
    const double lower = loss_.dual(count_, weight_, sums_.data()) - total;
    // Feasible after each vertex is divided by the largest sum of a constraint that it is in.
    std::fill(share_.begin(), share_.end(), 1.0);
    for (std::size_t e = 0; e < constraints_.count; ++e) {
      double sum = 0;
      for (std::int64_t i = begin(e); i < end(e); ++i) sum += q[member(i)];
      if (sum <= 1) continue;
      for (std::int64_t i = begin(e); i < end(e); ++i) share_[member(i)] = std::max(share_[member(i)], sum);
    }
    for (std::size_t v = 0; v < count_; ++v) scaled_[v] = q[v] / share_[v];
    return {lower, loss_.value(count_, weight_, scaled_.data())};
  }

  void note(const Vector& q, const Vector& z, const Quality& found) {
    if (found.lower > result_.lower) result_.lower = found.lower, result_.z = z;
    if (found.upper < result_.upper) result_.upper = found.upper, result_.q = q;
  }

  // Judges the present point and the mean since the last restart, and restarts from the better one where that pays.
  // True if that is the mean.
  bool check() {
    const auto taken = static_cast<double>(since_);
    for (std::size_t v = 0; v < count_; ++v) q_mean_[v] = q_sum_[v] / taken;
    for (std::size_t e = 0; e < constraints_.count; ++e) z_mean_[e] = z_sum_[e] / taken;
    const Quality now = judge(q_, z_), mean = judge(q_mean_, z_mean_);
    note(q_, z_, now);
    note(q_mean_, z_mean_, mean);
    const bool take_mean = mean.gap() < now.gap();
    const Quality chosen = take_mean ? mean : now;
    const bool enough = chosen.gap() <= 0.2 * at_restart_.gap();
    const bool stuck = chosen.gap() <= 0.8 * at_restart_.gap() && chosen.gap() > last_gap_;
    const auto most = static_cast<std::int64_t>(0.36 * static_cast<double>(result_.steps));
    const bool late = since_ >= std::max<std::int64_t>(10 * kCheck, most);
    last_gap_ = chosen.gap();
    if (enough || stuck || late) restart(take_mean, chosen);
    return take_mean;
  }

  void restart(bool take_mean, const Quality& chosen) {
    if (take_mean) q_ = q_mean_, z_ = z_mean_;
    const double moved_q = distance(q_, q_restart_), moved_z = distance(z_, z_restart_);
    if (moved_q > 1e-12 && moved_z > 1e-12) {
      balance_ = std::exp(0.5 * std::log(moved_z / moved_q) + 0.5 * std::log(balance_));
      balance_ = std::min(std::max(balance_, 0.02), 50.0);
      set_steps();
    }
    q_restart_ = q_;
    z_restart_ = z_;
    at_restart_ = chosen;
    last_gap_ = chosen.gap();
    since_ = 0;
    std::fill(q_sum_.begin(), q_sum_.end(), 0.0);
    std::fill(z_sum_.begin(), z_sum_.end(), 0.0);
  }

  const std::size_t count_;
  const double* const weight_;
  const Constraints& constraints_;
  const SeparableLoss& loss_;
  double balance_;
  Vector q_, z_;
  Vector degree_, tau_, sigma_;  // constraints of each vertex; steps
  Vector s_, point_, q_new_;
  Vector q_sum_, z_sum_;  // since the last restart
  Vector q_mean_, z_mean_;
  Vector share_, sums_, scaled_;  // of `judge`
  Vector q_restart_, z_restart_;
  Quality at_restart_{};
  double last_gap_ = 0;
  std::int64_t since_ = 0;  // steps since the last restart
  MasterResult result_{};
};

}  // namespace

MasterResult solve_master(std::size_t count, const double* weight, const Constraints& constraints,
                          const SeparableLoss& loss, const double* q, const double* z, double balance,
                          const MasterLimits& limits, const Poll& poll) {
  return Master(count, weight, constraints, loss, q, z, balance).solve(limits, poll);
}

}  // namespace lossfloor
