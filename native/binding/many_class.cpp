// More than two classes: cliques, their witnesses, and the loss under constraints.
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/variant.h>

#include <cmath>
#include <memory>
#include <string>
#include <tuple>
#include <variant>

#include "arrays.hpp"
#include "calls.hpp"
#include "lossfloor/many/cliques.hpp"
#include "lossfloor/many/master.hpp"
#include "lossfloor/pairs/pair_squares.hpp"

using namespace lossfloor;

namespace {

using Doubles = Out1<double>;
using Cut = nb::typed<nb::tuple, Out1<std::int64_t>, Out1<std::int32_t>, Doubles, Out1<std::int8_t>>;
using Separated = nb::typed<nb::tuple, Cut, Doubles, std::int64_t, std::int64_t>;
using Solved = nb::typed<nb::tuple, Doubles, Doubles, Doubles, Doubles, double, double, double, std::int64_t>;
using Ask = std::function<int(Out1<std::int32_t>)>;
using Loss = std::variant<std::string, std::tuple<In1<double>, In1<double>, double>>;

Cut as_tuple(const Cliques& cliques) {
  return Cut(nb::make_tuple(copied(cliques.offsets), copied(cliques.members), copied(cliques.weights),
                            copied(cliques.verdict)));
}

// Checks that offsets begin with 0 and end with the number of members.
void check_offsets(const In1<std::int64_t>& offsets, std::size_t count, std::size_t members, const char* begin,
                   const char* end) {
  require(offsets.shape(0) == count + 1 && offsets.data()[0] == 0, begin);
  for (std::size_t v = 0; v < count; ++v) require(offsets.data()[v] <= offsets.data()[v + 1], "offsets must ascend");
  require(static_cast<std::size_t>(offsets.data()[count]) == members, end);
}

// The graph of all classes, with the rule by which neighbourhoods meet; it keeps the arrays that it looks at.
class Hypergraph {
 public:
  Hypergraph(const In1<std::int32_t>& codes, std::size_t classes, const In1<std::int64_t>& offsets,
             const In1<std::int32_t>& targets, const std::optional<In1<double>>& squares,
             const std::optional<In1<double>>& radii, double slack, const std::optional<Ask>& ask)
      : codes_(codes), offsets_(offsets), targets_(targets), squares_(squares), radii_(radii) {
    const std::size_t count = codes.shape(0);
    graph_ = {count, classes, codes.data(), offsets.data(), targets.data(), nullptr};
    check_graph(targets.shape(0));
    rule_.kind = CommonPointRule::Kind::always;
    rule_.slack = slack;
    if (squares) {
      use_balls();
    } else if (ask) {
      rule_.kind = CommonPointRule::Kind::ask;
      rule_.ask = [question = *ask](const std::int32_t* members, std::size_t size) {
        nb::gil_scoped_acquire acquire;
        const int verdict = question(copied(std::vector<std::int32_t>(members, members + size)));
        require(verdict >= 0 && verdict <= 2, "ask must return 0, 1 or 2");
        return static_cast<Verdict>(verdict);
      };
    }
  }

  Separated separate(const In1<double>& q, const In1<std::uint8_t>& alive, double above, std::size_t max_degree,
                     std::size_t per_root, std::size_t per_vertex, std::size_t enough, std::int64_t budget,
                     double seconds, int threads, const std::string& isa) const {
    require(q.shape(0) == graph_.count, "q must have a value for each vertex");
    require(alive.shape(0) == graph_.count, "alive must have a value for each vertex");
    require(max_degree >= 2, "max_degree must be at least 2");
    Search search;
    search.above = above;
    search.max_degree = max_degree;
    search.per_root = per_root;
    search.per_vertex = per_vertex;
    search.enough = enough;
    search.budget = budget;
    search.threads = threads;
    search.seconds = seconds;
    search.isa = isa_named(isa);
    const Poll poll = make_poll({});
    const Separation result =
        without_lock([&] { return lossfloor::separate(graph_, rule_, q.data(), alive.data(), search, poll); });
    return Separated(nb::make_tuple(as_tuple(result.found), copied(result.most), result.steps, result.unfinished));
  }

  Cut witness(const In1<std::int64_t>& offsets, const In1<std::int32_t>& members) const {
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
    without_lock([&] { lossfloor::witness(graph_, rule_, cliques); });
    return as_tuple(cliques);
  }

 private:
  void check_graph(std::size_t n_targets) const {
    require(graph_.classes >= 2, "classes must be at least 2");
    for (std::size_t v = 0; v < graph_.count; ++v) {
      const std::int32_t code = graph_.codes[v];
      require(code >= 0 && static_cast<std::size_t>(code) < graph_.classes, "codes must be below classes");
    }
    check_offsets(offsets_, graph_.count, n_targets, "offsets must begin with 0, one for each vertex",
                  "offsets must end with len(targets)");
    for (std::size_t v = 0; v < graph_.count; ++v) {
      std::int64_t before = -1;
      for (std::int64_t e = graph_.offsets[v]; e < graph_.offsets[v + 1]; ++e) {
        const std::int64_t u = graph_.targets[e];
        require(before < u && u < static_cast<std::int64_t>(graph_.count), "targets must ascend in each row");
        require(graph_.codes[u] != graph_.codes[v], "targets must be of another class");
        before = u;
      }
    }
  }

