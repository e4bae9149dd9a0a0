// How Python's functions call the core: without the interpreter's lock, and with a look for Ctrl-C.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/stl/function.h>
#include <nanobind/stl/optional.h>

#include <chrono>
#include <cstddef>
#include <functional>
#include <optional>

#include "lossfloor/poll.hpp"

namespace nb = nanobind;

using Progress = std::optional<std::function<void(std::size_t)>>;

// Checks for Ctrl-C and reports progress at most twenty times a second, however often it is called.
inline lossfloor::Poll make_poll(const Progress& progress) {
  auto last = std::chrono::steady_clock::now();
  return [progress, last](std::size_t done) mutable {
    const auto now = std::chrono::steady_clock::now();
    if (now - last < std::chrono::milliseconds(50)) return;
    last = now;
    nb::gil_scoped_acquire acquire;
    if (PyErr_CheckSignals() != 0) throw nb::python_error();
    if (progress) (*progress)(done);
  };
}

// The result of `work`, while other threads of Python run. `work` must not touch Python's objects.
template <class Work>
auto without_lock(const Work& work) {
  nb::gil_scoped_release release;
  return work();
}

// The parts of the module, a file each.
void bind_pairs(nb::module_& m);
void bind_graphs(nb::module_& m);
void bind_two_class(nb::module_& m);
void bind_many_class(nb::module_& m);
