// Following the log: the one loop behind subscriptions, relays and projections.
//
//     class Counting final : public LogConsumer { … };
//     Counting consumer;
//     Follower follower(store, options, consumer);
//     std::thread thread([&] { follower.run(); });
//     …
//     follower.stop();
//
// The follower reads pages, turns them into today's events, waits for appends, retries errors of the database, and
// keeps position, state and who waits for them. What is done with the events, where they begin, and what is remembered
// is the consumer's. Everything a consumer does runs in the thread that called run().
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <span>
#include <thread>
#include <type_traits>
#include <vector>

#include "stele/driver/driver.h"
#include "stele/event_store.h"
#include "stele/subscription.h"
#include "today.h"

namespace stele::detail {

class Follower;

/// A page of the log as it is today: upcast, and without what is not wanted.
struct LogPage {
  /// Several have one position where an upcaster made several of one. All of a stored event are in one page.
  std::span<const RecordedEvent> events;
  /// Everything up to here is in this page or in an earlier one; it moves past events that are dropped.
  Position scanned_to;
  /// Nothing more is there right now.
  bool end = true;

  /// The event behind `scanned_to` could not be decrypted or upcast.
  struct Failure {
    Position position;
    Uuid event_id;
    Error error;
  };
  std::optional<Failure> failure{};
};

/// Reads pages of the log, always forwards. Used by one thread.
class LogPages {
 public:
  /// `wanted` is asked for each stored event and may be empty; for what the database cannot filter by, as the parts of
  /// a group.
  LogPages(EventStore& store, const LogFilter& filter, std::size_t page_events,
           std::function<bool(const RecordedEvent&)> wanted);

  /// The page behind this position, valid until the next call. Throws what the driver throws.
  LogPage read(Position after);

 private:
  LogPage with_unreadable(Position after, const Error& error);

  EventStore& store_;
  const Today today_;
  const LogFilter filter_;
  const driver::PageLimits limits_;
  const std::function<bool(const RecordedEvent&)> wanted_;
  driver::EventPage page_;
  std::vector<RecordedEvent> events_;  // Where they cannot be given as they are in the page.
};

/// What is done with the log. Each function but end() may throw an Error of the database: if it may pass, the follower
/// pauses and carries on from position(), reading the page again.
class LogConsumer {
 public:
  virtual ~LogConsumer();

  /// Gets the right to run. Returns the position to begin behind, or nothing when another has it: then it is asked
  /// again, after again_in().
  virtual std::optional<Position> begin() = 0;
  virtual std::chrono::milliseconds again_in() const { return std::chrono::milliseconds(1'000); }
  /// Whether it still has the right. Otherwise begin() is next. Called often: before each page, and by proceed().
  virtual bool holds() { return true; }

  /// Does what is to be done with the page's events; the page may have none, and only move the position. Calls
  /// follower.proceed() before each handler (or transaction), and follower.handled() behind what is done for good.
  /// Returns true when the whole page is done: the position is then scanned_to. Returns false to let go of the page:
  /// proceed() said so, or the right was lost. Handlers' errors do not come out of here: see Follower::failed().
  virtual bool consume(Follower& follower, const LogPage& page) = 0;
  /// The stored event cannot be decrypted or upcast, and the policy sends it to the dead letters. Position is behind it
  /// then.
  virtual void dead_letter(const LogPage::Failure& failure, std::int32_t attempts) = 0;

  /// All of the log is done. Saves what is to be saved; returns how long it may be left alone at most.
  virtual std::chrono::milliseconds idle(Position position) = 0;
  /// It is over: gives the right back, if it has it or has got it halfway. With a position, saves that first, once;
  /// without one, begin() has not returned one, or what it gave was lost.
  virtual void end(std::optional<Position> position) noexcept = 0;
};

struct FollowerOptions {
  LogFilter filter{};
  std::function<bool(const RecordedEvent&)> wanted{};  ///< See LogPages.
  std::size_t page_events = 512;
  std::chrono::milliseconds poll_interval{500};
  ErrorPolicy on_error{};
  /// run() returns when everything up to here is done. Empty: it goes on until it is stopped.
  std::optional<Position> until{};
  std::function<void(Position)> caught_up{};
  std::function<void(Position)> fell_behind{};
  std::function<void(const Error&)> trouble{};
};

/// Thread-safe, except against its own destructor. The store and the consumer must outlive it.
class Follower {
 public:
  Follower(EventStore& store, FollowerOptions options, LogConsumer& consumer);
  Follower(const Follower&) = delete;
  Follower& operator=(const Follower&) = delete;

  /// Follows until stop(), `until`, or an error that does not pass; state() and error() then say which. Once.
  void run() noexcept;

  // --- For whoever runs it, from any thread. See Subscription for what they promise.

  void pause();
  void resume();
  void stop();           ///< Also from inside a handler: then it does not wait.
  void request_stop();   ///< Does not wait. stop() does, afterwards.
  void wake();           ///< Look again: something may have been appended.
  void right_changed();  ///< What holds() says may have changed: ends a pause between two tries, too.
  Subscription::State state() const;
  Position position() const;
  std::optional<Error> error() const;
  bool wait_for(Position position, std::chrono::milliseconds timeout) const;
  void join() const;
  /// Whether this is the thread that called run(): whoever asks is a handler or a callback.
  bool is_own_thread() const;

  // --- For the consumer, from inside begin(), consume() and idle().

  /// Waits while it is paused. False: let go of the page, because it is stopped or the right is lost.
  bool proceed();
  /// Everything up to here is done.
  void handled(Position position);

  enum class Verdict : std::uint8_t { again, dead_letter, let_go };
  /// A handler threw, for the `attempts`th time at this event: what the policy wants. Has waited before it says
  /// `again`; ends run() with the error if the policy is to stop.
  Verdict failed(const Error& error, std::int32_t attempts);

 private:
  struct GivenUp {
    Error error;
  };

  void follow();
  void step();
  void cannot_give(const LogPage::Failure& failure);
  void caught_up();
  template <class Argument>
  static void call_back(const std::function<void(Argument)>& callback, const std::decay_t<Argument>& argument);
  void retry_later(const Error& error);
  bool sleep(std::chrono::milliseconds time);  // False: it was stopped meanwhile.
  void set_state(Subscription::State state);
  void finish(Subscription::State state, std::optional<Error> error);

  const FollowerOptions options_;
  EventStore& store_;
  LogConsumer& consumer_;
  LogPages pages_;

  // Of the thread that runs it.
  bool begun_ = false;
  bool live_ = false;
  std::optional<Position> caught_up_at_;
  std::optional<Position> failed_at_;
  std::int32_t attempts_ = 0;
  std::chrono::milliseconds pause_{};  // Before the next try to reach the database.

  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  Subscription::State state_ = Subscription::State::catching_up;
  Position position_;
  std::optional<Error> error_;
  std::optional<std::thread::id> thread_;
  mutable int waiting_ = 0;  // In wait_for().
  bool handling_ = false;
  bool pausing_ = false;
  bool stopping_ = false;
  bool woken_ = false;
  bool right_changed_ = false;
  bool ended_ = false;
};

/// Whether it may go well later: the server restarts, the disk has room again.
bool may_pass(const Error& error) noexcept;

/// The exception that is being handled, as an Error: what a handler or publisher threw.
Error current_error();

}  // namespace stele::detail
