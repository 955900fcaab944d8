#include "listener.h"

#include <libpq-fe.h>
#include <poll.h>

#include <algorithm>
#include <thread>

#include "notifier.h"

namespace stele::postgres {
namespace {

using std::chrono::duration_cast;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr std::chrono::seconds between_tries{1};

}  // namespace

void Listener::wait(milliseconds timeout) noexcept {
  const auto deadline = steady_clock::now() + timeout;
  try {
    // What was sent while nobody listened is lost, so a new connection counts as a notification.
    if (session_ == nullptr && steady_clock::now() >= next_try_ && connect()) return;
    while (session_ != nullptr) {
      if (take_notifications()) return;
      const auto left = duration_cast<milliseconds>(deadline - steady_clock::now());
      if (left <= milliseconds::zero()) return;
      pollfd socket{PQsocket(session_->handle()), POLLIN, 0};
      if (::poll(&socket, 1, static_cast<int>(std::min<std::int64_t>(left.count() + 1, 60'000))) < 0) return;
      if (socket.revents != 0 && PQconsumeInput(session_->handle()) == 0) session_.reset();
    }
  } catch (...) {
    session_.reset();
  }
  std::this_thread::sleep_until(deadline);
}

bool Listener::connect() {
  next_try_ = steady_clock::now() + between_tries;
  auto session = std::make_unique<Session>(settings_);
  const std::string channel = channel_of(*session);
  if (channel.empty()) return false;
  session->run("LISTEN " + channel, "listen");
  session_ = std::move(session);
  return true;
}

bool Listener::take_notifications() {
  bool any = false;
  while (PGnotify* notification = PQnotifies(session_->handle())) {
    PQfreemem(notification);
    any = true;
  }
  return any;
}

}  // namespace stele::postgres