  void use_balls() {
    require(radii_ && squares_->shape(0) == targets_.shape(0), "squares must have a value for each conflict");
    require(radii_->shape(0) == graph_.count, "radii must have a value for each vertex");
    graph_.squares = squares_->data();
    const double* const radii = radii_->data();
    rule_.kind = CommonPointRule::Kind::balls;
    rule_.radii = radii;
    rule_.one_radius = std::all_of(radii, radii + graph_.count, [radii](double r) { return r == radii[0]; });
  }

  In1<std::int32_t> codes_;
  In1<std::int64_t> offsets_;
  In1<std::int32_t> targets_;
  std::optional<In1<double>> squares_, radii_;
  ClassGraph graph_{};
  CommonPointRule rule_{};
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

std::unique_ptr<SeparableLoss> loss_of(const Loss& loss) {
  if (const auto* name = std::get_if<std::string>(&loss)) return loss_by_name(*name);
  const auto& [nodes, slopes, at_one] = std::get<1>(loss);
  return loss_by_table(nodes, slopes, at_one);
}

Solved master(const In1<double>& weight, const In1<std::int64_t>& offsets, const In1<std::int32_t>& members,
              const Loss& loss, const In1<double>& q, const In1<double>& z, double balance, double gap,
              std::int64_t steps, double seconds) {
  const std::size_t count = weight.shape(0), rows = z.shape(0);
  require(q.shape(0) == count, "q must have a value for each vertex");
  check_offsets(offsets, rows, members.shape(0), "offsets must begin with 0, one for each row",
                "offsets must end with len(members)");
  for (std::size_t e = 0; e < rows; ++e) require(offsets.data()[e] < offsets.data()[e + 1], "offsets must ascend");
  for (std::size_t i = 0; i < members.shape(0); ++i) {
    require(members.data()[i] >= 0 && static_cast<std::size_t>(members.data()[i]) < count, "members must be vertices");
  }
  for (std::size_t v = 0; v < count; ++v) require(weight.data()[v] > 0, "weight must be positive");
  const std::unique_ptr<SeparableLoss> chosen = loss_of(loss);
  const Constraints constraints{rows, offsets.data(), members.data()};
  const Poll poll = make_poll({});
  const MasterResult result = without_lock([&] {
    return solve_master(count, weight.data(), constraints, *chosen, q.data(), z.data(), balance, {gap, steps, seconds},
                        poll);
  });
  return Solved(nb::make_tuple(copied(result.q), copied(result.z), copied(result.q_next), copied(result.z_next),
                               result.lower, result.upper, result.balance, result.steps));
}

template <class T>
Doubles squares_of_pairs(const In2<T>& rows, const In1<std::int64_t>& offsets, const In1<std::int32_t>& targets,
                         int threads) {
  require(offsets.shape(0) == rows.shape(0) + 1, "offsets must have one entry more than rows");
  require(static_cast<std::size_t>(offsets.data()[rows.shape(0)]) == targets.shape(0),
          "offsets must end with len(targets)");
  auto squares = new_vector<double>(targets.shape(0));
  without_lock([&] { pair_squares(view(rows), offsets.data(), targets.data(), threads, squares.data()); });
  return squares;
}

template <class T>
void bind_squares(nb::module_& m) {
  m.def("pair_squares", squares_of_pairs<T>, nb::arg("rows").noconvert(), nb::arg("offsets").noconvert(),
        nb::arg("targets").noconvert(), nb::arg("threads"));
}

}  // namespace

void bind_many_class(nb::module_& m) {
  nb::class_<Hypergraph>(m, "Hypergraph")
      .def(nb::init<In1<std::int32_t>, std::size_t, In1<std::int64_t>, In1<std::int32_t>, std::optional<In1<double>>,
                    std::optional<In1<double>>, double, std::optional<Ask>>(),
           nb::arg("codes").noconvert(), nb::arg("classes"), nb::arg("offsets").noconvert(),
           nb::arg("targets").noconvert(), nb::arg("squares") = nb::none(), nb::arg("radii") = nb::none(),
           nb::arg("slack") = 0.0, nb::arg("ask") = nb::none())
      .def("separate", &Hypergraph::separate, nb::arg("q").noconvert(), nb::arg("alive").noconvert(), nb::arg("above"),
           nb::arg("max_degree"), nb::arg("per_root"), nb::arg("per_vertex"), nb::arg("enough"), nb::arg("budget"),
           nb::arg("seconds"), nb::arg("threads"), nb::arg("isa") = "avx512")
      .def("witness", &Hypergraph::witness, nb::arg("offsets").noconvert(), nb::arg("members").noconvert());
  m.def("master", master, nb::arg("weight").noconvert(), nb::arg("offsets").noconvert(), nb::arg("members").noconvert(),
        nb::arg("loss"), nb::arg("q").noconvert(), nb::arg("z").noconvert(), nb::arg("balance"), nb::arg("gap"),
        nb::arg("steps"), nb::arg("seconds"));
  bind_squares<std::uint8_t>(m);
  bind_squares<std::int16_t>(m);
  bind_squares<float>(m);
  bind_squares<double>(m);
}
