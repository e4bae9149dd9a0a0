// The one file that knows both Python and the core: it checks lengths, releases the GIL once around each call, and
// hands arrays over. Names here are private; src/lossfloor owns every public name.
#include <nanobind/stl/function.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>

#include <chrono>
#include <functional>
#include <optional>
#include <stdexcept>
#include <string>

#include "arrays.hpp"
#include "lossfloor/pairs/projection_filter.hpp"
#include "lossfloor/isotonic/graph.hpp"
#include "lossfloor/pairs/linf_bytes.hpp"
#include "lossfloor/isotonic/solver.hpp"
#include "lossfloor/pairs/strips.hpp"
#include "lossfloor/pairs/byte_filter.hpp"

using namespace lossfloor;

namespace {

// What the calls below hand back, spelled out for the stub.
using Bits = Out2<std::uint64_t>;
using Pairs = Out2<std::uint32_t>;
using BitsAndPairs = nb::typed<nb::tuple, Bits, Pairs>;
using LevelsAndPairs = nb::typed<nb::tuple, Out2<std::uint8_t>, Pairs>;
using BitsAndCount = nb::typed<nb::tuple, Bits, std::size_t>;
using BitsPairsAndCount = nb::typed<nb::tuple, Bits, Pairs, std::size_t>;
using BytesAndSquare = nb::typed<nb::tuple, Out2<std::uint8_t>, double>;
using Projected = nb::typed<nb::tuple, Out2<float>, Out1<double>, Out2<double>>;
using SolvedArrays = nb::typed<nb::tuple, Out1<std::int32_t>, Out1<std::int32_t>, Out1<std::int64_t>, Out1<std::int64_t>,
                               Out2<std::int32_t>, Out1<std::int64_t>, Out1<std::uint64_t>, std::int64_t, std::int64_t>;
using DegreeArrays = nb::typed<nb::tuple, Out1<std::int64_t>, Out1<std::int64_t>>;
using ComponentArrays = nb::typed<nb::tuple, Out1<std::int32_t>, Out1<std::int32_t>, std::int32_t>;
using ListArrays = nb::typed<nb::tuple, Out1<std::int32_t>, Out1<std::int64_t>>;

Out2<std::uint32_t> as_array(const DoubtfulPairs& pairs) {
  auto result = new_matrix<std::uint32_t>(pairs.size(), 2);
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    result.data()[2 * i] = pairs[i].first;
    result.data()[2 * i + 1] = pairs[i].second;
  }
  return result;
}

Metric metric_named(const std::string& name) {
  if (name == "l1") return Metric::l1;
  if (name == "l2") return Metric::l2;
  if (name == "linf") return Metric::linf;
  if (name == "lp") return Metric::lp;
  throw std::invalid_argument("metric must be l1, l2, linf or lp");
}

std::vector<Bracket> brackets(const In2<double>& pairs) {
  require(pairs.shape(1) == 2 && pairs.shape(0) >= 1, "brackets must have shape (k, 2)");
  std::vector<Bracket> result(pairs.shape(0));
  for (std::size_t k = 0; k < result.size(); ++k) result[k] = {pairs.data()[2 * k], pairs.data()[2 * k + 1]};
  return result;
}

bool is_order(const In1<std::int32_t>& ranking, std::size_t count) {
  std::vector<bool> seen(count, false);
  if (ranking.shape(0) != count) return false;
  for (std::size_t k = 0; k < count; ++k) {
    const auto place = static_cast<std::size_t>(ranking.data()[k]);
    if (place >= count || seen[place]) return false;
    seen[place] = true;
  }
  return true;
}

const std::int32_t* ranking_of(const std::optional<In1<std::int32_t>>& ranking, std::size_t features) {
  require(!ranking || is_order(*ranking, features), "ranking must be an order of the features");
  return ranking ? ranking->data() : nullptr;
}

