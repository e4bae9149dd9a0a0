// The binding of what more than two classes need; see module.cpp.
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/variant.h>

#include <cmath>
#include <memory>
#include <string>
#include <tuple>
#include <variant>

#include "arrays.hpp"
#include "lossfloor/many/cliques.hpp"
#include "lossfloor/many/master.hpp"
#include "lossfloor/parallel.hpp"

using namespace lossfloor;

namespace {

using Doubles = Out1<double>;
using Cut = nb::typed<nb::tuple, Out1<std::int64_t>, Out1<std::int32_t>, Doubles, Out1<std::int8_t>>;
using Separated = nb::typed<nb::tuple, Cut, Doubles, std::int64_t, std::int64_t>;
using Solved = nb::typed<nb::tuple, Doubles, Doubles, Doubles, Doubles, double, double, double, std::int64_t>;
using Ask = std::function<int(Out1<std::int32_t>)>;

// Nothing but Ctrl-C is looked for, and not more often than twenty times a second.
Stop make_stop() {
  return [poll = make_poll(std::nullopt)]() mutable { poll(0); };
}

Cut as_tuple(const Cliques& cliques) {
  return Cut(nb::make_tuple(copied(cliques.offsets), copied(cliques.members), copied(cliques.weights),
                            copied(cliques.verdict)));
}

// The graph of all classes, with the rule by which neighbourhoods meet; it keeps the arrays that it looks at.
class Hypergraph {
 public:
  Hypergraph(In1<std::int32_t> codes, std::size_t classes, In1<std::int64_t> offsets, In1<std::int32_t> targets,
             std::optional<In1<double>> squares, std::optional<In1<double>> radii, double slack,
             std::optional<Ask> ask)
      : codes_(codes), offsets_(offsets), targets_(targets) {
    const std::size_t count = codes.shape(0);
    require(classes >= 2, "classes must be at least 2");
    for (std::size_t v = 0; v < count; ++v) {
      require(codes.data()[v] >= 0 && static_cast<std::size_t>(codes.data()[v]) < classes, "codes must be below classes");
    }
    require(offsets.shape(0) == count + 1 && offsets.data()[0] == 0, "offsets must begin with 0, one for each vertex");
    for (std::size_t v = 0; v < count; ++v) require(offsets.data()[v] <= offsets.data()[v + 1], "offsets must ascend");
    require(static_cast<std::size_t>(offsets.data()[count]) == targets.shape(0), "offsets must end with len(targets)");
    for (std::size_t v = 0; v < count; ++v) {
      std::int64_t before = -1;
      for (std::int64_t e = offsets.data()[v]; e < offsets.data()[v + 1]; ++e) {
        const std::int64_t u = targets.data()[e];
        require(before < u && u < static_cast<std::int64_t>(count), "targets must ascend in each row");
        require(codes.data()[u] != codes.data()[v], "targets must be of another class");
        before = u;
      }
    }
    graph_ = {count, classes, codes.data(), offsets.data(), targets.data(), nullptr};
    meeting_.kind = Meeting::Kind::always;
    meeting_.slack = slack;
    if (squares) {
      require(radii && squares->shape(0) == targets.shape(0), "squares must have a value for each conflict");
      require(radii->shape(0) == count, "radii must have a value for each vertex");
      squares_ = *squares;
      radii_ = *radii;
      graph_.squares = squares_->data();
      meeting_.kind = Meeting::Kind::balls;
      meeting_.radii = radii_->data();
      meeting_.one_radius = std::all_of(radii_->data(), radii_->data() + count,
                                        [this](double r) { return r == radii_->data()[0]; });
    } else if (ask) {
      meeting_.kind = Meeting::Kind::ask;
      meeting_.ask = [question = *ask](const std::int32_t* members, std::size_t size) {
        nb::gil_scoped_acquire acquire;
        const int verdict = question(copied(std::vector<std::int32_t>(members, members + size)));
        require(verdict >= 0 && verdict <= 2, "ask must return 0, 1 or 2");
        return static_cast<Verdict>(verdict);
      };
    }
  }

  Separated separate(In1<double> q, In1<std::uint8_t> alive, double above, std::size_t max_degree,
                     std::size_t per_root, std::size_t per_vertex, std::size_t enough, std::int64_t budget,
                     double seconds, int threads, const std::string& level) const {
    require(q.shape(0) == graph_.count, "q must have a value for each vertex");
    require(alive.shape(0) == graph_.count, "alive must have a value for each vertex");
    require(max_degree >= 2, "max_degree must be at least 2");
    const Level most = level_named(level);
    Separation result;
    {
      const Stop stop = make_stop();
      nb::gil_scoped_release release;
      const Search search{above, max_degree, per_root, per_vertex, enough, budget, threads, seconds, most};
      result = lossfloor::separate(graph_, meeting_, q.data(), alive.data(), search, stop);
    }
    return Separated(nb::make_tuple(as_tuple(result.found), copied(result.most), result.steps, result.unfinished));
  }

