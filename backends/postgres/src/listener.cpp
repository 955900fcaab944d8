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

bool Listener::wait(milliseconds timeout) noexcept {
  const auto deadline = steady_clock::now() + timeout;
  auto now = steady_clock::now();
  do {  // Once at least: a wait of no time takes what is there.
    try {
      if (session_ == nullptr && now < next_try_) {
        std::this_thread::sleep_until(std::min(deadline, next_try_));
      } else if (session_ == nullptr) {
        // What was sent while nobody listened is lost, so a new connection counts as a notification.
        if (connect()) return true;
      } else {
        if (take_notifications()) return true;
        const auto left = std::max<std::int64_t>(duration_cast<milliseconds>(deadline - now).count() + 1, 0);
        pollfd socket{PQsocket(session_->handle()), POLLIN, 0};
        ::poll(&socket, 1, static_cast<int>(std::min<std::int64_t>(left, 60'000)));
        if (socket.revents != 0 && PQconsumeInput(session_->handle()) == 0) session_.reset();
      }
    } catch (...) {  // The server is away: the next try comes in a while.
      session_.reset();
    }
    now = steady_clock::now();
  } while (now < deadline);
  return false;
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
