// A relay hands the log to something outside, in order and at least once: an outbox whose table is the log itself.
#pragma once

#include <functional>
#include <iosfwd>
#include <memory>
#include <span>
#include <string>

#include "stele/subscription.h"

namespace stele {

/// Where events go. Used by one thread at a time.
class STELE_API Publisher {
 public:
  virtual ~Publisher();
  /// Returns when all of them are safe where they went, in this order. Throws otherwise: then all of them come again,
  /// later; after invalid_argument, which says that trying again would not help, they do not. An event may come twice,
  /// after a crash between publishing and remembering it: receivers tell by event_id.
  virtual void publish(std::span<const RecordedEvent> events) = 0;
};

/// Writes each event as a line of JSON, in the form of an export (event_json.h), and flushes. A line that was cut off
/// when the stream failed is ended before everything comes again.
class STELE_API LinePublisher final : public Publisher {
 public:
  /// The stream must outlive it, and be nobody else's meanwhile.
  explicit LinePublisher(std::ostream& out) noexcept : out_(&out) {}
  void publish(std::span<const RecordedEvent> events) override;

 private:
  std::ostream* out_;
  bool torn_ = false;
};

struct RelayOptions {
  std::string name;  ///< Its checkpoint's. 1 to 128 bytes.
  Start start = Start::beginning();
  LogFilter filter{};
  std::size_t batch = 256;  ///< Events in one call of publish(): 1 … 10,000; more where upcasters make many of one.
  std::chrono::milliseconds lease{10'000};
  std::chrono::milliseconds poll_interval{500};
  std::chrono::milliseconds first_pause{100};       ///< After publishing failed. Doubles with each try …
  std::chrono::milliseconds longest_pause{30'000};  ///< … up to this.
  std::function<void(Position)> caught_up{};
  /// Publishing failed or the database cannot be reached; it tries again.
  std::function<void(const Error&)> trouble{};
};

/// Runs in a thread of its own until it is stopped or destroyed; one process at a time for each name. The checkpoint
/// moves when publish() has returned. Publishing that fails is tried again for as long as it takes; with an
/// invalid_argument that is not retryable the relay fails. Threads, errors of the database and life are as a
/// Subscription's.
class STELE_API Relay {
 public:
  /// Throws invalid_argument, and what a first look at the log may throw.
  Relay(EventStore& store, std::shared_ptr<Publisher> publisher, RelayOptions options);
  Relay(Relay&&) noexcept;
  Relay& operator=(Relay&&) noexcept;
  ~Relay();

  void stop();
  Subscription::State state() const;
  Position position() const;
  std::optional<Error> error() const;
  bool wait_for(Position position, std::chrono::milliseconds timeout) const;
  void join();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace stele
