// Whether several Euclidean balls have a common point, decided from the squared distances of their centres alone.
//
// With weights t >= 0 that sum to one and the centre c = sum t_i x_i,
//   |x_i - c|^2 = sum_j t_j D_ij - f,   f = sum_{j<l} t_j t_l D_jl,
// so c lies in every ball if that is at most r_i^2 for all i: a witness. And sum_i t_i |x_i - z|^2 >= f for every z, so
// that f > sum_i t_i r_i^2 proves that no point is in all balls. The two conditions meet at the best weights.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace lossfloor {

enum class Verdict : std::int8_t { no = 0, undecided = 1, yes = 2 };

// Decides within a relative rounding error: `yes` and `no` are proved if every squared distance and squared radius is
// known within the relative error `slack` / 64, else the answer is `undecided`.
class BallMeeting {
 public:
  // cold: starts anew. warm: starts with the weights given. deepest: starts anew, and continues to the point that is
  // farthest inside, which roundings of its weights do not move out.
  enum class Depth { cold, warm, deepest };

  // `squares[i * stride + j]` are the squared distances of `count` centres, `radii` the squared radii. Writes weights
  // of a witness (or of the proof that there is none) to weights[0 .. count).
  Verdict decide(std::size_t count, const double* squares, std::size_t stride, const double* radii, double slack,
                 double* weights, Depth depth = Depth::cold);

 private:
  struct Point {
    double beyond;      // by which f exceeds the mean squared radius
    double outside;     // by which the point is outside the ball that it is farthest outside of
    std::size_t worst;  // that ball
  };
  Point measure(std::size_t count, const double* squares, std::size_t stride, const double* radii,
                const double* weights);
  bool move_to(std::size_t worst, std::size_t count, const double* squares, std::size_t stride, double* weights) const;
  bool eliminate(std::size_t size);
  bool solve_support(std::size_t count, const double* squares, std::size_t stride, const double* radii,
                     double* weights);
  std::vector<double> gradient_, matrix_, trial_, best_;
  std::vector<std::size_t> support_;
};

// The same for three balls of one radius, in closed form and without weights.
inline Verdict triple_meets(double ab, double ac, double bc, double radius_square, double slack) {
  const double longest = std::max(ab, std::max(ac, bc));
  const double others = ab + ac + bc - longest;
  // With an obtuse or right angle, the ball over the longest side holds the third point; that the two meet is known.
  if (longest >= others * (1 + slack)) return Verdict::yes;
  // Squared circumradius: ab ac bc / (16 area^2).
  const double sixteen_areas = 2 * (ab * ac + ab * bc + ac * bc) - ab * ab - ac * ac - bc * bc;
  const double size = 4 * longest * longest;
  const double product = ab * ac * bc;
  const double low = std::max(sixteen_areas - slack * size, 0.0), high = sixteen_areas + slack * size;
  if (product * (1 + slack) <= radius_square * low) return Verdict::yes;
  if (longest <= others * (1 - slack) && product * (1 - slack) > radius_square * high) return Verdict::no;
  return Verdict::undecided;
}

}  // namespace lossfloor
