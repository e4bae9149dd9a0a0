// How long work reports progress and is cancelled.
#pragma once

#include <cstddef>
#include <functional>

namespace lossfloor {

// Called every so often on the thread that started the work, with how much is done; throws to cancel. May be empty.
using Poll = std::function<void(std::size_t done)>;

}  // namespace lossfloor
