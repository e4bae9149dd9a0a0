// Points in all balls of a clique, found as members join.
//
// Part of cliques.cpp, which alone includes it. The unnamed namespace lets the compiler inline what is called once.
#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

#include "lossfloor/many/balls.hpp"
#include "lossfloor/many/cliques.hpp"

namespace lossfloor {
namespace {

class CliqueGeometry {
 public:
  CliqueGeometry(const CommonPointRule& rule, std::size_t degree)
      : rule_(rule), triples_(rule.kind == CommonPointRule::Kind::balls && rule.one_radius), degree_(degree),
        square_(degree * degree), radius_(degree), centre_(degree + 1) {
    for (Centre& centre : centre_) centre.weights.resize(degree);
  }

  // Begins with two members and the squared distance between them.
  void start(double first_radius, double second_radius, double square) {
    square_[1] = square_[degree_] = square;
    square_[0] = square_[degree_ + 1] = 0;
    radius_[0] = first_radius;
    radius_[1] = second_radius;
  }

  // The member at place `size` is to join: its radius, and its squared distance from each member before it.
  void set_radius(std::size_t size, double radius) {
    square_[size * degree_ + size] = 0;
    radius_[size] = radius;
  }
  void set_square(std::size_t size, std::size_t member, double square) {
    square_[member * degree_ + size] = square_[size * degree_ + member] = square;
  }

  // Whether the member at place `size` may join those before it; leaves trial weights in centre_[size + 1].
  bool meets(std::size_t size) {
    if (triples_ && size == 2) return true;
    const Centre& old = centre_[size];
    Centre& next = centre_[size + 1];
    const double* squares = square_.data() + size * degree_;
    double mean = 0;
    next.scale = std::max(old.scale, radius_[size]);
    for (std::size_t m = 0; m < size; ++m) {
      mean += old.weights[m] * squares[m];
      next.scale = std::max(next.scale, squares[m]);
    }
    // Squared distance of the newest from the centre of the others (|x - sum t_i x_i|^2 = sum t_i D_i - spread).
    const double away = mean - old.spread, tolerance = rule_.slack * next.scale;
    double share = 0;
    next.inside = old.inside && away <= radius_[size] - tolerance;
    if (!next.inside && triples_ && triples_forbid(size, away, tolerance, share)) return false;
    for (std::size_t m = 0; m < size; ++m) next.weights[m] = (1 - share) * old.weights[m];
    next.weights[size] = share;
    if (next.inside) {
      next.spread = old.spread;
      return true;
    }
    const Verdict verdict = ball_.decide(size + 1, square_.data(), degree_, radius_.data(), rule_.slack,
                                         next.weights.data(), BallMeeting::Depth::warm);
    next.inside = verdict == Verdict::yes;
    return verdict != Verdict::no;
  }

  // Makes centre_[size + 1] that of the clique with the member at place `size`, which may join.
  void settle(std::size_t size) {
    Centre& next = centre_[size + 1];
    if (size < 2 || (triples_ && size == 2)) {
      next.scale = 0;
      for (std::size_t m = 0; m <= size; ++m) {
        next.scale = std::max(next.scale, radius_[m]);
        for (std::size_t l = 0; l < m; ++l) next.scale = std::max(next.scale, square_[m * degree_ + l]);
      }
      next.inside = ball_.decide(size + 1, square_.data(), degree_, radius_.data(), rule_.slack, next.weights.data()) ==
                    Verdict::yes;
    }
    double spread = 0;
    for (std::size_t m = 1; m <= size; ++m) {
      for (std::size_t l = 0; l < m; ++l) spread += next.weights[m] * next.weights[l] * square_[m * degree_ + l];
    }
    next.spread = spread;
  }

 private:
  // A point in all balls of the first so many members: weights of the centres, and what is known of it.
  struct Centre {
    std::vector<double> weights;
    double spread = 0;    // sum over pairs of members of both weights and the squared distance
    double scale = 0;     // the largest squared distance or radius so far
    bool inside = false;  // whether it is surely in all the balls
  };

  // Whether the member at place `size`, whose squared distance from the centre of the others is `away`, surely has no
  // common point with them, by pairs of points and by triples; else leaves its weight for a first trial in `share`.
  bool triples_forbid(std::size_t size, double away, double tolerance, double& share) const {
    const double* squares = square_.data() + size * degree_;
    // The best weights between the old ones and the newest alone prove a squared radius of (g + f)^2 / 4g.
    const double spread = centre_[size].spread;
    const double both = away + spread;
    if (away > spread) {
      if (both * both > 4 * away * (radius_[0] + tolerance)) return true;
      share = (away - spread) / (2 * away);
    }
    // Then triples with the newest member but one; with the root and the second vertex they are known to meet.
    const std::size_t last = size - 1;
    for (std::size_t m = 2; m < last; ++m) {
      if (triple_meets(square_[m * degree_ + last], squares[m], squares[last], radius_[0], rule_.slack) ==
          Verdict::no) {
        return true;
      }
    }
    return false;
  }

  const CommonPointRule& rule_;
  const bool triples_;
  const std::size_t degree_;
  std::vector<double> square_, radius_;
  std::vector<Centre> centre_;  // [members]
  BallMeeting ball_;
};

}  // namespace
}  // namespace lossfloor