template <class T>
nb::class_<Strips<T>> bind_strips(nb::module_& m, const char* name) {
  using Self = Strips<T>;
  nb::class_<Self> cls(m, name);
  cls.def(
         "__init__",
         [](Self* self, const std::string& metric, In2<T> right, double p, const std::optional<In1<std::int32_t>>& ranking,
            const std::string& level, const Places& places) {
           const Metric chosen = metric_named(metric);
           const Level most = level_named(level);
           const auto matrix = view(right, places);
           require(matrix.rows > 0 && matrix.columns > 0, "right must have a row and a column");
           const std::int32_t* order = ranking_of(ranking, matrix.columns);
           nb::gil_scoped_release release;
           new (self) Self(chosen, p, matrix, order, most);
         },
         nb::arg("metric"), nb::arg("right").noconvert(), nb::arg("p") = 2.0,
         nb::arg("ranking").noconvert() = nb::none(), nb::arg("level") = "avx512",
         nb::arg("places").noconvert() = nb::none())
      .def_prop_ro("count", &Self::count)
      .def_prop_ro("features", &Self::features)
      .def_prop_ro("kernel", &Self::kernel_name)
      .def(
          "within_bracket",
          [](const Self& self, In2<T> left, double relative, double absolute, double lower, double upper,
             int threads) {
            require(left.shape(1) == self.features(), "left must have the features of right");
            auto bits = new_matrix<std::uint64_t>(left.shape(0), words_for(self.count()));
            DoubtfulPairs doubtful;
            {
              nb::gil_scoped_release release;
              doubtful = self.within_bracket(view(left), {relative, absolute}, {lower, upper}, threads, bits.data());
            }
            return BitsAndPairs(nb::make_tuple(bits, as_array(doubtful)));
          },
          nb::arg("left").noconvert(), nb::arg("relative"), nb::arg("absolute"), nb::arg("lower"), nb::arg("upper"),
          nb::arg("threads"))
      .def(
          "within_radii",
          [](const Self& self, In2<T> left, double relative, double absolute, In1<double> left_radius,
             In1<double> right_radius, double slack, int threads) {
            require(left.shape(1) == self.features(), "left must have the features of right");
            require(left_radius.shape(0) == left.shape(0), "left_radius must have a value for each left row");
            require(right_radius.shape(0) == self.count(), "right_radius must have a value for each right row");
            auto bits = new_matrix<std::uint64_t>(left.shape(0), words_for(self.count()));
            DoubtfulPairs doubtful;
            {
              nb::gil_scoped_release release;
              doubtful = self.within_radii(view(left), {relative, absolute}, left_radius.data(), right_radius.data(),
                                           slack, threads, bits.data());
            }
            return BitsAndPairs(nb::make_tuple(bits, as_array(doubtful)));
          },
          nb::arg("left").noconvert(), nb::arg("relative"), nb::arg("absolute"), nb::arg("left_radius").noconvert(),
          nb::arg("right_radius").noconvert(), nb::arg("slack"), nb::arg("threads"))
      .def(
          "levels_bracket",
          [](const Self& self, In2<T> left, double relative, double absolute, In2<double> thresholds, int threads) {
            require(left.shape(1) == self.features(), "left must have the features of right");
            const auto bounds = brackets(thresholds);
            auto levels = new_matrix<std::uint8_t>(left.shape(0), self.count());
            DoubtfulPairs doubtful;
            {
              nb::gil_scoped_release release;
              doubtful = self.levels_bracket(view(left), {relative, absolute}, bounds.data(), bounds.size(), threads,
                                             levels.data());
            }
            return LevelsAndPairs(nb::make_tuple(levels, as_array(doubtful)));
          },
          nb::arg("left").noconvert(), nb::arg("relative"), nb::arg("absolute"), nb::arg("thresholds").noconvert(),
          nb::arg("threads"));
  return cls;
}

