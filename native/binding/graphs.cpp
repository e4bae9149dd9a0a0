// What can be read off graphs of two classes without solving anything.
#include "graphs.hpp"

#include <vector>

#include "calls.hpp"

using namespace lossfloor;

BitGraph bit_graph(const In2<std::uint64_t>& bits, std::size_t right) {
  require(bits.shape(1) == words_for(right), "bits must have one word for each 64 right vertices");
  const std::size_t used = right % 64;
  if (used != 0) {  // the solver counts whole words
    for (std::size_t u = 0; u < bits.shape(0); ++u) {
      require((bits.data()[(u + 1) * bits.shape(1) - 1] >> used) == 0, "bits beyond the right vertices must be zero");
    }
  }
  return {bits.shape(0), right, bits.shape(1), bits.data()};
}

ListGraph list_graph(const In1<std::int64_t>& offsets, const In1<std::int32_t>& targets, std::size_t right) {
  require(offsets.shape(0) >= 1 && offsets.data()[0] == 0, "offsets must begin with 0");
  const std::size_t left = offsets.shape(0) - 1;
  for (std::size_t u = 0; u < left; ++u) require(offsets.data()[u] <= offsets.data()[u + 1], "offsets must ascend");
  require(static_cast<std::size_t>(offsets.data()[left]) == targets.shape(0), "offsets must end with len(targets)");
  for (std::size_t u = 0; u < left; ++u) {
    std::int64_t before = -1;
    for (std::int64_t e = offsets.data()[u]; e < offsets.data()[u + 1]; ++e) {
      const std::int64_t v = targets.data()[e];
      require(before < v && v < static_cast<std::int64_t>(right), "targets must ascend in each row, below right");
      before = v;
    }
  }
  return {left, right, offsets.data(), targets.data()};
}

namespace {

using DegreeArrays = nb::typed<nb::tuple, Out1<std::int64_t>, Out1<std::int64_t>>;
using ComponentArrays = nb::typed<nb::tuple, Out1<std::int32_t>, Out1<std::int32_t>, std::int32_t>;
using ListArrays = nb::typed<nb::tuple, Out1<std::int32_t>, Out1<std::int64_t>>;

DegreeArrays degrees_bits(const In2<std::uint64_t>& bits, std::size_t right) {
  const BitGraph graph = bit_graph(bits, right);
  const Degrees result = without_lock([&] { return degrees(graph); });
  return DegreeArrays(nb::make_tuple(copied(result.left), copied(result.right)));
}

template <class Graph>
ComponentArrays components_of(const Graph& graph) {
  const Components result = without_lock([&] { return components(graph); });
  return ComponentArrays(nb::make_tuple(copied(result.left), copied(result.right), result.count));
}

ComponentArrays components_bits(const In2<std::uint64_t>& bits, std::size_t right) {
  return components_of(bit_graph(bits, right));
}

ComponentArrays components_lists(const In1<std::int64_t>& offsets, const In1<std::int32_t>& targets,
                                 std::size_t right) {
  return components_of(list_graph(offsets, targets, right));
}

Out2<std::uint64_t> pack(const In2<std::uint8_t>& levels, int first, int count, int threads) {
  require(first >= 0 && count >= 0 && first + count <= 256, "levels must be 0 to 255");
  const auto n_levels = static_cast<std::size_t>(count);
  auto bits = new_matrix<std::uint64_t>(n_levels * levels.shape(0), words_for(levels.shape(1)));
  without_lock(
      [&] { pack_levels(levels.data(), levels.shape(0), levels.shape(1), first, n_levels, threads, bits.data()); });
  return bits;
}

std::int64_t count_bits(const In2<std::uint64_t>& bits) {
  return without_lock([&] { return count_set_bits(bits.data(), bits.size()); });
}

ListArrays set_bits(const In2<std::uint64_t>& bits) {
  std::vector<std::int32_t> targets;
  std::vector<std::int64_t> counts;
  without_lock([&] { append_set_bits(bits.data(), bits.shape(0), bits.shape(1), targets, counts); });
  return ListArrays(nb::make_tuple(copied(targets), copied(counts)));
}

}  // namespace

void bind_graphs(nb::module_& m) {
  m.def("degrees_bits", degrees_bits, nb::arg("bits").noconvert(), nb::arg("right"));
  m.def("components_bits", components_bits, nb::arg("bits").noconvert(), nb::arg("right"));
  m.def("components_lists", components_lists, nb::arg("offsets").noconvert(), nb::arg("targets").noconvert(),
        nb::arg("right"));
  m.def("pack_levels", pack, nb::arg("levels").noconvert(), nb::arg("first"), nb::arg("count"), nb::arg("threads"));
  m.def("count_bits", count_bits, nb::arg("bits").noconvert());
  m.def("set_bits", set_bits, nb::arg("bits").noconvert());
}
