// The solver of two classes.
#include <nanobind/stl/string.h>

#include <string>

#include "calls.hpp"
#include "graphs.hpp"
#include "lossfloor/isotonic/solver.hpp"

using namespace lossfloor;

namespace {

using SolvedArrays =
    nb::typed<nb::tuple, Out1<std::int32_t>, Out1<std::int32_t>, Out1<std::int64_t>, Out1<std::int64_t>,
              Out2<std::int32_t>, Out1<std::int64_t>, Out1<std::uint64_t>, std::int64_t, std::int64_t>;

SolvedArrays as_tuple(const Partition& partition) {
  const std::size_t count = partition.flow.size();
  auto edges = new_matrix<std::int32_t>(count, 2);
  auto high = new_vector<std::int64_t>(count);
  auto low = new_vector<std::uint64_t>(count);
  for (std::size_t i = 0; i < count; ++i) {
    const FlowEdge& edge = partition.flow[i];
    edges.data()[2 * i] = edge.left;
    edges.data()[2 * i + 1] = edge.right;
    high.data()[i] = static_cast<std::int64_t>(edge.amount >> 64);
    low.data()[i] = static_cast<std::uint64_t>(edge.amount);
  }
  return SolvedArrays(nb::make_tuple(copied(partition.left_block), copied(partition.right_block), copied(partition.a),
                                     copied(partition.b), edges, high, low, partition.n_flows, partition.n_searches));
}

template <class Graph, class... Most>
SolvedArrays solve_graph(const Graph& graph, const In1<std::int64_t>& left_weight,
                         const In1<std::int64_t>& right_weight, const Progress& progress, Most... most) {
  require(left_weight.shape(0) == graph.left, "left_weight must have a value for each left vertex");
  require(right_weight.shape(0) == graph.right, "right_weight must have a value for each right vertex");
  const Poll poll = make_poll(progress);
  return as_tuple(without_lock([&] { return solve(graph, left_weight.data(), right_weight.data(), poll, most...); }));
}

SolvedArrays solve_bits(const In2<std::uint64_t>& bits, std::size_t right, const In1<std::int64_t>& left_weight,
                        const In1<std::int64_t>& right_weight, const Progress& progress, const std::string& isa) {
  return solve_graph(bit_graph(bits, right), left_weight, right_weight, progress, isa_named(isa));
}

SolvedArrays solve_lists(const In1<std::int64_t>& offsets, const In1<std::int32_t>& targets, std::size_t right,
                         const In1<std::int64_t>& left_weight, const In1<std::int64_t>& right_weight,
                         const Progress& progress) {
  return solve_graph(list_graph(offsets, targets, right), left_weight, right_weight, progress);
}

}  // namespace

void bind_two_class(nb::module_& m) {
  m.def("solve_bits", solve_bits, nb::arg("bits").noconvert(), nb::arg("right"), nb::arg("left_weight").noconvert(),
        nb::arg("right_weight").noconvert(), nb::arg("progress") = nb::none(), nb::arg("isa") = "avx512");
  m.def("solve_lists", solve_lists, nb::arg("offsets").noconvert(), nb::arg("targets").noconvert(), nb::arg("right"),
        nb::arg("left_weight").noconvert(), nb::arg("right_weight").noconvert(), nb::arg("progress") = nb::none());
}
