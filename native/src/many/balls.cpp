#include "lossfloor/many/balls.hpp"

#include <algorithm>
#include <cmath>

namespace lossfloor {

Verdict BallMeeting::decide(std::size_t count, const double* squares, std::size_t stride, const double* radii,
                            double slack, double* weights, Depth depth) {
  const bool warm = depth == Depth::warm;
  double scale = 0;
  std::size_t first = 0, second = count > 1 ? 1 : 0;
  double longest = -1;
  for (std::size_t i = 0; i < count; ++i) {
    scale = std::max(scale, radii[i]);
    for (std::size_t j = i + 1; j < count; ++j) {
      const double square = squares[i * stride + j];
      scale = std::max(scale, square);
      if (square > longest) longest = square, first = i, second = j;
    }
  }
  const double tolerance = slack * scale;
  if (!warm) {
    std::fill(weights, weights + count, 0.0);
    weights[first] += 0.5;
    weights[second] += 0.5;
  }
  gradient_.resize(count);
  constexpr int kSteps = 400;
  constexpr double kDeepEnough = 1e-6;
  double best = 0;  // how far inside all balls the best point so far is (negative)
  for (int step = 0; step < kSteps; ++step) {
    // Afresh in each step: nothing drifts, and the rounding error stays that of a short sum.
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
    if (mean - means_radius > tolerance) return Verdict::no;
    const auto worst = static_cast<std::size_t>(
        std::max_element(gradient_.begin(), gradient_.begin() + static_cast<std::ptrdiff_t>(count)) -
        gradient_.begin());
    const double outside = gradient_[worst] - mean;
    const double left = outside - (mean - means_radius);  // how much deeper the deepest point can be
    if (outside <= -tolerance) {
      if (depth != Depth::deepest || left <= kDeepEnough * scale) return Verdict::yes;
      if (outside < best) best = outside, best_.assign(weights, weights + count);
    }
    if (left <= tolerance * 0.25) break;
    if (step % 8 == 7 && solve_support(count, squares, stride, radii, weights)) continue;
    std::size_t least = worst;
    for (std::size_t j = 0; j < count; ++j) {
      if (weights[j] > 0 && j != worst && (least == worst || gradient_[j] < gradient_[least])) least = j;
    }
    if (least == worst) break;
    const double square = squares[worst * stride + least];
    const double rise = gradient_[worst] - gradient_[least];
    double move = square > 0 ? rise / (2 * square) : weights[least];
    move = std::min(std::max(move, 0.0), weights[least]);
    weights[worst] += move;
    weights[least] = move == weights[least] ? 0.0 : weights[least] - move;
  }
  if (best == 0) return Verdict::perhaps;
  std::copy(best_.begin(), best_.end(), weights);
  return Verdict::yes;
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