template <class T>
void bind_exact(nb::class_<Strips<T>> cls) {
  using Self = Strips<T>;
  cls.def(
         "within",
         [](const Self& self, In2<T> left, std::int64_t limit, int threads, const Places& places) {
           require(left.shape(1) == self.features(), "left must have the features of right");
           const auto rows = view(left, places);
           auto bits = new_matrix<std::uint64_t>(rows.rows, words_for(self.count()));
           {
             nb::gil_scoped_release release;
             self.within(rows, limit, threads, bits.data(), words_for(self.count()));
           }
           return bits;
         },
         nb::arg("left").noconvert(), nb::arg("limit"), nb::arg("threads"),
         nb::arg("places").noconvert() = nb::none())
      .def(
          "levels",
          [](const Self& self, In2<T> left, In1<std::int32_t> thresholds, int threads) {
            require(left.shape(1) == self.features(), "left must have the features of right");
            auto levels = new_matrix<std::uint8_t>(left.shape(0), self.count());
            {
              nb::gil_scoped_release release;
              self.levels(view(left), thresholds.data(), thresholds.shape(0), threads, levels.data());
            }
            return levels;
          },
          nb::arg("left").noconvert(), nb::arg("thresholds").noconvert(), nb::arg("threads"));
}

Projection projection(const In2<float>& coordinates, const In1<float>& offset, const In1<float>& rest,
                      std::size_t rows, std::size_t dimensions) {
  require(dimensions <= coordinates.shape(1), "coordinates must have a column for each dimension");
  require(coordinates.shape(0) == rows, "coordinates must have a row for each example");
  require(offset.shape(0) == rows && rest.shape(0) == rows, "offset and rest must have a value for each example");
  return {view(coordinates), dimensions, offset.data(), rest.data()};
}

// The strips look at `right` for as long as they live.
template <class T>
struct BoundFilter {
  In2<T> right;
  FilteredStrips<T> strips;

  BoundFilter(In2<T> right_, const In2<float>& coordinates, const In1<float>& offset, const In1<float>& rest,
              std::size_t dimensions, const std::string& level)
      : right(right_),
        strips(view(right), projection(coordinates, offset, rest, right.shape(0), dimensions), level_named(level)) {}

  Projection left_projection(const In2<T>& left, const In2<float>& left_coordinates, const In1<float>& left_offset,
                             const In1<float>& left_rest) const {
    require(left.shape(1) == strips.features(), "left must have the features of right");
    return projection(left_coordinates, left_offset, left_rest, left.shape(0), strips.dimensions());
  }
};

template <class T>
nb::class_<BoundFilter<T>> bind_filter(nb::module_& m, const char* name) {
  using Self = BoundFilter<T>;
  nb::class_<Self> cls(m, name);
  cls.def(nb::init<In2<T>, In2<float>, In1<float>, In1<float>, std::size_t, const std::string&>(),
          nb::arg("right").noconvert(), nb::arg("coordinates").noconvert(), nb::arg("offset").noconvert(),
          nb::arg("rest").noconvert(), nb::arg("dimensions"), nb::arg("level") = "avx512")
      .def(
          "within_bracket",
          [](const Self& self, In2<T> left, In2<float> coordinates, In1<float> offset, In1<float> rest,
             float tolerance, double relative, double lower, double upper, int threads) {
            const Projection own = self.left_projection(left, coordinates, offset, rest);
            auto bits = new_matrix<std::uint64_t>(left.shape(0), words_for(self.strips.count()));
            DoubtfulPairs doubtful;
            std::size_t open = 0;
            {
              nb::gil_scoped_release release;
              doubtful = self.strips.within_bracket(view(left), own, tolerance, relative, {lower, upper}, threads,
                                                    bits.data(), &open);
            }
            return BitsPairsAndCount(nb::make_tuple(bits, as_array(doubtful), open));
          },
          nb::arg("left").noconvert(), nb::arg("coordinates").noconvert(), nb::arg("offset").noconvert(),
          nb::arg("rest").noconvert(), nb::arg("tolerance"), nb::arg("relative"), nb::arg("lower"), nb::arg("upper"),
          nb::arg("threads"))
      .def(
          "within_radii",
          [](const Self& self, In2<T> left, In2<float> coordinates, In1<float> offset, In1<float> rest,
             float tolerance, double relative, In1<double> left_radius, In1<double> right_radius, double slack,
             int threads) {
            const Projection own = self.left_projection(left, coordinates, offset, rest);
            require(left_radius.shape(0) == left.shape(0), "left_radius must have a value for each left row");
            require(right_radius.shape(0) == self.strips.count(), "right_radius must have a value for each right row");
            auto bits = new_matrix<std::uint64_t>(left.shape(0), words_for(self.strips.count()));
            DoubtfulPairs doubtful;
            std::size_t open = 0;
            {
              nb::gil_scoped_release release;
              doubtful = self.strips.within_radii(view(left), own, tolerance, relative, left_radius.data(),
                                                  right_radius.data(), slack, threads, bits.data(), &open);
            }
            return BitsPairsAndCount(nb::make_tuple(bits, as_array(doubtful), open));
          },
          nb::arg("left").noconvert(), nb::arg("coordinates").noconvert(), nb::arg("offset").noconvert(),
          nb::arg("rest").noconvert(), nb::arg("tolerance"), nb::arg("relative"), nb::arg("left_radius").noconvert(),
          nb::arg("right_radius").noconvert(), nb::arg("slack"), nb::arg("threads"));
  return cls;
}

