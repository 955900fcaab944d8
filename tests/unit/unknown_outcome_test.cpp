// What core does when the answer to a commit is lost (G12): it looks by the ids, and does not guess.
#include <gtest/gtest.h>

#include <deque>

#include "error_of.h"
#include "memory_store.h"
#include "stele/testing/forwarding_driver.h"

namespace stele {
namespace {

using driver::AppendAnswer;
using driver::PreparedAppend;

Error lost_answer(std::string message = "the connection was lost during commit") {
  Error::Details details;
  details.backend = "memory";
  details.outcome = Outcome::unknown;
  return Error(ErrorCode::io, std::move(message), details);
}

Error error_with(ErrorCode code, bool retryable, Outcome outcome = Outcome::not_applied) {
  Error::Details details;
  details.retryable = retryable;
  details.outcome = outcome;
  return Error(code, "another error", details);
}

/// What happens to one call of append.
struct Fate {
  bool applies = true;
  std::optional<Error> error{};     // Thrown for all, or
  std::vector<std::size_t> lost{};  // given as the answer to these alone.
  std::optional<Error> answered{};  // Given as the answer to each.
};

/// Shared by a test and its driver.
struct Fates {
  std::deque<Fate> next;  // Then every call goes well.
  int calls = 0;
  bool ids_given = true;             // Whether all ids of the last call counted as given.
  std::deque<Error> look_up_errors;  // Of the next calls of find_event and find_command.
};

class UnreliableDriver final : public testing::ForwardingDriver {
 public:
  UnreliableDriver(std::unique_ptr<driver::Driver> inner, Fates& fates)
      : ForwardingDriver(std::move(inner)), fates_(fates) {}

  std::vector<AppendAnswer> append(std::span<const PreparedAppend> appends) override {
    ++fates_.calls;
    fates_.ids_given = true;
    for (const PreparedAppend& append : appends) {
      if (append.command && !append.command->command_id_given) fates_.ids_given = false;
      for (const driver::PreparedStream& stream : append.streams) {
        for (const driver::PreparedEvent& event : stream.events) fates_.ids_given &= event.event_id_given;
      }
    }
    Fate fate;
    if (!fates_.next.empty()) {
      fate = std::move(fates_.next.front());
      fates_.next.pop_front();
    }
    std::vector<AppendAnswer> answers(appends.size());
    if (fate.applies) answers = inner().append(appends);
    if (fate.error) throw *fate.error;
    for (const std::size_t i : fate.lost) answers[i] = {{}, lost_answer()};
    if (fate.answered) std::fill(answers.begin(), answers.end(), AppendAnswer{{}, fate.answered});
    return answers;
  }

  std::optional<RecordedEvent> find_event(const Uuid& event_id) override {
    fail_look_up();
    return ForwardingDriver::find_event(event_id);
  }
  std::optional<CommandRecord> find_command(const CommandKey& key) override {
    fail_look_up();
    return ForwardingDriver::find_command(key);
  }
  using ForwardingDriver::find_command;

 private:
  void fail_look_up() {
    if (fates_.look_up_errors.empty()) return;
    const Error error = fates_.look_up_errors.front();
    fates_.look_up_errors.pop_front();
    throw Error(error);
  }

  Fates& fates_;
};

class UnknownOutcome : public ::testing::Test {
 protected:
  void then(Fate fate) { fates.next.push_back(std::move(fate)); }
  void applied_but_lost() { then({.applies = true, .error = lost_answer()}); }
  void lost_before() { then({.applies = false, .error = lost_answer()}); }

  AppendRequest request(std::string id = "7", std::string request_id = {}) {
    AppendRequest made;
    made.streams.push_back({StreamKey("order", std::move(id)),
                            ExpectedVersion::any(),
                            {testing::event_of("Placed"), testing::event_of("Paid")}});
    if (!request_id.empty()) {
      made.command = Command{.key = {"default", "shop", std::move(request_id)},
                             .type = "Place",
                             .command_id = {},
                             .stream = {},
                             .actor = {},
                             .channel = {},
                             .data = {}};
    }
    return made;
  }

