// The extension lossfloor._core. The files of this folder are the only ones that know both Python and the core: they
// check lengths, release the interpreter's lock around each call, and hand arrays over. All names here are private; the
// package has the public ones.
#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <string>
#include <vector>

#include "calls.hpp"
#include "lossfloor/simd/kernels.hpp"

using namespace lossfloor;

namespace {

std::vector<std::string> names_of(const std::vector<Isa>& isas) {
  std::vector<std::string> names;
  for (const Isa isa : isas) names.emplace_back(name_of(isa));
  return names;
}

// What LOSSFLOOR_ISA would choose on a processor that has these instruction sets, for tests.
std::string chosen_name(const std::string& wanted, const std::vector<std::string>& available) {
  std::vector<Isa> isas;
  for (const std::string& name : available) isas.push_back(isa_named(name));
  return name_of(chosen_isa(wanted, isas));
}

}  // namespace

NB_MODULE(_core, m) {
  m.doc() = "Hot kernels of lossfloor: private, see the package for what to call.";
  m.def("isa_in_use", [] { return std::string(name_of(isa_in_use())); });
  m.def("available_isas", [] { return names_of(available_isas()); });
  m.def("chosen_isa", chosen_name, nb::arg("wanted"), nb::arg("available"));
  m.def(
      "kernel_name", [](const std::string& isa) { return std::string(name_of(usable_isa(isa_named(isa)))); },
      nb::arg("isa") = "avx512");
  m.def(
      "multiplies_bytes", [](const std::string& isa) { return kernels(isa_named(isa)).dot_u8 != nullptr; },
      nb::arg("isa") = "avx512");
  bind_pairs(m);
  bind_graphs(m);
  bind_two_class(m);
  bind_many_class(m);
}
