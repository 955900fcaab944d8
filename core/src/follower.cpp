#include "follower.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "append_signal.h"

namespace stele::detail {
namespace {

using std::chrono::milliseconds;

constexpr std::size_t page_bytes = std::size_t{1} << 20;
constexpr Position no_end(std::numeric_limits<std::int64_t>::max());

// Between tries to reach the database. A server that restarts is away for some seconds.
constexpr milliseconds first_pause{50};
constexpr milliseconds longest_pause{2'000};

/// Whether an event's encrypted part does not open, and will not by itself.
bool is_unreadable(const Error& error) {
  switch (error.code()) {
    case ErrorCode::key_unavailable:
    case ErrorCode::wrong_key:
    case ErrorCode::tampered: return !error.retryable();
    default: return false;
  }
}

/// Short enough to be added to any clock.
milliseconds bounded(milliseconds time) {
  return std::min<milliseconds>(time, std::chrono::hours(24 * 365));
}

milliseconds pause_before_retry(const ErrorPolicy& policy, std::int32_t attempts) {
  milliseconds pause = policy.first_pause;
  for (std::int32_t i = 1; i < attempts && pause < policy.longest_pause; ++i) pause *= 2;
  return std::min(pause, policy.longest_pause);
}

}  // namespace

LogConsumer::~LogConsumer() = default;

bool may_pass(const Error& error) noexcept {
  switch (error.code()) {
    case ErrorCode::busy:
    case ErrorCode::cannot_connect:
    case ErrorCode::disk_full:
    case ErrorCode::io: return true;
    default: return error.retryable();
  }
}

Error current_error() {
  try {
    throw;
  } catch (const Error& error) {
    return error;
  } catch (const std::exception& error) {
    return Error(ErrorCode::handler_failed, error.what());
  } catch (...) {
    return Error(ErrorCode::handler_failed, "something that is no std::exception was thrown");
  }
}

// --- Pages

LogPages::LogPages(EventStore& store, const LogFilter& filter, std::size_t page_events,
                   std::function<bool(const RecordedEvent&)> wanted)
    : store_(store),
      today_(store.upcasters(), filter.event_types),
      filter_(today_.stored_filter(filter)),
      limits_{page_events, page_bytes},
      wanted_(std::move(wanted)) {}

LogPage LogPages::read(Position after) {
  LogPage page;
  page.scanned_to = after;
  page_.clear();
  if (after.value() >= no_end.value() - 1) return page;
  try {
    store_.driver().read_log({Direction::forwards, after, no_end, std::nullopt, &filter_, limits_}, page_);
  } catch (const Error& error) {
    if (!is_unreadable(error)) throw;
    return with_unreadable(after, error);
  }
  page.scanned_to = std::max(after, page_.scanned_to);
  page.end = page_.end;
  if (page_.size() == 0) return page;

  const std::span<RecordedEvent> stored(&page_[0], page_.size());
  const auto wanted = [this](const RecordedEvent& event) { return !wanted_ || wanted_(event); };
  if (std::all_of(stored.begin(), stored.end(),
                  [&](const RecordedEvent& event) { return wanted(event) && today_.unchanged(event); })) {
    page.events = stored;
    return page;
  }
  events_.clear();
  Position done = after;
  for (RecordedEvent& event : stored) {
    const Position position = event.position;
    if (wanted(event)) {
      try {
        if (today_.unchanged(event)) {
          events_.push_back(std::move(event));
        } else {
          for (RecordedEvent& made : today_.apply(event)) events_.push_back(std::move(made));
        }
      } catch (const Error& error) {
        page.failure = {position, event.event_id, error};
        page.scanned_to = done;
        page.end = false;
        break;
      }
    }
    done = position;
  }
  page.events = events_;
  return page;
}

// What cannot be decrypted is one event's trouble, and comes first in its page.
LogPage LogPages::with_unreadable(Position after, const Error& error) {
  LogPage page;
  page.scanned_to = after;
  page.end = false;
  page_.clear();
  store_.driver().read_log({Direction::forwards, after, no_end, std::nullopt, &filter_, {1, page_bytes}, true}, page_);
  if (page_.size() == 0) throw Error(error);
  const RecordedEvent& event = page_[0];
  if (wanted_ && !wanted_(event)) {
    page.scanned_to = event.position;
  } else {
    page.failure = {event.position, event.event_id, error};
  }
  return page;
}

// --- The loop

// What a callback throws ends it, also where it looks like an error of the database.
template <class Argument>
void Follower::call_back(const std::function<void(Argument)>& callback, const std::decay_t<Argument>& argument) {
  if (!callback) return;
  try {
    callback(argument);
  } catch (...) {
    throw GivenUp{current_error()};
  }
}

Follower::Follower(EventStore& store, FollowerOptions options, LogConsumer& consumer)
    : options_(std::move(options)),
      store_(store),
      consumer_(consumer),
      pages_(store, options_.filter, options_.page_events, options_.wanted) {}

void Follower::run() noexcept {
  {
    const std::lock_guard lock(mutex_);
    thread_ = std::this_thread::get_id();
  }
  std::optional<Error> error;
  try {
    const AppendSignal::Waiter waiter(store_.append_signal(), [this] { wake(); });
    try {
      follow();
    } catch (const GivenUp& given_up) {
      error = given_up.error;
    } catch (...) {
      error = current_error();
    }
    consumer_.end(begun_ ? std::optional(position()) : std::nullopt);
  } catch (...) {
    error = current_error();
  }
  finish(error ? Subscription::State::failed : Subscription::State::stopped, std::move(error));
}

void Follower::follow() {
  while (true) {
    {
      std::unique_lock lock(mutex_);
      handling_ = false;
      changed_.notify_all();
      changed_.wait(lock, [this] { return !pausing_ || stopping_; });
      if (stopping_) return;
      handling_ = true;  // All that a consumer does may be a transaction.
    }
    try {
      if (begun_ && !consumer_.holds()) begun_ = false;
      if (!begun_) {
        const std::optional<Position> start = consumer_.begin();
        if (!start) {
          set_state(Subscription::State::waiting_for_lease);
          pause_ = {};
          sleep(consumer_.again_in());
          continue;
        }
        begun_ = true;
        live_ = false;
        caught_up_at_.reset();
        {
          const std::lock_guard lock(mutex_);
          position_ = *start;  // Also back: somebody else may have moved on from an earlier checkpoint.
          changed_.notify_all();
        }
        set_state(Subscription::State::catching_up);
      }
      if (options_.until && position() >= *options_.until) return;
      step();
      pause_ = {};
    } catch (const Error& error) {
      if (!may_pass(error)) throw;
      retry_later(error);
    }
  }
}

void Follower::step() {
  {
    const std::lock_guard lock(mutex_);
    woken_ = false;
  }
  const LogPage page = pages_.read(position());
  if (live_ && !page.end && !page.failure) {
    live_ = false;
    set_state(Subscription::State::catching_up);
    call_back(options_.fell_behind, position());
  }
  if (!page.events.empty() || page.scanned_to > position()) {
    if (!consumer_.consume(*this, page)) return;
    handled(page.scanned_to);
  }
  if (page.failure) {
    cannot_give(*page.failure);
  } else if (page.end) {
    caught_up();
  }
}

void Follower::cannot_give(const LogPage::Failure& failure) {
  if (failed_at_ != failure.position) attempts_ = 0;
  failed_at_ = failure.position;
  if (failed(failure.error, ++attempts_) != Verdict::dead_letter) return;
  consumer_.dead_letter(failure, attempts_);
  handled(failure.position);
}

void Follower::caught_up() {
  const Position here = position();
  if (options_.until && here >= *options_.until) return;
  live_ = true;
  set_state(Subscription::State::live);
  const milliseconds left = std::min(options_.poll_interval, consumer_.idle(here));
  if (caught_up_at_ != here) {
    caught_up_at_ = here;
    call_back(options_.caught_up, here);
  }
  std::unique_lock lock(mutex_);
  handling_ = false;
  changed_.notify_all();
  changed_.wait_for(lock, bounded(left), [this] { return woken_ || stopping_ || pausing_; });
}

void Follower::retry_later(const Error& error) {
  {
    const std::lock_guard lock(mutex_);
    handling_ = false;
    changed_.notify_all();
  }
  call_back(options_.trouble, error);
  pause_ = std::clamp(pause_ * 2, first_pause, longest_pause);
  sleep(pause_);
}

bool Follower::sleep(milliseconds time) {
  std::unique_lock lock(mutex_);
  handling_ = false;
  changed_.notify_all();
  changed_.wait_for(lock, bounded(time), [this] { return stopping_ || right_changed_; });
  right_changed_ = false;
  return !stopping_;
}

// --- For the consumer

bool Follower::proceed() {
  while (true) {
    {
      std::unique_lock lock(mutex_);
      handling_ = false;
      if (pausing_) changed_.notify_all();
      changed_.wait(lock, [this] { return !pausing_ || stopping_; });
      if (stopping_) return false;
    }
    if (!consumer_.holds()) return false;  // Without the mutex: it may ask the database.
    const std::lock_guard lock(mutex_);
    if (stopping_) return false;
    if (pausing_) continue;
    handling_ = true;
    return true;
  }
}

void Follower::handled(Position position) {
  const std::lock_guard lock(mutex_);
  position_ = std::max(position_, position);
  if (waiting_ > 0) changed_.notify_all();
}

Follower::Verdict Follower::failed(const Error& error, std::int32_t attempts) {
  const bool enough = attempts > options_.on_error.retries;
  if (enough && options_.on_error.then == ErrorPolicy::Then::stop) throw GivenUp{error};
  call_back(options_.trouble, error);
  if (enough && options_.on_error.then == ErrorPolicy::Then::dead_letter) return Verdict::dead_letter;
  return sleep(pause_before_retry(options_.on_error, attempts)) ? Verdict::again : Verdict::let_go;
}

// --- From any thread

void Follower::pause() {
  std::unique_lock lock(mutex_);
  pausing_ = true;
  changed_.notify_all();
  if (thread_ == std::this_thread::get_id()) return;
  changed_.wait(lock, [this] { return !handling_ || !pausing_ || ended_; });
}

void Follower::resume() {
  const std::lock_guard lock(mutex_);
  pausing_ = false;
  changed_.notify_all();
}

void Follower::request_stop() {
  const std::lock_guard lock(mutex_);
  stopping_ = true;
  changed_.notify_all();
}

void Follower::stop() {
  request_stop();
  std::unique_lock lock(mutex_);
  if (thread_ == std::this_thread::get_id()) return;
  changed_.wait(lock, [this] { return !thread_ || ended_; });
}

void Follower::wake() {
  const std::lock_guard lock(mutex_);
  woken_ = true;
  changed_.notify_all();
}

void Follower::right_changed() {
  const std::lock_guard lock(mutex_);
  woken_ = true;
  right_changed_ = true;
  changed_.notify_all();
}

Subscription::State Follower::state() const {
  const std::lock_guard lock(mutex_);
  return pausing_ && !ended_ ? Subscription::State::paused : state_;
}

Position Follower::position() const {
  const std::lock_guard lock(mutex_);
  return position_;
}

std::optional<Error> Follower::error() const {
  const std::lock_guard lock(mutex_);
  return error_;
}

bool Follower::is_own_thread() const {
  const std::lock_guard lock(mutex_);
  return thread_ == std::this_thread::get_id();
}

bool Follower::wait_for(Position position, milliseconds timeout) const {
  const auto there = [&] { return position_ >= position; };
  std::unique_lock lock(mutex_);
  if (thread_ == std::this_thread::get_id()) return there();
  ++waiting_;
  changed_.wait_for(lock, bounded(timeout), [&] { return there() || ended_; });
  --waiting_;
  return there();
}

void Follower::join() const {
  std::unique_lock lock(mutex_);
  if (thread_ == std::this_thread::get_id()) {
    throw Error(ErrorCode::invalid_argument, "join: a handler would wait for itself");
  }
  changed_.wait(lock, [this] { return ended_; });
  if (error_) throw *error_;
}

void Follower::set_state(Subscription::State state) {
  const std::lock_guard lock(mutex_);
  state_ = state;
  changed_.notify_all();
}

void Follower::finish(Subscription::State state, std::optional<Error> error) {
  const std::lock_guard lock(mutex_);
  state_ = state;
  error_ = std::move(error);
  handling_ = false;
  ended_ = true;
  thread_.reset();
  changed_.notify_all();
}

}  // namespace stele::detail
