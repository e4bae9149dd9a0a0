#include "lossfloor/many/cliques.hpp"

#include <algorithm>
#include <atomic>
#include <deque>

#include "clique_search.hpp"
#include "lossfloor/parallel.hpp"
#include "ordered_graph.hpp"

namespace lossfloor {
namespace {

// By descending sum those that have a vertex which is in fewer than `per_vertex` of them so far.
Cliques choose(const std::vector<std::vector<Hit>>& hits, std::size_t vertices, std::size_t per_vertex) {
  Cliques found;
  std::vector<const Hit*> order;
  for (const auto& of_root : hits) {
    for (const Hit& hit : of_root) order.push_back(&hit);
  }
  std::sort(order.begin(), order.end(), [](const Hit* a, const Hit* b) { return larger(*a, *b); });
  std::vector<std::uint32_t> used(vertices, 0);
  for (const Hit* hit : order) {
    const bool room =
        std::any_of(hit->members.begin(), hit->members.end(), [&](std::int32_t v) { return used[v] < per_vertex; });
    if (!room) continue;
    for (const std::int32_t v : hit->members) ++used[v];
    found.members.insert(found.members.end(), hit->members.begin(), hit->members.end());
    found.offsets.push_back(static_cast<std::int64_t>(found.members.size()));
  }
  return found;
}

}  // namespace

Separation separate(const ClassGraph& graph, const CommonPointRule& rule, const double* q, const std::uint8_t* alive,
                    const Search& search, const Poll& poll) {
  const OrderedGraph ordered(graph, rule, q, alive);
  std::vector<std::atomic<double>> most(graph.count);
  for (auto& cell : most) cell.store(search.above, std::memory_order_relaxed);
  const int threads = rule.kind == CommonPointRule::Kind::ask ? 1 : std::max(search.threads, 1);
  std::deque<CliqueSearch> searches;
  for (int i = 0; i < threads; ++i) searches.emplace_back(graph, rule, ordered, search, most);
  std::vector<std::vector<Hit>> hits(ordered.count);
  std::atomic<std::int64_t> unfinished{0};
  constexpr std::size_t kRoots = 4;
  in_parallel((ordered.count + kRoots - 1) / kRoots, threads, [&](std::size_t worker, std::size_t block) {
    if (worker == 0 && poll) poll(block * kRoots);
    const std::size_t end = std::min(ordered.count, (block + 1) * kRoots);
    for (std::size_t root = block * kRoots; root < end; ++root) {
      searches[worker].run(static_cast<std::int32_t>(root), hits[root]);
      unfinished += !searches[worker].finished;
    }
  });
  Separation result;
  result.unfinished = unfinished;
  for (const CliqueSearch& one : searches) result.steps += one.steps;
  result.most.resize(graph.count);
  for (std::size_t v = 0; v < graph.count; ++v) result.most[v] = most[v].load(std::memory_order_relaxed);

  result.found = choose(hits, graph.count, search.per_vertex);
  witness(graph, rule, result.found);
  return result;
}

}  // namespace lossfloor
