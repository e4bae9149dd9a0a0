// Which pairs of examples are within a threshold: strips of exact and rounded keys, and the filters before them.
#include <nanobind/stl/string.h>

#include <string>
#include <vector>

#include "arrays.hpp"
#include "calls.hpp"
#include "lossfloor/pairs/byte_filter.hpp"
#include "lossfloor/pairs/linf_bytes.hpp"
#include "lossfloor/pairs/projection_filter.hpp"
#include "lossfloor/pairs/strips.hpp"

using namespace lossfloor;

namespace {

// What the functions below return, spelled out for the stub.
using Bits = Out2<std::uint64_t>;
using Pairs = Out2<std::uint32_t>;
using BitsAndPairs = nb::typed<nb::tuple, Bits, Pairs>;
using LevelsAndPairs = nb::typed<nb::tuple, Out2<std::uint8_t>, Pairs>;
using BitsAndCount = nb::typed<nb::tuple, Bits, std::size_t>;
using BitsPairsAndCount = nb::typed<nb::tuple, Bits, Pairs, std::size_t>;
using BytesAndSquare = nb::typed<nb::tuple, Out2<std::uint8_t>, double>;
using Projected = nb::typed<nb::tuple, Out2<float>, Out1<double>, Out2<double>>;
using Ranking = std::optional<In1<std::int32_t>>;

Pairs as_array(const UndecidedPairs& pairs) {
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

const std::int32_t* ranking_of(const Ranking& ranking, std::size_t features) {
  require(!ranking || is_order(*ranking, features), "ranking must be an order of the features");
  return ranking ? ranking->data() : nullptr;
}

Bits new_bits(std::size_t rows, std::size_t columns) { return new_matrix<std::uint64_t>(rows, words_for(columns)); }

template <class T>
struct StripsMethods {
  using Self = Strips<T>;

  static void check(const Self& self, const In2<T>& left) {
    require(left.shape(1) == self.features(), "left must have the features of right");
  }

  static void init(Self* self, const std::string& metric, const In2<T>& right, double p, const Ranking& ranking,
                   const std::string& isa, const Places& places) {
    const Metric chosen = metric_named(metric);
    const Isa most = isa_named(isa);
    const auto matrix = view(right, places);
    require(matrix.rows > 0 && matrix.columns > 0, "right must have a row and a column");
    const std::int32_t* order = ranking_of(ranking, matrix.columns);
    without_lock([&] { new (self) Self(chosen, p, matrix, order, most); });
  }

  static const char* kernel(const Self& self) { return name_of(self.isa()); }

  static BitsAndPairs within_bracket(const Self& self, const In2<T>& left, double relative, double absolute,
                                     double lower, double upper, int threads) {
    check(self, left);
    auto bits = new_bits(left.shape(0), self.count());
    const UndecidedPairs undecided = without_lock(
        [&] { return self.within_bracket(view(left), {relative, absolute}, {lower, upper}, threads, bits.data()); });
    return BitsAndPairs(nb::make_tuple(bits, as_array(undecided)));
  }

  static BitsAndPairs within_radii(const Self& self, const In2<T>& left, double relative, double absolute,
                                   const In1<double>& left_radius, const In1<double>& right_radius, double slack,
                                   int threads) {
    check(self, left);
    require(left_radius.shape(0) == left.shape(0), "left_radius must have a value for each left row");
    require(right_radius.shape(0) == self.count(), "right_radius must have a value for each right row");
    auto bits = new_bits(left.shape(0), self.count());
    const UndecidedPairs undecided = without_lock([&] {
      return self.within_radii(view(left), {relative, absolute}, left_radius.data(), right_radius.data(), slack,
                               threads, bits.data());
    });
    return BitsAndPairs(nb::make_tuple(bits, as_array(undecided)));
  }

  static LevelsAndPairs levels_bracket(const Self& self, const In2<T>& left, double relative, double absolute,
                                       const In2<double>& thresholds, int threads) {
    check(self, left);
    const auto bounds = brackets(thresholds);
    auto levels = new_matrix<std::uint8_t>(left.shape(0), self.count());
    const UndecidedPairs undecided = without_lock([&] {
      return self.levels_bracket(view(left), {relative, absolute}, bounds.data(), bounds.size(), threads,
                                 levels.data());
    });
    return LevelsAndPairs(nb::make_tuple(levels, as_array(undecided)));
  }

  static Bits within(const Self& self, const In2<T>& left, std::int64_t limit, int threads, const Places& places) {
    check(self, left);
    const auto rows = view(left, places);
    auto bits = new_bits(rows.rows, self.count());
    without_lock([&] { self.within(rows, limit, threads, bits.data(), words_for(self.count())); });
    return bits;
  }

  static Out2<std::uint8_t> levels(const Self& self, const In2<T>& left, const In1<std::int32_t>& thresholds,
                                   int threads) {
    check(self, left);
    auto levels = new_matrix<std::uint8_t>(left.shape(0), self.count());
    without_lock([&] { self.levels(view(left), thresholds.data(), thresholds.shape(0), threads, levels.data()); });
    return levels;
  }
};

template <class T>
nb::class_<Strips<T>> bind_strips(nb::module_& m, const char* name) {
  using Methods = StripsMethods<T>;
  nb::class_<Strips<T>> bound(m, name);
  bound
      .def("__init__", &Methods::init, nb::arg("metric"), nb::arg("right").noconvert(), nb::arg("p") = 2.0,
           nb::arg("ranking").noconvert() = nb::none(), nb::arg("isa") = "avx512",
           nb::arg("places").noconvert() = nb::none())
      .def_prop_ro("count", &Strips<T>::count)
      .def_prop_ro("features", &Strips<T>::features)
      .def_prop_ro("kernel", &Methods::kernel)
      .def("within_bracket", &Methods::within_bracket, nb::arg("left").noconvert(), nb::arg("relative"),
           nb::arg("absolute"), nb::arg("lower"), nb::arg("upper"), nb::arg("threads"))
      .def("within_radii", &Methods::within_radii, nb::arg("left").noconvert(), nb::arg("relative"),
           nb::arg("absolute"), nb::arg("left_radius").noconvert(), nb::arg("right_radius").noconvert(),
           nb::arg("slack"), nb::arg("threads"))
      .def("levels_bracket", &Methods::levels_bracket, nb::arg("left").noconvert(), nb::arg("relative"),
           nb::arg("absolute"), nb::arg("thresholds").noconvert(), nb::arg("threads"));
  if constexpr (std::is_integral_v<T>) {  // exact keys
    bound
        .def("within", &Methods::within, nb::arg("left").noconvert(), nb::arg("limit"), nb::arg("threads"),
             nb::arg("places").noconvert() = nb::none())
        .def("levels", &Methods::levels, nb::arg("left").noconvert(), nb::arg("thresholds").noconvert(),
             nb::arg("threads"));
  }
  return bound;
}

Projection projection(const In2<float>& coordinates, const In1<float>& offset, const In1<float>& rest, std::size_t rows,
                      std::size_t dimensions) {
  require(dimensions <= coordinates.shape(1), "coordinates must have a column for each dimension");
  require(coordinates.shape(0) == rows, "coordinates must have a row for each example");
  require(offset.shape(0) == rows && rest.shape(0) == rows, "offset and rest must have a value for each example");
  return {view(coordinates), dimensions, offset.data(), rest.data()};
}

// Keeps `right` alive, which the strips look at.
template <class T>
struct ProjectionFilter {
  In2<T> right;
  FilteredStrips<T> strips;

  ProjectionFilter(In2<T> right_, const In2<float>& coordinates, const In1<float>& offset, const In1<float>& rest,
                   std::size_t dimensions, const std::string& isa)
      : right(right_),
        strips(view(right), projection(coordinates, offset, rest, right.shape(0), dimensions), isa_named(isa)) {}

  Projection left_projection(const In2<T>& left, const In2<float>& left_coordinates, const In1<float>& left_offset,
                             const In1<float>& left_rest) const {
    require(left.shape(1) == strips.features(), "left must have the features of right");
    return projection(left_coordinates, left_offset, left_rest, left.shape(0), strips.dimensions());
  }
};

template <class T>
struct FilterMethods {
  using Self = ProjectionFilter<T>;

  static BitsPairsAndCount within_bracket(const Self& self, const In2<T>& left, const In2<float>& coordinates,
                                          const In1<float>& offset, const In1<float>& rest, float tolerance,
                                          double relative, double lower, double upper, int threads) {
    const Projection own = self.left_projection(left, coordinates, offset, rest);
    auto bits = new_bits(left.shape(0), self.strips.count());
    std::size_t open = 0;
    const UndecidedPairs undecided = without_lock([&] {
      return self.strips.within_bracket(view(left), own, tolerance, relative, {lower, upper}, threads, bits.data(),
                                        &open);
    });
    return BitsPairsAndCount(nb::make_tuple(bits, as_array(undecided), open));
  }

  static BitsPairsAndCount within_radii(const Self& self, const In2<T>& left, const In2<float>& coordinates,
                                        const In1<float>& offset, const In1<float>& rest, float tolerance,
                                        double relative, const In1<double>& left_radius,
                                        const In1<double>& right_radius, double slack, int threads) {
    const Projection own = self.left_projection(left, coordinates, offset, rest);
    require(left_radius.shape(0) == left.shape(0), "left_radius must have a value for each left row");
    require(right_radius.shape(0) == self.strips.count(), "right_radius must have a value for each right row");
    auto bits = new_bits(left.shape(0), self.strips.count());
    std::size_t open = 0;
    const UndecidedPairs undecided = without_lock([&] {
      return self.strips.within_radii(view(left), own, tolerance, relative, left_radius.data(), right_radius.data(),
                                      slack, threads, bits.data(), &open);
    });
    return BitsPairsAndCount(nb::make_tuple(bits, as_array(undecided), open));
  }

  static BitsAndCount within(const Self& self, const In2<T>& left, const In2<float>& coordinates,
                             const In1<float>& offset, const In1<float>& rest, float tolerance, std::int64_t limit,
                             int threads) {
    const Projection own = self.left_projection(left, coordinates, offset, rest);
    auto bits = new_bits(left.shape(0), self.strips.count());
    const std::size_t open =
        without_lock([&] { return self.strips.within(view(left), own, tolerance, limit, threads, bits.data()); });
    return BitsAndCount(nb::make_tuple(bits, open));
  }
};

template <class T>
Projected project_rows(const In2<T>& rows, const In1<double>& centre, double scale, const In2<float>& basis,
                       int threads, const std::string& isa) {
  const Isa most = isa_named(isa);
  require(centre.shape(0) == rows.shape(1), "centre must have a value for each feature");
  require(basis.shape(0) == rows.shape(1), "basis must have a row for each feature");
  auto coordinates = new_matrix<float>(rows.shape(0), basis.shape(1));
  auto squares = new_vector<double>(rows.shape(0));
  auto kept = new_matrix<double>(rows.shape(0), kept_sums(basis.shape(1)));
  without_lock([&] {
    project<T>(view(rows), centre.data(), scale, view(basis), threads, coordinates.data(), squares.data(), kept.data(),
               most);
  });
  return Projected(nb::make_tuple(coordinates, squares, kept));
}

template <class T>
void bind_filter(nb::module_& m, const char* name) {
  using Methods = FilterMethods<T>;
  m.def("project", project_rows<T>, nb::arg("rows").noconvert(), nb::arg("centre").noconvert(), nb::arg("scale"),
        nb::arg("basis").noconvert(), nb::arg("threads"), nb::arg("isa") = "avx512");
  nb::class_<ProjectionFilter<T>> bound(m, name);
  bound
      .def(nb::init<In2<T>, In2<float>, In1<float>, In1<float>, std::size_t, const std::string&>(),
           nb::arg("right").noconvert(), nb::arg("coordinates").noconvert(), nb::arg("offset").noconvert(),
           nb::arg("rest").noconvert(), nb::arg("dimensions"), nb::arg("isa") = "avx512")
      .def("within_bracket", &Methods::within_bracket, nb::arg("left").noconvert(), nb::arg("coordinates").noconvert(),
           nb::arg("offset").noconvert(), nb::arg("rest").noconvert(), nb::arg("tolerance"), nb::arg("relative"),
           nb::arg("lower"), nb::arg("upper"), nb::arg("threads"))
      .def("within_radii", &Methods::within_radii, nb::arg("left").noconvert(), nb::arg("coordinates").noconvert(),
           nb::arg("offset").noconvert(), nb::arg("rest").noconvert(), nb::arg("tolerance"), nb::arg("relative"),
           nb::arg("left_radius").noconvert(), nb::arg("right_radius").noconvert(), nb::arg("slack"),
           nb::arg("threads"));
  if constexpr (std::is_integral_v<T>) {
    bound.def("within", &Methods::within, nb::arg("left").noconvert(), nb::arg("coordinates").noconvert(),
              nb::arg("offset").noconvert(), nb::arg("rest").noconvert(), nb::arg("tolerance"), nb::arg("limit"),
              nb::arg("threads"));
  }
}

// Keeps `right` alive, which the strips look at.
template <class T>
struct ByteFilter {
  In2<T> right;
  ByteFilteredStrips<T> strips;

  ByteFilter(const std::string& metric, In2<T> right_, const In2<std::uint8_t>& bytes,
             const std::optional<In1<std::int32_t>>& ranking, const std::string& isa)
      : right((require(bytes.shape(0) == right_.shape(0) && bytes.shape(1) == right_.shape(1),
                       "bytes must have the shape of right"),
               right_)),
        strips(metric_named(metric), view(right), view(bytes), ranking_of(ranking, right_.shape(1)), isa_named(isa)) {}
};

template <class T>
struct ByteFilterMethods {
  static BytesAndSquare round(const In2<T>& rows, const In1<double>& low, double step, int threads) {
    require(low.shape(0) == rows.shape(1), "low must have a value for each feature");
    auto bytes = new_matrix<std::uint8_t>(rows.shape(0), rows.shape(1));
    const double square =
        without_lock([&] { return round_to_bytes<T>(view(rows), low.data(), step, threads, bytes.data()); });
    return BytesAndSquare(nb::make_tuple(bytes, square));
  }

  static BitsAndPairs within_bracket(const ByteFilter<T>& self, const In2<T>& left, const In2<std::uint8_t>& bytes,
                                     std::int64_t inner, std::int64_t outer, double relative, double lower,
                                     double upper, int threads) {
    require(left.shape(1) == self.strips.features(), "left must have the features of right");
    require(bytes.shape(0) == left.shape(0) && bytes.shape(1) == left.shape(1), "bytes must have the shape of left");
    auto bits = new_bits(left.shape(0), self.strips.count());
    const UndecidedPairs undecided = without_lock([&] {
      return self.strips.within_bracket(view(left), view(bytes), inner, outer, relative, {lower, upper}, threads,
                                        bits.data());
    });
    return BitsAndPairs(nb::make_tuple(bits, as_array(undecided)));
  }
};

template <class T>
void bind_byte_filter(nb::module_& m, const char* name) {
  using Methods = ByteFilterMethods<T>;
  m.def("round_to_bytes", &Methods::round, nb::arg("rows").noconvert(), nb::arg("low").noconvert(), nb::arg("step"),
        nb::arg("threads"));
  nb::class_<ByteFilter<T>>(m, name)
      .def(nb::init<const std::string&, In2<T>, In2<std::uint8_t>, const Ranking&, const std::string&>(),
           nb::arg("metric"), nb::arg("right").noconvert(), nb::arg("bytes").noconvert(),
           nb::arg("ranking").noconvert() = nb::none(), nb::arg("isa") = "avx512")
      .def("within_bracket", &Methods::within_bracket, nb::arg("left").noconvert(), nb::arg("bytes").noconvert(),
           nb::arg("inner"), nb::arg("outer"), nb::arg("relative"), nb::arg("lower"), nb::arg("upper"),
           nb::arg("threads"));
}

std::size_t roundings(std::size_t features, bool doubles, const std::string& isa) {
  const Isa most = isa_named(isa);
  return doubles ? product_roundings<double>(features, most) : product_roundings<float>(features, most);
}

Out2<float> centred_rows(const In2<float>& rows, const In1<double>& centre, double scale, int threads) {
  require(centre.shape(0) == rows.shape(1), "centre must have a value for each feature");
  auto out = new_matrix<float>(rows.shape(0), rows.shape(1));
  without_lock([&] { centred(view(rows), centre.data(), scale, threads, out.data()); });
  return out;
}

Bits l2_bytes(const In2<std::uint8_t>& left, const In2<std::uint8_t>& right, std::int64_t limit, int threads,
              const std::string& isa, const Places& left_places, const Places& right_places) {
  const Isa most = isa_named(isa);
  const auto rows = view(left, left_places);
  const auto columns = view(right, right_places);
  require(rows.columns == columns.columns, "left must have the features of right");
  auto bits = new_bits(rows.rows, columns.rows);
  without_lock([&] { bytes_within(rows, columns, limit, threads, most, bits.data()); });
  return bits;
}

Bits linf_bytes(const In2<std::uint8_t>& left, const In2<std::uint8_t>& right, std::uint8_t limit, int threads,
                const std::string& isa) {
  require(left.shape(1) == right.shape(1), "left must have the features of right");
  require(right.shape(0) > 0, "right must have a row");
  const Isa most = isa_named(isa);
  auto bits = new_bits(left.shape(0), right.shape(0));
  without_lock([&] { linf_bytes_within(view(left), view(right), limit, threads, most, bits.data()); });
  return bits;
}

}  // namespace

void bind_pairs(nb::module_& m) {
  bind_strips<std::uint8_t>(m, "StripsU8");
  bind_strips<std::int16_t>(m, "StripsI16");
  bind_strips<float>(m, "StripsF32");
  bind_strips<double>(m, "StripsF64");
  bind_filter<std::uint8_t>(m, "FilterU8");
  bind_filter<std::int16_t>(m, "FilterI16");
  bind_filter<float>(m, "FilterF32");
  bind_filter<double>(m, "FilterF64");
  bind_byte_filter<float>(m, "RoundedF32");
  bind_byte_filter<double>(m, "RoundedF64");
  m.def("product_roundings", roundings, nb::arg("features"), nb::arg("doubles"), nb::arg("isa") = "avx512");
  m.def("centred", centred_rows, nb::arg("rows").noconvert(), nb::arg("centre").noconvert(), nb::arg("scale"),
        nb::arg("threads"));
  m.def("bytes_within", l2_bytes, nb::arg("left").noconvert(), nb::arg("right").noconvert(), nb::arg("limit"),
        nb::arg("threads"), nb::arg("isa") = "avx512", nb::arg("left_places").noconvert() = nb::none(),
        nb::arg("right_places").noconvert() = nb::none());
  m.def("largest_within", linf_bytes, nb::arg("left").noconvert(), nb::arg("right").noconvert(), nb::arg("limit"),
        nb::arg("threads"), nb::arg("isa") = "avx512");
}