template <class T>
void bind_whole_filter(nb::class_<BoundFilter<T>> cls) {
  cls.def(
      "within",
      [](const BoundFilter<T>& self, In2<T> left, In2<float> coordinates, In1<float> offset, In1<float> rest,
         float tolerance, std::int64_t limit, int threads) {
        const Projection own = self.left_projection(left, coordinates, offset, rest);
        auto bits = new_matrix<std::uint64_t>(left.shape(0), words_for(self.strips.count()));
        std::size_t open = 0;
        {
          nb::gil_scoped_release release;
          open = self.strips.within(view(left), own, tolerance, limit, threads, bits.data());
        }
        return BitsAndCount(nb::make_tuple(bits, open));
      },
      nb::arg("left").noconvert(), nb::arg("coordinates").noconvert(), nb::arg("offset").noconvert(),
      nb::arg("rest").noconvert(), nb::arg("tolerance"), nb::arg("limit"), nb::arg("threads"));
}

// The strips look at `right` for as long as they live.
template <class T>
struct BoundRounded {
  In2<T> right;
  RoundedStrips<T> strips;

  BoundRounded(const std::string& metric, In2<T> right_, const In2<std::uint8_t>& bytes,
               const std::optional<In1<std::int32_t>>& ranking, const std::string& level)
      : right((require(bytes.shape(0) == right_.shape(0) && bytes.shape(1) == right_.shape(1),
                       "bytes must have the shape of right"),
               right_)),
        strips(metric_named(metric), view(right), view(bytes), ranking_of(ranking, right_.shape(1)), level_named(level)) {}
};

