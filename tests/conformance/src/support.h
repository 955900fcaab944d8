// What the cases share: making events, reading everything, comparing, running threads.
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "cases.h"
#include "stele/stele.h"

namespace stele::testing {

// --- Making

EventStore open_store(Harness& harness);

/// A harness like the one the running case was given, with a fresh storage of its own.
std::unique_ptr<Harness> another_harness();
/// Where another_harness() gets it. For run_conformance().
void make_harnesses_with(std::function<std::unique_ptr<Harness>()> make);

/// A stream of the default tenant, of type "thing".
StreamKey thing(std::string id);

Json json(std::string text);
Uuid uuid(std::uint8_t number);  ///< A fixed version 4 UUID for each number.

NewEvent event(std::string type = "happened", std::string data = "{}");
/// Events of type "happened" whose data is {"n": first}, {"n": first + 1} …
std::vector<NewEvent> events(int count, int first = 1);
/// The same with the event ids uuid(first), uuid(first + 1) …
std::vector<NewEvent> events_with_ids(const std::vector<int>& numbers);
/// The canonical text of {"n": number}.
std::string numbered(std::int64_t number);
/// Every field set, differently for each number.
NewEvent full_event(int number);

Command command(std::string request_id, std::string source = "shop", std::string type = "do-it");
AppendRequest request(StreamKey stream, ExpectedVersion expected, std::vector<NewEvent> events);
AppendRequest request(Command command, StreamKey stream, ExpectedVersion expected, std::vector<NewEvent> events);

// --- Reading

/// Everything the reader gives. A reader that does not end is a failure, not a hang.
std::vector<RecordedEvent> read_all(EventReader reader);
std::vector<RecordedEvent> stream_events(EventStore& store, const StreamKey& stream,
                                         const StreamReadOptions& options = {});
std::vector<RecordedEvent> log_events(EventStore& store, const LogReadOptions& options = {});
std::vector<std::int64_t> versions(const std::vector<RecordedEvent>& events);
std::vector<std::int64_t> positions(const std::vector<RecordedEvent>& events);
/// first, first + 1 … last; empty if last < first.
std::vector<std::int64_t> numbers(std::int64_t first, std::int64_t last);

/// Every field in one text, JSON in canonical form: equal texts mean equal events.
std::string describe(const RecordedEvent& event);
std::vector<std::string> describe(const std::vector<RecordedEvent>& events);
std::string describe(const AppendResult& result);
std::string describe(const CommandRecord& record);
std::string describe(const StreamInfo& info);
/// The whole store: events, streams and commands. Two calls are equal exactly when nothing was written between them.
std::string contents(EventStore& store);

// --- Comparing

/// One expectation for each field that the caller gave.
void expect_stored(const NewEvent& given, const RecordedEvent& stored);

/// The stream has the events numbered by `data` {"n": …}, in this order, with versions 1, 2, 3 …
void expect_numbers(EventStore& store, const StreamKey& stream, const std::vector<int>& wanted);

/// appended, with these versions in the only stream, and positions that fit.
void expect_appended(const AppendResult& result, std::int64_t first, std::int64_t last);
/// replayed, with the outcome of the original.
void expect_replay_of(const AppendResult& original, const AppendResult& result);
void expect_status(AppendStatus wanted, const AppendResult& result);
void expect_conflict(const AppendResult& result, const StreamKey& stream, ExpectedVersion expected,
                     std::int64_t actual);

/// `call` throws an Error with this code and a message that contains `mentions`.
void expect_error(ErrorCode code, std::string_view mentions, const std::function<void()>& call);

/// The store has the same contents after `call` as before it.
void expect_nothing_written(EventStore& store, const std::function<void()>& call);

// --- Running

/// Calls body(0) … body(count - 1) in as many threads that start together, and waits. An exception is a failure.
void in_threads(int count, const std::function<void(int)>& body);

/// Counts one down at the end of its scope, by an exception too: who waits for zero must not wait for ever.
class Leaving {
 public:
  explicit Leaving(std::atomic<int>& left) noexcept : left_(left) {}
  Leaving(const Leaving&) = delete;
  Leaving& operator=(const Leaving&) = delete;
  ~Leaving() { --left_; }

 private:
  std::atomic<int>& left_;
};

/// Whether STELE_CONFORMANCE_QUICK asks for fewer rounds.
bool quick();
/// `rounds`, or a tenth of it (at least `least`) when in a hurry.
int rounds(int rounds, int least = 1);

/// STELE_SEED, or a new one each time.
std::uint64_t seed();

/// How long a case waits for what has to come: a minute, or STELE_CONFORMANCE_PATIENCE. It fails afterwards: no case
/// depends on how fast the machine is.
std::chrono::milliseconds patience();

/// Whether it does, while there is patience.
template <class Condition>
bool comes_true(Condition condition) {
  const auto deadline = std::chrono::steady_clock::now() + patience();
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return true;
}

/// What a handler or a hook throws.
struct Refusal : std::runtime_error {
  using std::runtime_error::runtime_error;
};

}  // namespace stele::testing
