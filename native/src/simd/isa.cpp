#include "lossfloor/simd/isa.hpp"

#include <algorithm>
#include <cstdlib>
#include <stdexcept>

namespace lossfloor {
namespace {

constexpr const char* kVariable = "LOSSFLOOR_ISA";
constexpr Isa kAll[] = {Isa::portable, Isa::avx2, Isa::avx512};

bool processor_has(Isa isa) {
  switch (isa) {
    case Isa::portable:
      return true;
#if defined(LOSSFLOOR_HAVE_X86_ISAS)
    case Isa::avx2:
      return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("popcnt");
    case Isa::avx512:
      // What Ice Lake and Zen 4 brought together. Processors with AVX-512 but without these are served as well by AVX2.
      return processor_has(Isa::avx2) && __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2") &&
             __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
             __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
             __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512vpopcntdq");
#endif
    default:
      return false;
  }
}

std::string listed(const std::vector<Isa>& isas) {
  std::string names;
  for (const Isa isa : isas) names += (names.empty() ? "" : ", ") + std::string(name_of(isa));
  return names;
}

Isa from_environment() {
  const char* const wanted = std::getenv(kVariable);
  const std::vector<Isa> available = available_isas();
  return wanted == nullptr || *wanted == '\0' ? available.back() : chosen_isa(wanted, available);
}

}  // namespace

const char* name_of(Isa isa) {
  switch (isa) {
    case Isa::avx2:
      return "avx2";
    case Isa::avx512:
      return "avx512";
    default:
      return "portable";
  }
}

Isa isa_named(const std::string& name) {
  for (const Isa isa : kAll) {
    if (name == name_of(isa)) return isa;
  }
  throw std::invalid_argument("isa must be portable, avx2 or avx512, got '" + name + "'");
}

Isa chosen_isa(const std::string& wanted, const std::vector<Isa>& available) {
  for (const Isa isa : available) {
    if (wanted == name_of(isa)) return isa;
  }
  throw std::invalid_argument(std::string(kVariable) +
                              " must be portable, avx2 or avx512, and available on this processor (" +
                              listed(available) + "), got '" + wanted + "'");
}

std::vector<Isa> available_isas() {
  std::vector<Isa> available;
  for (const Isa isa : kAll) {
    if (processor_has(isa)) available.push_back(isa);
  }
  return available;
}

Isa isa_in_use() {
  static const Isa isa = from_environment();
  return isa;
}

Isa usable_isa(Isa most) { return std::min(isa_in_use(), most); }

}  // namespace lossfloor