template <class T>
void bind_rounded(nb::module_& m, const char* name) {
  using Self = BoundRounded<T>;
  m.def(
      "round_to_bytes",
      [](In2<T> rows, In1<double> low, double step, int threads) {
        require(low.shape(0) == rows.shape(1), "low must have a value for each feature");
        auto bytes = new_matrix<std::uint8_t>(rows.shape(0), rows.shape(1));
        double square = 0;
        {
          nb::gil_scoped_release release;
          square = round_to_bytes<T>(view(rows), low.data(), step, threads, bytes.data());
        }
        return BytesAndSquare(nb::make_tuple(bytes, square));
      },
      nb::arg("rows").noconvert(), nb::arg("low").noconvert(), nb::arg("step"), nb::arg("threads"));
  nb::class_<Self>(m, name)
      .def(nb::init<const std::string&, In2<T>, In2<std::uint8_t>, const std::optional<In1<std::int32_t>>&,
                    const std::string&>(),
           nb::arg("metric"), nb::arg("right").noconvert(), nb::arg("bytes").noconvert(),
           nb::arg("ranking").noconvert() = nb::none(), nb::arg("level") = "avx512")
      .def(
          "within_bracket",
          [](const Self& self, In2<T> left, In2<std::uint8_t> bytes, std::int64_t inner, std::int64_t outer,
             double relative, double lower, double upper, int threads) {
            require(left.shape(1) == self.strips.features(), "left must have the features of right");
            require(bytes.shape(0) == left.shape(0) && bytes.shape(1) == left.shape(1),
                    "bytes must have the shape of left");
            auto bits = new_matrix<std::uint64_t>(left.shape(0), words_for(self.strips.count()));
            DoubtfulPairs doubtful;
            {
              nb::gil_scoped_release release;
              doubtful = self.strips.within_bracket(view(left), view(bytes), inner, outer, relative, {lower, upper},
                                                    threads, bits.data());
            }
            return BitsAndPairs(nb::make_tuple(bits, as_array(doubtful)));
          },
          nb::arg("left").noconvert(), nb::arg("bytes").noconvert(), nb::arg("inner"), nb::arg("outer"),
          nb::arg("relative"), nb::arg("lower"), nb::arg("upper"), nb::arg("threads"));
}

template <class T>
void bind_project(nb::module_& m) {
  m.def(
      "project",
      [](In2<T> rows, In1<double> centre, double scale, In2<float> basis, int threads, const std::string& level) {
        const Level most = level_named(level);
        require(centre.shape(0) == rows.shape(1), "centre must have a value for each feature");
        require(basis.shape(0) == rows.shape(1), "basis must have a row for each feature");
        auto coordinates = new_matrix<float>(rows.shape(0), basis.shape(1));
        auto* squares = new double[rows.shape(0)];
        Out1<double> squares_array(squares, {rows.shape(0)}, owner_of(squares));
        auto kept = new_matrix<double>(rows.shape(0), kept_sums(basis.shape(1)));
        {
          nb::gil_scoped_release release;
          project<T>(view(rows), centre.data(), scale, view(basis), threads, coordinates.data(), squares, kept.data(),
                     most);
        }
        return Projected(nb::make_tuple(coordinates, squares_array, kept));
      },
      nb::arg("rows").noconvert(), nb::arg("centre").noconvert(), nb::arg("scale"), nb::arg("basis").noconvert(),
      nb::arg("threads"), nb::arg("level") = "avx512");
}

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

SolvedArrays as_tuple(const Partition& partition) {
  const std::size_t count = partition.flow.size();
  auto edges = new_matrix<std::int32_t>(count, 2);
  auto* high = new std::int64_t[count];
  Out1<std::int64_t> flow_high(high, {count}, owner_of(high));
  auto* low = new std::uint64_t[count];
  Out1<std::uint64_t> flow_low(low, {count}, owner_of(low));
  for (std::size_t i = 0; i < count; ++i) {
    const FlowEdge& edge = partition.flow[i];
    edges.data()[2 * i] = edge.left;
    edges.data()[2 * i + 1] = edge.right;
    high[i] = static_cast<std::int64_t>(edge.amount >> 64);
    low[i] = static_cast<std::uint64_t>(edge.amount);
  }
  return SolvedArrays(nb::make_tuple(copied(partition.left_block), copied(partition.right_block), copied(partition.a),
                        copied(partition.b), edges, flow_high, flow_low, partition.n_flows, partition.n_searches));
}

template <class Graph, class... Most>
SolvedArrays solve_graph(const Graph& graph, const In1<std::int64_t>& left_weight, const In1<std::int64_t>& right_weight,
                      const std::optional<std::function<void(std::size_t)>>& progress, Most... most) {
  require(left_weight.shape(0) == graph.left, "left_weight must have a value for each left vertex");
  require(right_weight.shape(0) == graph.right, "right_weight must have a value for each right vertex");
  Partition partition;
  {
    const Poll poll = make_poll(progress);
    nb::gil_scoped_release release;
    partition = solve(graph, left_weight.data(), right_weight.data(), poll, most...);
  }
  return as_tuple(partition);
}

