#include "listener.h"

#include <algorithm>
#include <thread>

#include "log_query.h"

namespace stele::mssql {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

// After something was appended, more often comes soon. Ten looks a second take less than a hundredth of a core.
constexpr milliseconds shortest_pause{5};
constexpr milliseconds longest_pause{100};
constexpr milliseconds after_trouble{1000};

}  // namespace

bool Listener::wait(milliseconds timeout) noexcept {
  const auto deadline = steady_clock::now() + timeout;
  do {  // Once at least: a wait of no time takes what is there.
    std::this_thread::sleep_until(std::min(deadline, next_look_));
    if (steady_clock::now() < next_look_) return false;
    try {
      const bool grown = look();
      pause_ = grown ? shortest_pause : std::min(2 * pause_, longest_pause);
      next_look_ = steady_clock::now() + pause_;
      if (grown) return true;
    } catch (...) {  // The server is away: the next try comes in a while.
      session_.reset();
      next_look_ = steady_clock::now() + after_trouble;
    }
  } while (steady_clock::now() < deadline);
  return false;
}

/// Not how far the log goes: an event that is committed behind a later one moves nothing but what is settled.
bool Listener::look() {
  if (session_ == nullptr) session_ = std::make_unique<Session>(settings_);
  const std::int64_t settled = settled_position(*session_).value();
  if (settled == known_) return false;
  known_ = settled;  // The first look counts as news, too: nobody looked until now.
  return true;
}

}  // namespace stele::mssql
