// What the files of the binding share: arrays that cross the border, and how long work is interrupted.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/function.h>
#include <nanobind/stl/optional.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <functional>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "lossfloor/simd/kernels.hpp"
#include "lossfloor/isotonic/solver.hpp"
#include "lossfloor/pairs/strips.hpp"

namespace nb = nanobind;

// More than two classes: cliques, their witnesses, and the loss over rows (many_class.cpp).
void bind_many(nb::module_& m);

template <class T>
using In1 = nb::ndarray<const T, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
template <class T>
using In2 = nb::ndarray<const T, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
template <class T>
using Out1 = nb::ndarray<nb::numpy, T, nb::ndim<1>>;
template <class T>
using Out2 = nb::ndarray<nb::numpy, T, nb::ndim<2>>;

// Memory that Python frees when the last array that looks at it is gone.
template <class T>
nb::capsule owner_of(T* data) {
  return nb::capsule(data, [](void* p) noexcept { delete[] static_cast<T*>(p); });
}

// Entries have no value yet.
template <class T>
Out2<T> new_matrix(std::size_t rows, std::size_t columns) {
  T* data = new T[rows * columns];
  return Out2<T>(data, {rows, columns}, owner_of(data));
}

template <class T>
Out1<T> copied(const std::vector<T>& values) {
  T* data = new T[values.size()];
  std::copy(values.begin(), values.end(), data);
  return Out1<T>(data, {values.size()}, owner_of(data));
}

template <class T>
lossfloor::MatrixView<T> view(const In2<T>& matrix) {
  return {matrix.data(), matrix.shape(0), matrix.shape(1)};
}

// Which instructions kernels may use, by name.
inline lossfloor::Level level_named(const std::string& name) {
  if (name == "portable") return lossfloor::Level::portable;
  if (name == "avx2") return lossfloor::Level::avx2;
  if (name == "avx512") return lossfloor::Level::avx512;
  throw std::invalid_argument("level must be portable, avx2 or avx512");
}

inline void require(bool condition, const char* message) {
  if (!condition) throw std::invalid_argument(message);
}

// The rows at some places of a matrix, or all of them.
using Places = std::optional<In1<std::int64_t>>;
template <class T>
lossfloor::MatrixView<T> view(const In2<T>& matrix, const Places& places) {
  if (!places) return view(matrix);
  for (std::size_t i = 0; i < places->shape(0); ++i) {
    const std::int64_t place = places->data()[i];
    require(place >= 0 && static_cast<std::size_t>(place) < matrix.shape(0), "places must be rows of the matrix");
  }
  return {matrix.data(), places->shape(0), matrix.shape(1), places->data()};
}

// Looks for Ctrl-C and reports progress at most twenty times a second, whatever the rate of the calls.
inline lossfloor::Poll make_poll(const std::optional<std::function<void(std::size_t)>>& progress) {
  auto last = std::chrono::steady_clock::now();
  return [progress, last](std::size_t settled) mutable {
    const auto now = std::chrono::steady_clock::now();
    if (now - last < std::chrono::milliseconds(50)) return false;
    last = now;
    nb::gil_scoped_acquire acquire;
    if (PyErr_CheckSignals() != 0) throw nb::python_error();
    if (progress) (*progress)(settled);
    return false;
  };
}

