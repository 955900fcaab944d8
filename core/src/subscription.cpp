#include "stele/subscription.h"

#include <utility>

#include "delivery.h"
#include "follower_thread.h"

namespace stele {
namespace {

using detail::check_error_policy;
using detail::check_time;
using detail::Follower;

class Handling final : public detail::Delivery {
 public:
  Handling(EventStore& store, const SubscriptionOptions& options, std::function<void(const RecordedEvent&)> handler)
      : Delivery(store, {driver::ProjectionKind::subscription, options.start, options.filter, options.name,
                         options.lease, options.checkpoint_every}),
        handler_(std::move(handler)) {}

  bool consume(Follower& follower, const detail::LogPage& page) override {
    std::size_t handled = 0;
    for (std::size_t i = 0; i < page.events.size(); ++i) {
      const RecordedEvent& event = page.events[i];
      if (!hand_over(follower, event)) return false;
      ++handled;
      const bool more_of_it = i + 1 < page.events.size() && page.events[i + 1].position == event.position;
      if (more_of_it) continue;
      if (!done(follower, event.position, std::exchange(handled, 0))) return false;
    }
    return scanned(page.scanned_to);
  }

 private:
  bool hand_over(Follower& follower, const RecordedEvent& event) {
    for (std::int32_t attempts = 1;; ++attempts) {
      if (!follower.proceed()) return false;
      try {
        handler_(event);
        return true;
      } catch (...) {
        const Error error = detail::current_error();
        switch (follower.failed(error, attempts)) {
          case Follower::Verdict::again: break;
          case Follower::Verdict::let_go: return false;
          case Follower::Verdict::dead_letter:
            add_dead_letter(event.position, event.event_id, attempts, error);
            return true;
        }
      }
    }
  }

  const std::function<void(const RecordedEvent&)> handler_;
};

SubscriptionOptions checked(SubscriptionOptions options) {
  const auto refuse = [](const char* why) { throw Error(ErrorCode::invalid_argument, why); };
  check_time("poll_interval", options.poll_interval);
  check_error_policy(options.on_error);
  if (options.on_error.then == ErrorPolicy::Then::dead_letter && !options.name) {
    refuse("on_error: only a subscription with a name has dead letters");
  }
  return options;
}

detail::FollowerOptions follower_options(const SubscriptionOptions& options) {
  detail::FollowerOptions made;
  made.filter = options.filter;
  made.poll_interval = options.poll_interval;
  made.on_error = options.on_error;
  made.caught_up = options.caught_up;
  made.fell_behind = options.fell_behind;
  made.trouble = options.trouble;
  return made;
}

}  // namespace

class Subscription::Impl : public detail::FollowerThread<Handling> {
  using FollowerThread::FollowerThread;
};

Subscription::Subscription(EventStore& store, SubscriptionOptions options,
                           std::function<void(const RecordedEvent&)> handler) {
  if (!handler) throw Error(ErrorCode::invalid_argument, "handler: there is none");
  options = checked(std::move(options));
  impl_ = std::make_unique<Impl>(store, follower_options(options), store, options, std::move(handler));
}

Subscription::Subscription(Subscription&&) noexcept = default;
Subscription& Subscription::operator=(Subscription&&) noexcept = default;
Subscription::~Subscription() = default;

void Subscription::pause() {
  impl_->follower.pause();
}
void Subscription::resume() {
  impl_->follower.resume();
}
void Subscription::stop() {
  impl_->stop();
}
Subscription::State Subscription::state() const {
  return impl_->follower.state();
}
Position Subscription::position() const {
  return impl_->follower.position();
}
std::optional<Error> Subscription::error() const {
  return impl_->follower.error();
}
bool Subscription::wait_for(Position position, std::chrono::milliseconds timeout) const {
  return impl_->follower.wait_for(position, timeout);
}
void Subscription::join() {
  impl_->follower.join();
}

}  // namespace stele
