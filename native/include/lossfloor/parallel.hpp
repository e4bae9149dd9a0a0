// Work on independent blocks by a few threads.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

namespace lossfloor {

// Runs work(worker, block) for block = 0 .. count - 1 on up to `threads` threads; rethrows the first error.
template <class Work>
void in_parallel(std::size_t count, int threads, const Work& work) {
  const std::size_t wanted = static_cast<std::size_t>(std::max(threads, 1));
  const std::size_t workers = std::min(wanted, std::max<std::size_t>(count, 1));
  std::atomic<std::size_t> next{0};
  std::exception_ptr error;
  std::mutex error_lock;
  const auto loop = [&](std::size_t worker) {
    try {
      for (std::size_t block = next++; block < count; block = next++) work(worker, block);
    } catch (...) {
      const std::lock_guard<std::mutex> hold(error_lock);
      if (!error) error = std::current_exception();
      next = count;
    }
  };
  std::vector<std::thread> pool;
  for (std::size_t worker = 1; worker < workers; ++worker) pool.emplace_back(loop, worker);
  loop(0);
  for (auto& thread : pool) thread.join();
  if (error) std::rethrow_exception(error);
}

}  // namespace lossfloor