  Cut witness(In1<std::int64_t> offsets, In1<std::int32_t> members) const {
    Cliques cliques;
    cliques.offsets.assign(offsets.data(), offsets.data() + offsets.shape(0));
    cliques.members.assign(members.data(), members.data() + members.shape(0));
    require(!cliques.offsets.empty() && cliques.offsets.front() == 0 &&
                cliques.offsets.back() == static_cast<std::int64_t>(cliques.members.size()),
            "offsets must go from 0 to len(members)");
    for (std::size_t c = 0; c + 1 < cliques.offsets.size(); ++c) {
      require(cliques.offsets[c] + 2 <= cliques.offsets[c + 1], "a clique must have two members");
    }
    for (const std::int32_t v : cliques.members) {
      require(v >= 0 && static_cast<std::size_t>(v) < graph_.count, "members must be vertices");
    }
    {
      nb::gil_scoped_release release;
      lossfloor::witness(graph_, meeting_, cliques);
    }
    return as_tuple(cliques);
  }

 private:
  In1<std::int32_t> codes_;
  In1<std::int64_t> offsets_;
  In1<std::int32_t> targets_;
  std::optional<In1<double>> squares_, radii_;
  ClassGraph graph_{};
  Meeting meeting_{};
};

std::unique_ptr<SeparableLoss> loss_by_name(const std::string& name) {
  if (name == "log") return std::make_unique<LogLoss>();
  if (name == "linear") return std::make_unique<LinearLoss>();
  if (name == "square") return std::make_unique<SquareLoss>();
  throw std::invalid_argument("loss must be log, linear or square, or a table");
}

// A table of slopes: nodes above 0 up to 1, the slope of the loss there, and the loss at 1.
std::unique_ptr<SeparableLoss> loss_by_table(const In1<double>& nodes, const In1<double>& slopes, double at_one) {
  const std::size_t count = nodes.shape(0);
  require(count >= 2 && slopes.shape(0) == count, "a table must have two nodes, and a slope for each");
  require(nodes.data()[0] > 0 && nodes.data()[count - 1] == 1, "nodes must go from above 0 to 1");
  for (std::size_t i = 0; i + 1 < count; ++i) {
    require(nodes.data()[i] < nodes.data()[i + 1], "nodes must ascend");
    require(slopes.data()[i] <= slopes.data()[i + 1], "slopes must not fall");
  }
  require(std::isfinite(slopes.data()[0]) && slopes.data()[count - 1] <= 0, "slopes must be finite and not positive");
  return std::make_unique<TableLoss>(std::vector<double>(nodes.data(), nodes.data() + count),
                                     std::vector<double>(slopes.data(), slopes.data() + count), at_one);
}

using Loss = std::variant<std::string, std::tuple<In1<double>, In1<double>, double>>;

Solved master(In1<double> weight, In1<std::int64_t> offsets, In1<std::int32_t> members, const Loss& loss, In1<double> q,
              In1<double> z, double balance, double gap, std::int64_t steps, double seconds) {
  const std::size_t count = weight.shape(0), rows = z.shape(0);
  require(q.shape(0) == count, "q must have a value for each vertex");
  require(offsets.shape(0) == rows + 1 && offsets.data()[0] == 0, "offsets must begin with 0, one for each row");
  for (std::size_t e = 0; e < rows; ++e) require(offsets.data()[e] < offsets.data()[e + 1], "offsets must ascend");
  require(static_cast<std::size_t>(offsets.data()[rows]) == members.shape(0), "offsets must end with len(members)");
  for (std::size_t i = 0; i < members.shape(0); ++i) {
    require(members.data()[i] >= 0 && static_cast<std::size_t>(members.data()[i]) < count, "members must be vertices");
  }
  for (std::size_t v = 0; v < count; ++v) require(weight.data()[v] > 0, "weight must be positive");
  std::unique_ptr<SeparableLoss> chosen;
  if (const auto* name = std::get_if<std::string>(&loss)) {
    chosen = loss_by_name(*name);
  } else {
    const auto& [nodes, slopes, at_one] = std::get<1>(loss);
    chosen = loss_by_table(nodes, slopes, at_one);
  }
  MasterResult result;
  {
    const Stop stop = make_stop();
    nb::gil_scoped_release release;
    result = solve_master(count, weight.data(), {rows, offsets.data(), members.data()}, *chosen, q.data(), z.data(),
                          balance, {gap, steps, seconds}, stop);
  }
  return Solved(nb::make_tuple(copied(result.q), copied(result.z), copied(result.q_next), copied(result.z_next), result.lower, result.upper, result.balance, result.steps));
}

// Squared Euclidean distances of pairs of rows: exact for small integers, else within (features + 2) roundings.
template <class T>
void bind_squares(nb::module_& m) {
  m.def(
      "pair_squares",
      [](In2<T> rows, In1<std::int64_t> offsets, In1<std::int32_t> targets, int threads) {
        const std::size_t count = rows.shape(0), features = rows.shape(1);
        require(offsets.shape(0) == count + 1, "offsets must have one entry more than rows");
        require(static_cast<std::size_t>(offsets.data()[count]) == targets.shape(0), "offsets must end with len(targets)");
        auto* squares = new double[targets.shape(0)];
        Doubles result(squares, {targets.shape(0)}, owner_of(squares));
        {
          nb::gil_scoped_release release;
          in_parallel(count, threads, [&](std::size_t, std::size_t u) {
            const T* a = rows.data() + u * features;
            for (std::int64_t e = offsets.data()[u]; e < offsets.data()[u + 1]; ++e) {
              const T* b = rows.data() + static_cast<std::size_t>(targets.data()[e]) * features;
              if constexpr (std::is_integral_v<T>) {
                std::int64_t sum = 0;
                std::size_t k = 0;
                // Sums of 1024 squares of bytes fit 32 bits, which the compiler adds eight at a time.
                constexpr std::size_t kBlock = sizeof(T) == 1 ? 1024 : 1;
                while (k < features) {
                  const std::size_t end = std::min(features, k + kBlock);
                  if constexpr (sizeof(T) == 1) {
                    std::int32_t part = 0;
                    for (; k < end; ++k) {
                      const std::int32_t difference = static_cast<std::int32_t>(a[k]) - static_cast<std::int32_t>(b[k]);
                      part += difference * difference;
                    }
                    sum += part;
                  } else {
                    for (; k < end; ++k) {
                      const std::int64_t difference = static_cast<std::int64_t>(a[k]) - static_cast<std::int64_t>(b[k]);
                      sum += difference * difference;
                    }
                  }
                }
                squares[e] = static_cast<double>(sum);
              } else {
                double sum = 0;
                for (std::size_t k = 0; k < features; ++k) {
                  const double difference = static_cast<double>(a[k]) - static_cast<double>(b[k]);
                  sum += difference * difference;
                }
                squares[e] = sum;
              }
            }
          });
        }
        return result;
      },
      nb::arg("rows").noconvert(), nb::arg("offsets").noconvert(), nb::arg("targets").noconvert(), nb::arg("threads"));
}

}  // namespace

