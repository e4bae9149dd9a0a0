// The blocks by another way than the solver's, slow and plain: from the top, one block after the other.
#pragma once

#include <cstdint>
#include <vector>

#include "cases.hpp"

namespace trials {

struct Blocks {
  std::vector<std::int32_t> left;
  std::vector<std::int32_t> right;
  std::vector<std::int64_t> a;
  std::vector<std::int64_t> b;
};

Blocks slow_blocks(const Case& one);

}  // namespace trials
