#include "lossfloor/many/balls.hpp"

#include <algorithm>
#include <cmath>

namespace lossfloor {

namespace {

// The largest squared distance or radius, and the two centres that are farthest apart.
struct Extent {
  double scale = 0;
  std::size_t first = 0, second = 0;
};

Extent extent_of(std::size_t count, const double* squares, std::size_t stride, const double* radii) {
  Extent extent;
  extent.second = count > 1 ? 1 : 0;
  double longest = -1;
  for (std::size_t i = 0; i < count; ++i) {
    extent.scale = std::max(extent.scale, radii[i]);
    for (std::size_t j = i + 1; j < count; ++j) {
      const double square = squares[i * stride + j];
      extent.scale = std::max(extent.scale, square);
      if (square > longest) longest = square, extent.first = i, extent.second = j;
    }
  }
  return extent;
}

}  // namespace

Verdict BallMeeting::decide(std::size_t count, const double* squares, std::size_t stride, const double* radii,
                            double slack, double* weights, Depth depth) {
  const Extent extent = extent_of(count, squares, stride, radii);
  const double tolerance = slack * extent.scale;
  if (depth != Depth::warm) {
    std::fill(weights, weights + count, 0.0);
    weights[extent.first] += 0.5;
    weights[extent.second] += 0.5;
  }
  gradient_.resize(count);
  constexpr int kSteps = 400;
  constexpr double kDeepEnough = 1e-6;
  double best = 0;  // how far inside all balls the best point so far is (negative)
  for (int step = 0; step < kSteps; ++step) {
    const Point point = measure(count, squares, stride, radii, weights);
    if (point.beyond > tolerance) return Verdict::no;
    const double left = point.outside - point.beyond;  // how much deeper the deepest point can be
    if (point.outside <= -tolerance) {
      if (depth != Depth::deepest || left <= kDeepEnough * extent.scale) return Verdict::yes;
      if (point.outside < best) best = point.outside, best_.assign(weights, weights + count);
    }
    if (left <= tolerance * 0.25) break;
    if (step % 8 == 7 && solve_support(count, squares, stride, radii, weights)) continue;
    if (!move_to(point.worst, count, squares, stride, weights)) break;
  }
  if (best == 0) return Verdict::undecided;
  std::copy(best_.begin(), best_.end(), weights);
  return Verdict::yes;
}

// Anew in each step: nothing drifts, and the rounding error stays that of a short sum.
BallMeeting::Point BallMeeting::measure(std::size_t count, const double* squares, std::size_t stride,
                                        const double* radii, const double* weights) {
  double mean = 0, means_radius = 0;
  for (std::size_t i = 0; i < count; ++i) {
    double sum = 0;
    for (std::size_t j = 0; j < count; ++j) {
      if (j != i) sum += weights[j] * squares[i * stride + j];
    }
    gradient_[i] = sum - radii[i];
    mean += weights[i] * sum;
    means_radius += weights[i] * radii[i];
  }
  mean *= 0.5;
  const auto end = gradient_.begin() + static_cast<std::ptrdiff_t>(count);
  const auto worst = static_cast<std::size_t>(std::max_element(gradient_.begin(), end) - gradient_.begin());
  return {mean - means_radius, gradient_[worst] - mean, worst};
}

// Moves weight to the worst ball from the one that is least in need of it; false if there is no other.
bool BallMeeting::move_to(std::size_t worst, std::size_t count, const double* squares, std::size_t stride,
                          double* weights) const {
  std::size_t least = worst;
  for (std::size_t j = 0; j < count; ++j) {
    if (weights[j] > 0 && j != worst && (least == worst || gradient_[j] < gradient_[least])) least = j;
  }
  if (least == worst) return false;
  const double square = squares[worst * stride + least];
  const double rise = gradient_[worst] - gradient_[least];
  double move = square > 0 ? rise / (2 * square) : weights[least];
  move = std::min(std::max(move, 0.0), weights[least]);
  weights[worst] += move;
  weights[least] = move == weights[least] ? 0.0 : weights[least] - move;
  return true;
}

// Solves the system of `size` equations in matrix_, a row each with the right-hand side last, as far as a diagonal
// matrix; false if it is singular.
bool BallMeeting::eliminate(std::size_t size) {
  const std::size_t width = size + 1;
  for (std::size_t column = 0; column < size; ++column) {
    std::size_t pivot = column;
    for (std::size_t row = column + 1; row < size; ++row) {
      if (std::abs(matrix_[row * width + column]) > std::abs(matrix_[pivot * width + column])) pivot = row;
    }
    if (std::abs(matrix_[pivot * width + column]) < 1e-300) return false;
    if (pivot != column) {
      std::swap_ranges(matrix_.begin() + static_cast<std::ptrdiff_t>(pivot * width),
                       matrix_.begin() + static_cast<std::ptrdiff_t>((pivot + 1) * width),
                       matrix_.begin() + static_cast<std::ptrdiff_t>(column * width));
    }
    for (std::size_t row = 0; row < size; ++row) {
      if (row == column) continue;
      const double factor = matrix_[row * width + column] / matrix_[column * width + column];
      if (factor == 0) continue;
      for (std::size_t k = column; k < width; ++k) matrix_[row * width + k] -= factor * matrix_[column * width + k];
    }
  }
  return true;
}

// Weights on the present support with all gradients equal; false, and nothing changed, if some would be negative.
bool BallMeeting::solve_support(std::size_t count, const double* squares, std::size_t stride, const double* radii,
                                double* weights) {
  support_.clear();
  for (std::size_t i = 0; i < count; ++i) {
    if (weights[i] > 1e-9) support_.push_back(i);
  }
  const std::size_t n = support_.size();
  if (n < 2) return false;
  const std::size_t size = n + 1, width = size + 1;
  matrix_.assign(size * width, 0.0);
  for (std::size_t a = 0; a < n; ++a) {
    for (std::size_t b = 0; b < n; ++b) {
      matrix_[a * width + b] = a == b ? 0.0 : squares[support_[a] * stride + support_[b]];
    }
    matrix_[a * width + n] = -1;
    matrix_[a * width + size] = radii[support_[a]];
    matrix_[n * width + a] = 1;
  }
  matrix_[n * width + size] = 1;
  if (!eliminate(size)) return false;
  trial_.assign(n, 0.0);
  double total = 0;
  for (std::size_t a = 0; a < n; ++a) {
    trial_[a] = matrix_[a * width + size] / matrix_[a * width + a];
    if (!(trial_[a] >= 0) || !std::isfinite(trial_[a])) return false;
    total += trial_[a];
  }
  if (!(total > 0.5)) return false;
  std::fill(weights, weights + count, 0.0);
  for (std::size_t a = 0; a < n; ++a) weights[support_[a]] = trial_[a] / total;
  return true;
}

}  // namespace lossfloor