void bind_many(nb::module_& m) {
  nb::class_<Hypergraph>(m, "Hypergraph")
      .def(nb::init<In1<std::int32_t>, std::size_t, In1<std::int64_t>, In1<std::int32_t>, std::optional<In1<double>>,
                    std::optional<In1<double>>, double, std::optional<Ask>>(),
           nb::arg("codes").noconvert(), nb::arg("classes"), nb::arg("offsets").noconvert(),
           nb::arg("targets").noconvert(), nb::arg("squares") = nb::none(), nb::arg("radii") = nb::none(),
           nb::arg("slack") = 0.0, nb::arg("ask") = nb::none())
      .def("separate", &Hypergraph::separate, nb::arg("q").noconvert(), nb::arg("alive").noconvert(), nb::arg("above"),
           nb::arg("max_degree"), nb::arg("per_root"), nb::arg("per_vertex"), nb::arg("enough"), nb::arg("budget"), nb::arg("seconds"),
           nb::arg("threads"), nb::arg("level") = "avx512")
      .def("witness", &Hypergraph::witness, nb::arg("offsets").noconvert(), nb::arg("members").noconvert());
  m.def("master", &master, nb::arg("weight").noconvert(), nb::arg("offsets").noconvert(),
        nb::arg("members").noconvert(), nb::arg("loss"), nb::arg("q").noconvert(), nb::arg("z").noconvert(),
        nb::arg("balance"), nb::arg("gap"), nb::arg("steps"), nb::arg("seconds"));
  bind_squares<std::uint8_t>(m);
  bind_squares<std::int16_t>(m);
  bind_squares<float>(m);
  bind_squares<double>(m);
}
