// Arrays that cross the border between Python and the core.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <vector>

#include "lossfloor/pairs/strips.hpp"

namespace nb = nanobind;

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

// Arrays whose entries have no value yet.
template <class T>
Out1<T> new_vector(std::size_t count) {
  T* data = new T[count];
  return Out1<T>(data, {count}, owner_of(data));
}

template <class T>
Out2<T> new_matrix(std::size_t rows, std::size_t columns) {
  T* data = new T[rows * columns];
  return Out2<T>(data, {rows, columns}, owner_of(data));
}

template <class T>
Out1<T> copied(const std::vector<T>& values) {
  const Out1<T> result = new_vector<T>(values.size());
  std::copy(values.begin(), values.end(), result.data());
  return result;
}

inline void require(bool condition, const char* message) {
  if (!condition) throw std::invalid_argument(message);
}

template <class T>
lossfloor::MatrixView<T> view(const In2<T>& matrix) {
  return {matrix.data(), matrix.shape(0), matrix.shape(1)};
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
