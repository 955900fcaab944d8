// Catch-up subscriptions: every event of the log, from any point on, and the new ones as they come (G13).
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "stele/error.h"
#include "stele/event_store.h"

namespace stele {

/// Where a subscription begins.
class Start {
 public:
  static Start beginning() noexcept { return Start(Position(0)); }
  /// Behind this position: the last one that was handled.
  static Start after(Position position) noexcept { return Start(position); }
  /// With whatever is appended from now on: every append that begins after the subscription was made, none twice. While
  /// others append, some that have just ended may be given, too.
  static Start now() noexcept { return Start(std::nullopt); }

  const std::optional<Position>& position() const noexcept { return position_; }

 private:
  explicit Start(std::optional<Position> position) noexcept : position_(position) {}
  std::optional<Position> position_;
};

/// What to do about an event whose handler throws. First it is handed over again, `retries` times, waiting in between.
struct ErrorPolicy {
  enum class Then : std::uint8_t {
    stop,         ///< The subscription ends with this error.
    dead_letter,  ///< The event goes to the dead letters, and on it goes. Only with a name.
    retry,        ///< Again and again. Nothing behind the event is handled meanwhile.
  };
  std::int32_t retries = 3;
  std::chrono::milliseconds first_pause{100};       ///< Doubles with each retry …
  std::chrono::milliseconds longest_pause{30'000};  ///< … up to this.
  Then then = Then::stop;
};

struct SubscriptionOptions {
  Start start = Start::beginning();
  LogFilter filter{};

  /// With a name, the subscription remembers how far it came: `start` counts the first time only, and one process at a
  /// time runs it while the others wait to take over. Its tenant is the filter's. 1 to 128 bytes. No projection or
  /// relay may have it. After a crash, what was handled since the last checkpoint comes again.
  std::optional<std::string> name{};
  /// With a name: how long after its death another may take over. 10 ms to 1 h.
  std::chrono::milliseconds lease{10'000};
  /// With a name: the checkpoint is saved after so many events, now and then among events that are not wanted and when
  /// it has caught up (a quarter of a second after the last time at the earliest), and when it stops.
  std::size_t checkpoint_every = 100;

  /// How long after an append an event is found if nothing tells of it. Wake-ups of the backend make it sooner.
  std::chrono::milliseconds poll_interval{500};
  ErrorPolicy on_error{};

  /// Called from the subscription's thread; may be empty.
  std::function<void(Position)> caught_up{};    ///< Everything up to here was handled; each time it comes to that.
  std::function<void(Position)> fell_behind{};  ///< It had caught up, and now more than a page is waiting.
  std::function<void(const Error&)> trouble{};  ///< The database cannot be reached, or a handler failed; it goes on.
};

/// Runs in a thread of its own until it is stopped or destroyed. An event is read only when those before it were
/// handled, a page ahead at most: a slow handler costs no memory. An error of the database is retried with growing
/// pauses for as long as it may pass: the server may restart. What a handler throws is treated as `on_error` says, and
/// so is an event that cannot be upcast; what a callback throws ends it. Thread-safe, except against its own
/// destructor, which no handler may call. The store must outlive it, stay open and stay where it is.
class STELE_API Subscription {
 public:
  /// Throws invalid_argument, and what a first look at the log may throw.
  Subscription(EventStore& store, SubscriptionOptions options, std::function<void(const RecordedEvent&)> handler);
  Subscription(Subscription&&) noexcept;
  Subscription& operator=(Subscription&&) noexcept;
  ~Subscription();  ///< stop().

  /// Returns when no handler runs; none begins until resume().
  void pause();
  void resume();
  /// Returns when the handler that runs has returned and the checkpoint is saved. From inside a handler: as soon as
  /// that returns. Idempotent.
  void stop();

  enum class State : std::uint8_t { waiting_for_lease, catching_up, live, paused, stopped, failed };
  State state() const;
  /// Everything up to here was handled.
  Position position() const;
  /// Why it failed.
  std::optional<Error> error() const;
  /// Waits until everything up to `position` was handled, or it ended, or the time is over; returns whether it was
  /// handled. From inside a handler: without waiting.
  bool wait_for(Position position, std::chrono::milliseconds timeout) const;
  /// Waits until it has stopped or failed; throws the error in the latter case. From inside a handler, which would wait
  /// for itself, throws invalid_argument.
  void join();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace stele
