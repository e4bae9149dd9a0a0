// One pair of floating-point examples against a threshold of keys, squared distances above all, from all features.
#pragma once

#include <cstddef>
#include <type_traits>

#include "lossfloor/simd/kernels.hpp"

namespace lossfloor {

enum class Nearness { within, beyond, open };

template <class T>
class PairDecision {
 public:
  // Squared distances in double precision are right up to relative * key.
  PairDecision(const Kernels& kernels, std::size_t features, double relative)
      : kernels_(kernels), features_(features), relative_(relative) {
    // A sum of squares in single precision is right up to this, as long as it is far from overflow.
    const double roundings = static_cast<double>(features + 4) * 0x1p-24;
    single_relative_ = roundings < 0.5 ? 1.01 * roundings / (1 - roundings) : 2.0;
    single_absolute_ = static_cast<double>(features) * 0x1p-140;
  }

  Nearness operator()(const T* left, const T* right, Bracket bound) const {
    double distance;
    if constexpr (std::is_same_v<T, float>) {
      const double near = kernels_.square_near_f32(left, right, features_);
      if (near < 1e37) {
        const double margin = single_relative_ * near + single_absolute_;
        if (near + margin <= bound.lower) return Nearness::within;
        if (near - margin > bound.upper) return Nearness::beyond;
      }
      distance = kernels_.square_f32(left, right, features_);
    } else {
      distance = kernels_.square_f64(left, right, features_);
    }
    return judged(distance, bound);
  }

  Nearness judged(double distance, Bracket bound) const {
    // Squares of doubles may underflow; those of floats, as doubles, and of whole numbers do not, nor do differences.
    const double absolute = std::is_same_v<T, double> ? static_cast<double>(features_) * 0x1p-1060 : 0.0;
    if (distance * (1 + relative_) + absolute <= bound.lower) return Nearness::within;
    return distance * (1 - relative_) - absolute > bound.upper ? Nearness::beyond : Nearness::open;
  }

 private:
  const Kernels& kernels_;
  std::size_t features_;
  double relative_;
  double single_relative_;
  double single_absolute_;
};

}  // namespace lossfloor
