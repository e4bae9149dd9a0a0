// Random weighted graphs through the solver of two classes: bits with every instruction set, and lists.
//
//   solver_trials [--count N] [--first SEED]   N graphs of the seeds from SEED on
//   solver_trials --one SEED                   the graph of one seed
//   solver_trials --case FILE                  a graph from a file, as read_case takes it
#include <unistd.h>

#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <fstream>
#include <iostream>
#include <sstream>
#include <string>
#include <string_view>

#include "cases.hpp"
#include "checks.hpp"

// What the sanitizers ask for: to end as a failed assertion does, so that the seed is told.
extern "C" const char* __asan_default_options();
extern "C" const char* __ubsan_default_options();
const char* __asan_default_options() { return "abort_on_error=1"; }
const char* __ubsan_default_options() { return "abort_on_error=1:print_stacktrace=1"; }

namespace {

using lossfloor::Isa;
using lossfloor::Partition;
using trials::Case;

// Graphs that broke something once, as small as they get.
constexpr const char* kKnown[] = {
    // Empty flow between two blocks of a split was counted, behind the end of an array.
    "5 5  3 1 2 2 11  4 1 1 1 2  0 1 0 2 0 3 1 2 2 3 2 4 3 0 3 4 4 1",
    "7 8  40 3 4 1 1 4 4  3 1 3 101 1 2 1 3  0 4 0 6 1 0 1 5 2 2 2 4 2 7 3 0 4 0 4 1 4 3 5 5 5 6 6 1",
    // Lists [1, 2] and [3] had one hash, so that the second [3] was no twin of the first.
    "3 4  1 1 1  1 1 1 1  0 1 0 2 1 3 2 3",
    // Rows of no words were compared at a null pointer.
    "2 0  1 1",
};

struct Counts {
  std::size_t graphs = 0;
  std::size_t conflicts = 0;
  std::size_t blocks = 0;
  std::size_t wide = 0;  // with flow in 128 bits
  std::size_t slow = 0;  // compared with the slow way
};

// What runs now.
char now[64] = "no graph";

void tell_what_ran() { std::fprintf(stderr, "solver_trials: this was %s\n", now); }

void tell_at_abort(int) { tell_what_ran(); }

// For a graph that is never solved.
constexpr unsigned kMostSeconds = 100;
void end_at_alarm(int) { std::abort(); }

bool is_wide(const Case& one) {
  lossfloor::Wide a = 0;
  lossfloor::Wide b = 0;
  for (const std::int64_t weight : one.left_weight) a += weight;
  for (const std::int64_t weight : one.right_weight) b += weight;
  return a * b >= lossfloor::Wide{1} << 62;
}

Partition solve_bits(const Case& one, const trials::Stored& stored, Isa isa) {
  const auto poll = [&](std::size_t settled) {
    trials::require(settled <= one.left + one.right, "more vertices settled than there are");
  };
  return solve(stored.as_bits(), one.left_weight.data(), one.right_weight.data(), poll, isa);
}

void run(const Case& one, bool slow, Counts& counts) {
  alarm(kMostSeconds);
  const trials::Stored stored(one);
  const Partition first = solve_bits(one, stored, Isa::portable);
  trials::check_proof(one, first);
  for (const Isa isa : lossfloor::available_isas()) {
    if (isa == Isa::portable) continue;
    const Partition other = solve_bits(one, stored, isa);
    trials::check_same_blocks(first, other);
    trials::check_same_flow(first, other);
  }
  const Partition lists = solve(stored.as_lists(), one.left_weight.data(), one.right_weight.data(), {});
  trials::check_same_blocks(first, lists);
  trials::check_proof(one, lists);
  if (slow) trials::check_slow_blocks(one, first);
  ++counts.graphs;
  counts.conflicts += stored.targets.size();
  counts.blocks += first.a.size();
  counts.wide += is_wide(one);
  counts.slow += slow;
}

void run_seed(std::uint64_t seed, Counts& counts) {
  std::snprintf(now, sizeof now, "--one %llu", static_cast<unsigned long long>(seed));
  trials::Random random(seed);
  const Case one = trials::random_case(random);
  // The slow way takes about the third power of the size: the larger the graph, the smaller the share.
  const bool slow = random.chance(1 / (2 + static_cast<double>(one.left * one.right) / 50));
  run(one, slow, counts);
  if (random.chance(0.1)) trials::check_graph(one, trials::Stored(one));
  if (random.chance(0.02)) trials::check_bits(random);
}

void run_known(Counts& counts) {
  for (std::size_t i = 0; i < std::size(kKnown); ++i) {
    std::snprintf(now, sizeof now, "known graph %zu", i);
    std::istringstream text(kKnown[i]);
    const Case one = trials::read_case(text);
    run(one, true, counts);
    trials::check_graph(one, trials::Stored(one));
  }
}

void run_file(const std::string& path, Counts& counts) {
  std::snprintf(now, sizeof now, "the graph of a file");
  std::ifstream file(path);
  const Case one = trials::read_case(file);
  run(one, false, counts);
  trials::check_graph(one, trials::Stored(one));
}

void report(const Counts& counts) {
  std::printf("%zu graphs, %zu conflicts, %zu blocks; %zu with flow in 128 bits, %zu compared with the slow way;",
              counts.graphs, counts.conflicts, counts.blocks, counts.wide, counts.slow);
  for (const Isa isa : lossfloor::available_isas()) std::printf(" %s", lossfloor::name_of(isa));
  std::printf(" and lists\n");
  std::fflush(stdout);
}

void run_many(std::uint64_t first, std::uint64_t count) {
  Counts known;
  run_known(known);
  Counts counts;
  for (std::uint64_t i = 0; i < count; ++i) {
    run_seed(first + i, counts);
    if ((i + 1) % 100'000 == 0 && i + 1 < count) report(counts);
  }
  report(counts);
}

int usage() {
  std::fprintf(stderr, "solver_trials [--count N] [--first SEED] | --one SEED | --case FILE\n");
  return 2;
}

int run_as_told(int argc, char** argv) {
  std::uint64_t first = 0;
  std::uint64_t count = 1000;
  Counts counts;
  for (int i = 1; i < argc; i += 2) {
    const std::string_view option = argv[i];
    if (i + 1 == argc) return usage();
    const char* value = argv[i + 1];
    if (option == "--count") {
      count = std::strtoull(value, nullptr, 10);
    } else if (option == "--first") {
      first = std::strtoull(value, nullptr, 10);
    } else if (option == "--one") {
      run_seed(std::strtoull(value, nullptr, 10), counts);
    } else if (option == "--case") {
      run_file(value, counts);
    } else {
      return usage();
    }
  }
  if (counts.graphs > 0) {
    report(counts);
  } else {
    run_many(first, count);
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  std::signal(SIGABRT, tell_at_abort);
  std::signal(SIGALRM, end_at_alarm);
  try {
    return run_as_told(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "solver_trials: %s\n", error.what());
    tell_what_ran();
    return 1;
  }
}