  Fates fates;
  EventStore store{std::make_unique<UnreliableDriver>(testing::memory_driver(), fates)};
};

TEST_F(UnknownOutcome, WhatWasAppliedIsFoundAndAnsweredAsAppended) {
  for (const bool command : {false, true}) {
    fates.calls = 0;
    applied_but_lost();
    const AppendResult result = store.append(request(command ? "8" : "7", command ? "r" : ""));
    EXPECT_EQ(result.status, AppendStatus::appended);
    EXPECT_EQ(result.streams.at(0).first_version, Version(1));
    EXPECT_EQ(result.streams.at(0).last_version, Version(2));
    EXPECT_EQ(fates.calls, 2);
    EXPECT_TRUE(fates.ids_given);  // So that the driver looks for them.
  }
  EXPECT_EQ(store.stats().events, 4);
}

TEST_F(UnknownOutcome, WhatWasNotAppliedIsAppliedNow) {
  for (const bool command : {false, true}) {
    fates.calls = 0;
    lost_before();
    const AppendResult result = store.append(request(command ? "8" : "7", command ? "r" : ""));
    EXPECT_EQ(result.status, AppendStatus::appended);
    EXPECT_EQ(result.streams.at(0).last_version, Version(2));
    EXPECT_EQ(fates.calls, 2);
  }
  EXPECT_EQ(store.stats().events, 4);
}

TEST_F(UnknownOutcome, AGoodAnswerIsNotLookedUp) {
  EXPECT_EQ(store.append(request()).status, AppendStatus::appended);
  EXPECT_EQ(fates.calls, 1);
  EXPECT_FALSE(fates.ids_given);
}

// A server that starts again, a pool that is empty: drivers answer with such errors for each append.
TEST_F(UnknownOutcome, AnErrorThatPassesIsNoAnswer) {
  for (const bool all : {false, true}) {
    fates.calls = 0;
    applied_but_lost();
    then({.applies = false, .answered = error_with(ErrorCode::cannot_connect, true)});
    then({.applies = false, .answered = error_with(ErrorCode::busy, true)});
    const std::vector<AppendRequest> requests = {request(all ? "8" : "7"), request(all ? "9" : "6")};
    if (all) {
      for (const AppendResult& result : store.append_all(requests)) EXPECT_EQ(result.status, AppendStatus::appended);
    } else {
      EXPECT_EQ(store.append(requests[0]).status, AppendStatus::appended);
    }
    EXPECT_EQ(fates.calls, 4);
  }
  EXPECT_EQ(store.stats().events, 6);
}

TEST_F(UnknownOutcome, AnErrorThatStaysLeavesItUnknown) {
  for (const Error& error :
       {error_with(ErrorCode::disk_full, false), error_with(ErrorCode::permission_denied, false)}) {
    applied_but_lost();
    then({.applies = false, .answered = error});
    try {
      store.append(request());
      ADD_FAILURE() << "an answer";
    } catch (const Error& thrown) {
      EXPECT_EQ(thrown.outcome(), Outcome::unknown) << "it is there";
      EXPECT_EQ(thrown.code(), ErrorCode::io);
    }
  }
  EXPECT_EQ(store.stats().events, 4);
}

TEST_F(UnknownOutcome, ItTriesSeveralTimes) {
  applied_but_lost();
  lost_before();
  lost_before();
  EXPECT_EQ(store.append(request()).status, AppendStatus::appended);
  EXPECT_EQ(fates.calls, 4);
  EXPECT_EQ(store.stats().events, 2);
}

TEST_F(UnknownOutcome, ThenItSaysThatItDoesNotKnow) {
  applied_but_lost();
  for (int i = 0; i < 8; ++i) then({.applies = false, .error = lost_answer("lost again")});
  const Error error = testing::error_of([&] { static_cast<void>(store.append(request("7", "r"))); });
  EXPECT_EQ(error.outcome(), Outcome::unknown);
  EXPECT_EQ(error.message(), "the connection was lost during commit");  // The first one's.
  EXPECT_EQ(fates.calls, 9);
  // The caller's own repetition finds it.
  EXPECT_EQ(store.append(request("7", "r")).status, AppendStatus::replayed);
  EXPECT_EQ(store.stats().events, 2);
}

TEST_F(UnknownOutcome, ABusyDatabaseIsTriedAgain) {
  applied_but_lost();
  then({.applies = false, .error = error_with(ErrorCode::busy, true)});
  then({.applies = false, .error = error_with(ErrorCode::cannot_connect, false)});
  EXPECT_EQ(store.append(request()).status, AppendStatus::appended);
  EXPECT_EQ(fates.calls, 4);
  EXPECT_EQ(store.stats().events, 2);
}

TEST_F(UnknownOutcome, AnErrorOfTheLookUpDoesNotHideThatTheOutcomeIsUnknown) {
  applied_but_lost();
  then({.applies = false, .error = error_with(ErrorCode::disk_full, false)});
  const Error error = testing::error_of([&] { static_cast<void>(store.append(request())); });
  EXPECT_EQ(error.outcome(), Outcome::unknown);
  EXPECT_EQ(error.code(), ErrorCode::io);
  EXPECT_EQ(fates.calls, 2);
}

TEST_F(UnknownOutcome, AKnownFailureIsNotTriedAgain) {
  then({.applies = false, .error = error_with(ErrorCode::busy, true)});
  EXPECT_ERROR(store.append(request()), ErrorCode::busy, "another error");
  then({.applies = true, .error = error_with(ErrorCode::io, false, Outcome::applied)});
  EXPECT_ERROR(store.append(request()), ErrorCode::io, "another error");
  EXPECT_EQ(fates.calls, 2);
}

TEST_F(UnknownOutcome, AReplayStaysOneWhenTheIdsAreTheCallers) {
  AppendRequest with_ids = request();
  for (NewEvent& event : with_ids.streams[0].events) event.event_id = Uuid::v7();
  ASSERT_EQ(store.append(with_ids).status, AppendStatus::appended);
  lost_before();
  EXPECT_EQ(store.append(with_ids).status, AppendStatus::replayed);
  EXPECT_EQ(store.stats().events, 2);
}

TEST_F(UnknownOutcome, AReplayOfACommandStaysOne) {
  ASSERT_EQ(store.append(request("7", "r")).status, AppendStatus::appended);
  for (const bool applies : {false, true}) {
    then({.applies = applies, .error = lost_answer()});
    EXPECT_EQ(store.append(request("7", "r")).status, AppendStatus::replayed);
  }
  EXPECT_EQ(store.stats().events, 2);
}

TEST_F(UnknownOutcome, AReplayByIdempotencyKeysStaysOne) {
  AppendRequest with_keys = request();
  with_keys.streams[0].events[0].idempotency_key = "a";
  with_keys.streams[0].events[1].idempotency_key = "b";
  const AppendResult first = store.append(with_keys);
  ASSERT_EQ(first.status, AppendStatus::appended);
  for (const bool applies : {false, true}) {
    then({.applies = applies, .error = lost_answer()});
    const AppendResult again = store.append(with_keys);
    EXPECT_EQ(again.status, AppendStatus::replayed) << to_string(again.status) << " " << again.detail;
    EXPECT_EQ(again.streams, first.streams);
  }
  EXPECT_EQ(store.stats().events, 2);
}

TEST_F(UnknownOutcome, AConflictStaysOne) {
  ASSERT_TRUE(store.append(request()).ok());
  AppendRequest stale = request();
  stale.streams[0].expected = ExpectedVersion::no_stream();
  lost_before();
  const AppendResult result = store.append(stale);
  EXPECT_EQ(result.status, AppendStatus::conflict);
  ASSERT_TRUE(result.conflict);
  EXPECT_EQ(result.conflict->actual, Version(2));
}

TEST_F(UnknownOutcome, AnExpectationThatHeldIsNotAConflictWithItself) {
  AppendRequest first = request();
  first.streams[0].expected = ExpectedVersion::no_stream();
  applied_but_lost();
  EXPECT_EQ(store.append(first).status, AppendStatus::appended);
}

TEST_F(UnknownOutcome, AnEventIdThatIsTakenStaysADuplicate) {
  AppendRequest first = request();
  first.streams[0].events[0].event_id = Uuid::v7();
  ASSERT_TRUE(store.append(first).ok());
  AppendRequest other = request("8");
  other.streams[0].events[0].event_id = first.streams[0].events[0].event_id;
  lost_before();
  EXPECT_EQ(store.append(other).status, AppendStatus::duplicate_event_id);
}

TEST_F(UnknownOutcome, OfOneAppendOfManyIsResolvedAlone) {
  const std::vector<AppendRequest> requests{request("1"), request("2", "r"), request("3")};
  then({.applies = true, .error = {}, .lost = {1}});
  const std::vector<AppendResult> results = store.append_all(requests);
  ASSERT_EQ(results.size(), 3U);
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(results[i].status, AppendStatus::appended) << i;
    EXPECT_EQ(results[i].streams.at(0).stream.id, std::to_string(i + 1));
  }
  EXPECT_EQ(fates.calls, 2);
  EXPECT_EQ(store.stats().events, 6);
}

TEST_F(UnknownOutcome, OfManyIsResolvedForEach) {
  AppendRequest replayed = request("0", "old");
  ASSERT_TRUE(store.append(replayed).ok());
  AppendRequest stale = request("0");
  stale.streams[0].expected = ExpectedVersion::no_stream();
  const std::vector<AppendRequest> requests{request("1"), replayed, stale, request("2", "new")};
  for (const bool applies : {true, false}) {
    std::vector<AppendRequest> round = requests;
    round[0].streams[0].stream.id += applies ? "a" : "b";
    round[3].streams[0].stream.id += applies ? "a" : "b";
    round[3].command->key.request_id += applies ? "a" : "b";
    then({.applies = applies, .error = lost_answer()});
    const std::vector<AppendResult> results = store.append_all(round);
    ASSERT_EQ(results.size(), 4U);
    EXPECT_EQ(results[0].status, AppendStatus::appended);
    EXPECT_EQ(results[1].status, AppendStatus::replayed);
    EXPECT_EQ(results[2].status, AppendStatus::conflict);
    EXPECT_EQ(results[3].status, AppendStatus::appended);
  }
  EXPECT_EQ(store.stats().events, 10);
}

TEST_F(UnknownOutcome, WhatBreaksTheQuestionWhoWroteItHasItAskedAgain) {
  for (const bool command : {false, true}) {
    applied_but_lost();
    fates.look_up_errors.assign(2, error_with(ErrorCode::cannot_connect, true));
    EXPECT_EQ(store.append(request(command ? "8" : "7", command ? "r" : "")).status, AppendStatus::appended);
    EXPECT_TRUE(fates.look_up_errors.empty());
  }
  EXPECT_EQ(store.stats().events, 4);
}

TEST_F(UnknownOutcome, WhatWasAppliedIsNeverCalledNotApplied) {
  // The second try found the events; only the question who wrote them could not be answered.
  for (const bool command : {false, true}) {
    applied_but_lost();
    fates.look_up_errors.assign(1, error_with(ErrorCode::corrupt, false));
    EXPECT_EQ(store.append(request(command ? "8" : "7", command ? "r" : "")).status, AppendStatus::replayed);
  }
  EXPECT_EQ(store.stats().events, 4);
}

TEST_F(UnknownOutcome, OfACommandWithoutEventsIsResolvedToo) {
  Command command{.key = {"default", "shop", "r"},
                  .type = "Ignore",
                  .command_id = {},
                  .stream = {},
                  .actor = {},
                  .channel = {},
                  .data = {}};
  applied_but_lost();
  EXPECT_EQ(store.record_command(command).status, AppendStatus::appended);
  EXPECT_EQ(store.record_command(command).status, AppendStatus::replayed);
  EXPECT_EQ(store.stats().commands, 1);
}

}  // namespace
}  // namespace stele
