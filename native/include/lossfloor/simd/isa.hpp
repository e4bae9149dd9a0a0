// Which instructions the kernels use: what the processor has, at most what the environment allows.
#pragma once

#include <string>
#include <vector>

namespace lossfloor {

// Instruction sets, each including those before it.
enum class Isa { portable, avx2, avx512 };

constexpr Isa kWidest = Isa::avx512;

const char* name_of(Isa isa);

// The instruction set of this name; std::invalid_argument if there is none.
Isa isa_named(const std::string& name);

// The instruction sets that this build and this processor have, narrowest first.
std::vector<Isa> available_isas();

// The one of the available instruction sets that LOSSFLOOR_ISA names; std::invalid_argument if it names none of them.
Isa chosen_isa(const std::string& wanted, const std::vector<Isa>& available);

// LOSSFLOOR_ISA, or the widest available where it is not set. It is read once; as long as its value cannot be used,
// every call throws std::invalid_argument.
Isa isa_in_use();

// isa_in_use(), or `most` where that is narrower, as tests ask for.
Isa usable_isa(Isa most);

}  // namespace lossfloor
