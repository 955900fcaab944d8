#include "stele/relay.h"

#include <ostream>
#include <utility>

#include "delivery.h"
#include "follower_thread.h"
#include "stele/event_json.h"

namespace stele {
namespace {

using detail::Follower;

constexpr std::size_t largest_batch = 10'000;

class Publishing final : public detail::Delivery {
 public:
  Publishing(EventStore& store, const RelayOptions& options, std::shared_ptr<Publisher> publisher)
      : Delivery(store, {driver::ProjectionKind::relay, options.start, options.filter, options.name, options.lease, 1}),
        publisher_(std::move(publisher)) {}

  bool consume(Follower& follower, const detail::LogPage& page) override {
    if (page.events.empty()) return scanned(page.scanned_to);
    for (std::int32_t attempts = 1;; ++attempts) {
      if (!follower.proceed()) return false;
      try {
        publisher_->publish(page.events);
        break;
      } catch (...) {
        const Error error = detail::current_error();
        if (error.code() == ErrorCode::invalid_argument && !detail::may_pass(error)) throw Error(error);
        if (follower.failed(error, attempts) != Follower::Verdict::again) return false;
      }
    }
    return done(follower, page.scanned_to, page.events.size());
  }

 private:
  const std::shared_ptr<Publisher> publisher_;
};

detail::FollowerOptions follower_options(const RelayOptions& options) {
  detail::FollowerOptions made;
  made.filter = options.filter;
  made.page_events = options.batch;
  made.poll_interval = options.poll_interval;
  made.on_error.first_pause = options.first_pause;
  made.on_error.longest_pause = options.longest_pause;
  made.on_error.then = ErrorPolicy::Then::retry;
  made.caught_up = options.caught_up;
  made.trouble = options.trouble;
  return made;
}

}  // namespace

Publisher::~Publisher() = default;

void LinePublisher::publish(std::span<const RecordedEvent> events) {
  out_->clear();
  if (torn_) *out_ << '\n';
  torn_ = true;
  for (const RecordedEvent& event : events) *out_ << to_json_line(event) << '\n';
  out_->flush();
  if (!*out_) throw Error(ErrorCode::io, "the stream that events are written to has failed");
  torn_ = false;
}

class Relay::Impl : public detail::FollowerThread<Publishing> {
  using FollowerThread::FollowerThread;
};

Relay::Relay(EventStore& store, std::shared_ptr<Publisher> publisher, RelayOptions options) {
  if (publisher == nullptr) throw Error(ErrorCode::invalid_argument, "publisher: there is none");
  if (options.batch < 1 || options.batch > largest_batch) {
    throw Error(ErrorCode::invalid_argument, "batch: must be between 1 and 10000");
  }
  detail::check_time("poll_interval", options.poll_interval);
  detail::FollowerOptions of_follower = follower_options(options);
  detail::check_error_policy(of_follower.on_error);
  impl_ = std::make_unique<Impl>(store, std::move(of_follower), store, options, std::move(publisher));
}

Relay::Relay(Relay&&) noexcept = default;
Relay& Relay::operator=(Relay&&) noexcept = default;
Relay::~Relay() = default;

void Relay::stop() {
  impl_->stop();
}
Subscription::State Relay::state() const {
  return impl_->follower.state();
}
Position Relay::position() const {
  return impl_->follower.position();
}
std::optional<Error> Relay::error() const {
  return impl_->follower.error();
}
bool Relay::wait_for(Position position, std::chrono::milliseconds timeout) const {
  return impl_->follower.wait_for(position, timeout);
}
void Relay::join() {
  impl_->follower.join();
}

}  // namespace stele
