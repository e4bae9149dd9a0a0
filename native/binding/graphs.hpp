// Graphs of two classes as Python hands them over, checked.
#pragma once

#include "arrays.hpp"
#include "lossfloor/isotonic/graph.hpp"

lossfloor::BitGraph bit_graph(const In2<std::uint64_t>& bits, std::size_t right);
lossfloor::ListGraph list_graph(const In1<std::int64_t>& offsets, const In1<std::int32_t>& targets, std::size_t right);