template <class Graph>
DegreeArrays degrees_of(const Graph& graph) {
  Degrees result;
  {
    nb::gil_scoped_release release;
    result = degrees(graph);
  }
  return DegreeArrays(nb::make_tuple(copied(result.left), copied(result.right)));
}

template <class Graph>
ComponentArrays components_of(const Graph& graph) {
  Components result;
  {
    nb::gil_scoped_release release;
    result = components(graph);
  }
  return ComponentArrays(nb::make_tuple(copied(result.left), copied(result.right), result.count));
}

}  // namespace

NB_MODULE(_core, m) {
  m.doc() = "Hot kernels of lossfloor: private, see the package for what to call.";
  bind_many(m);
  bind_exact(bind_strips<std::uint8_t>(m, "StripsU8"));
  bind_exact(bind_strips<std::int16_t>(m, "StripsI16"));
  bind_strips<float>(m, "StripsF32");
  bind_strips<double>(m, "StripsF64");

  bind_project<std::uint8_t>(m);
  bind_project<std::int16_t>(m);
  bind_project<float>(m);
  bind_project<double>(m);
  bind_whole_filter(bind_filter<std::uint8_t>(m, "FilterU8"));
  bind_whole_filter(bind_filter<std::int16_t>(m, "FilterI16"));
  bind_filter<float>(m, "FilterF32");
  bind_filter<double>(m, "FilterF64");
  bind_rounded<float>(m, "RoundedF32");
  bind_rounded<double>(m, "RoundedF64");

  m.def(
      "product_roundings",
      [](std::size_t features, bool doubles, const std::string& level) {
        const Level most = level_named(level);
        return doubles ? product_roundings<double>(features, most) : product_roundings<float>(features, most);
      },
      nb::arg("features"), nb::arg("doubles"), nb::arg("level") = "avx512");
  m.def(
      "centred",
      [](In2<float> rows, In1<double> centre, double scale, int threads) {
        require(centre.shape(0) == rows.shape(1), "centre must have a value for each feature");
        auto out = new_matrix<float>(rows.shape(0), rows.shape(1));
        {
          nb::gil_scoped_release release;
          centred(view(rows), centre.data(), scale, threads, out.data());
        }
        return out;
      },
      nb::arg("rows").noconvert(), nb::arg("centre").noconvert(), nb::arg("scale"), nb::arg("threads"));

  m.def(
      "bytes_within",
      [](In2<std::uint8_t> left, In2<std::uint8_t> right, std::int64_t limit, int threads, const std::string& level,
         const Places& left_places, const Places& right_places) {
        const Level most = level_named(level);
        const auto rows = view(left, left_places);
        const auto columns = view(right, right_places);
        require(rows.columns == columns.columns, "left must have the features of right");
        auto bits = new_matrix<std::uint64_t>(rows.rows, words_for(columns.rows));
        {
          nb::gil_scoped_release release;
          bytes_within(rows, columns, limit, threads, most, bits.data());
        }
        return bits;
      },
      nb::arg("left").noconvert(), nb::arg("right").noconvert(), nb::arg("limit"), nb::arg("threads"),
      nb::arg("level") = "avx512", nb::arg("left_places").noconvert() = nb::none(),
      nb::arg("right_places").noconvert() = nb::none());
  m.def(
      "largest_within",
      [](In2<std::uint8_t> left, In2<std::uint8_t> right, std::uint8_t limit, int threads, const std::string& level) {
        require(left.shape(1) == right.shape(1), "left must have the features of right");
        require(right.shape(0) > 0, "right must have a row");
        const Level most = level_named(level);
        auto bits = new_matrix<std::uint64_t>(left.shape(0), words_for(right.shape(0)));
        {
          nb::gil_scoped_release release;
          largest_within(view(left), view(right), limit, threads, most, bits.data());
        }
        return bits;
      },
      nb::arg("left").noconvert(), nb::arg("right").noconvert(), nb::arg("limit"), nb::arg("threads"),
      nb::arg("level") = "avx512");
  m.def(
      "kernel_name", [](const std::string& level) { return std::string(kernels(level_named(level)).name); },
      nb::arg("level") = "avx512");
  m.def(
      "multiplies_bytes", [](const std::string& level) { return kernels(level_named(level)).dot_u8 != nullptr; },
      nb::arg("level") = "avx512");

  using Progress = std::optional<std::function<void(std::size_t)>>;
  m.def(
      "solve_bits",
      [](In2<std::uint64_t> bits, std::size_t right, In1<std::int64_t> left_weight, In1<std::int64_t> right_weight,
         const Progress& progress, const std::string& level) {
        return solve_graph(bit_graph(bits, right), left_weight, right_weight, progress, level_named(level));
      },
      nb::arg("bits").noconvert(), nb::arg("right"), nb::arg("left_weight").noconvert(),
      nb::arg("right_weight").noconvert(), nb::arg("progress") = nb::none(), nb::arg("level") = "avx512");
  m.def(
      "solve_lists",
      [](In1<std::int64_t> offsets, In1<std::int32_t> targets, std::size_t right, In1<std::int64_t> left_weight,
         In1<std::int64_t> right_weight, const Progress& progress) {
        return solve_graph(list_graph(offsets, targets, right), left_weight, right_weight, progress);
      },
      nb::arg("offsets").noconvert(), nb::arg("targets").noconvert(), nb::arg("right"),
      nb::arg("left_weight").noconvert(), nb::arg("right_weight").noconvert(), nb::arg("progress") = nb::none());
  m.def(
      "degrees_bits",
      [](In2<std::uint64_t> bits, std::size_t right) { return degrees_of(bit_graph(bits, right)); },
      nb::arg("bits").noconvert(), nb::arg("right"));
  m.def(
      "components_bits",
      [](In2<std::uint64_t> bits, std::size_t right) { return components_of(bit_graph(bits, right)); },
      nb::arg("bits").noconvert(), nb::arg("right"));
  m.def(
      "components_lists",
      [](In1<std::int64_t> offsets, In1<std::int32_t> targets, std::size_t right) {
        return components_of(list_graph(offsets, targets, right));
      },
      nb::arg("offsets").noconvert(), nb::arg("targets").noconvert(), nb::arg("right"));
  m.def(
      "pack_levels",
      [](In2<std::uint8_t> levels, int first, int count, int threads) {
        require(first >= 0 && count >= 0 && first + count <= 256, "levels must be 0 to 255");
        const auto n_levels = static_cast<std::size_t>(count);
        auto bits = new_matrix<std::uint64_t>(n_levels * levels.shape(0), words_for(levels.shape(1)));
        {
          nb::gil_scoped_release release;
          pack_levels(levels.data(), levels.shape(0), levels.shape(1), first, n_levels, threads, bits.data());
        }
        return bits;
      },
      nb::arg("levels").noconvert(), nb::arg("first"), nb::arg("count"), nb::arg("threads"));
  m.def(
      "count_bits",
      [](In2<std::uint64_t> bits) {
        nb::gil_scoped_release release;
        return count_set_bits(bits.data(), bits.size());
      },
      nb::arg("bits").noconvert());
  m.def(
      "set_bits",
      [](In2<std::uint64_t> bits) {
        std::vector<std::int32_t> targets;
        std::vector<std::int64_t> counts;
        {
          nb::gil_scoped_release release;
          append_set_bits(bits.data(), bits.shape(0), bits.shape(1), targets, counts);
        }
        return ListArrays(nb::make_tuple(copied(targets), copied(counts)));
      },
      nb::arg("bits").noconvert());
}
