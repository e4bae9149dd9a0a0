// What must hold, checked by counting. Every check throws Mismatch where it does not.
#pragma once

#include <cstddef>
#include <stdexcept>
#include <vector>

#include "cases.hpp"
#include "lossfloor/isotonic/solver.hpp"
#include "lossfloor/simd/kernels.hpp"

namespace trials {

struct Mismatch : std::runtime_error {
  using std::runtime_error::runtime_error;
};

inline void require(bool holds, const char* what) {
  if (!holds) throw Mismatch(what);
}

// The proof: flow in whole units between vertices of one block that are in conflict, which adds up to supplies and
// capacities exactly, and no conflict of a larger posterior on the left with a smaller one on the right.
void check_proof(const Case& one, const lossfloor::Partition& partition);

void check_same_blocks(const lossfloor::Partition& one, const lossfloor::Partition& other);
void check_same_flow(const lossfloor::Partition& one, const lossfloor::Partition& other);
void check_slow_blocks(const Case& one, const lossfloor::Partition& partition);

// Degrees, components, twins and lists of bits.
void check_graph(const Case& one, const Stored& stored);

// Bytes that are at most a limit, as bits; and 64 x 64 bits transposed.
void check_bits(Random& random);

}  // namespace trials
