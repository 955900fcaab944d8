// How appends of many threads share transactions: who goes with whom, and what becomes of them when it fails.

#include "stele_soci/gathered_appends.h"

#include <gtest/gtest.h>

#include <future>
#include <map>
#include <string>

namespace stele::soci_backend {
namespace {

using driver::AppendAnswer;
using driver::PreparedAppend;
using std::chrono::hours;
using std::chrono::milliseconds;

/// Takes appends as a driver does, and stands still where a test wants it to. An append is told by its tenant.
class FakeServer {
 public:
  std::vector<std::optional<AppendAnswer>> together(GatheredAppends::Appends appends,
                                                    const GatheredAppends::Written& written) {
    std::string names;
    for (const PreparedAppend& append : appends) names += append.tenant;
    note("together:" + names);
    if (slow_commit) {
      written();
      written();  // Once or more is the same.
      note("commit");
      stand_still("commit");
    }
    if (no_memory) throw std::bad_alloc();
    if (failure) throw *failure;
    std::vector<std::optional<AppendAnswer>> answers;
    for (AppendAnswer& each : answer(appends)) {
      answers.push_back(each.result.detail == unanswered ? std::nullopt : std::optional(std::move(each)));
    }
    return answers;
  }

  GatheredAppends::Answers alone(GatheredAppends::Appends appends) {
    for (const PreparedAppend& append : appends) {
      note("alone:" + std::string(append.tenant));
      stand_still(std::string(append.tenant));
    }
    return answer(appends);
  }

  void hold(const std::string& name) {
    const std::lock_guard lock(mutex_);
    held_[name] = true;
  }
  void let_go(const std::string& name) {
    const std::lock_guard lock(mutex_);
    held_.erase(name);
    changed_.notify_all();
  }
  bool wait_for(const std::string& call) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(20),
                             [&] { return std::find(calls_.begin(), calls_.end(), call) != calls_.end(); });
  }
  std::vector<std::string> calls() {
    const std::lock_guard lock(mutex_);
    return calls_;
  }

  std::optional<Error> failure;
  bool no_memory = false;
  bool slow_commit = false;  ///< Held as "commit".
  std::string unanswered;

 private:
  void stand_still(const std::string& name) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return held_.count(name) == 0; });
  }
  void note(const std::string& call) {
    const std::lock_guard lock(mutex_);
    calls_.push_back(call);
    changed_.notify_all();
  }
  /// Each has its own name in the answer, so that one given to somebody else is seen.
  static GatheredAppends::Answers answer(GatheredAppends::Appends appends) {
    GatheredAppends::Answers answers(appends.size());
    for (std::size_t i = 0; i < appends.size(); ++i) answers[i].result.detail = appends[i].tenant;
    return answers;
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, bool> held_;
  std::vector<std::string> calls_;
};

class GatheredAppendsTest : public ::testing::Test {
 protected:
  void use(GatheringOptions options) {
    gathered_.emplace(
        options, [this](auto appends, const auto& written) { return server.together(appends, written); },
        [this](auto appends) { return server.alone(appends); });
  }

  struct Made {
    std::string name;
    std::string stream{};  ///< Its name unless given.
    std::size_t events = 1;
    std::string condition{};
    std::size_t conditions = 0;
  };

  /// In a thread of its own. Gives the answer's name.
  std::future<std::string> start_with(Made made) {
    return std::async(std::launch::async, [this, made = std::move(made)] {
      const StreamKey key("thing", made.stream.empty() ? made.name : made.stream);
      const NewEvent event;
      PreparedAppend append;
      append.tenant = made.name;
      append.streams.push_back({&key, ExpectedVersion::any(), {}});
      append.streams.front().events.resize(made.events);
      for (driver::PreparedEvent& each : append.streams.front().events) each.event = &event;
      std::vector<StreamCondition> conditions;
      if (!made.condition.empty()) {
        conditions.push_back({StreamKey("thing", made.condition), ExpectedVersion::any()});
      }
      for (std::size_t i = 0; i < made.conditions; ++i) {
        conditions.push_back({StreamKey(made.name, std::to_string(i)), ExpectedVersion::any()});
      }
      append.conditions = conditions;
      const GatheredAppends::Answers answers = gathered_->append({&append, 1});
      EXPECT_EQ(answers.size(), 1U);
      return answers.front().result.detail;
    });
  }
  std::future<std::string> start(std::string name) { return start_with({.name = std::move(name)}); }
  /// Starts each only when those before it wait.
  std::vector<std::future<std::string>> start_to_wait(const std::vector<Made>& all) {
    std::vector<std::future<std::string>> started;
    const std::size_t before = gathered_->load().waiting;
    for (const Made& made : all) {
      started.push_back(start_with(made));
      while (gathered_->load().waiting < before + started.size()) std::this_thread::yield();
    }
    return started;
  }

  FakeServer server;
  std::optional<GatheredAppends> gathered_;
};

using Calls = std::vector<std::string>;

Error failure_with(Outcome outcome) {
  Error::Details details;
  details.outcome = outcome;
  return Error(ErrorCode::io, "failed", details);
}

TEST_F(GatheredAppendsTest, WhoIsAloneGoesAtOnce) {
  use({.calls_at_once = 1, .longest_wait = hours(1), .longest_wait_for_own = hours(1), .stuck_after = hours(1)});
  EXPECT_EQ(start("a").get(), "a");
  EXPECT_EQ(start("b").get(), "b");
  EXPECT_EQ(server.calls(), (Calls{"alone:a", "alone:b"}));
}

TEST_F(GatheredAppendsTest, SeveralGoSideBySideWhileThereArePlaces) {
  use({.calls_at_once = 2, .longest_wait = hours(1), .longest_wait_for_own = hours(1), .stuck_after = hours(1)});
  server.hold("a");
  auto a = start("a");
  ASSERT_TRUE(server.wait_for("alone:a"));
  EXPECT_EQ(start("b").get(), "b");
  server.let_go("a");
  EXPECT_EQ(a.get(), "a");
}

TEST_F(GatheredAppendsTest, ThoseThatWaitGoTogether) {
  use({.calls_at_once = 1, .longest_wait = hours(1), .longest_wait_for_own = hours(1), .stuck_after = hours(1)});
  server.hold("a");
  auto a = start("a");
  ASSERT_TRUE(server.wait_for("alone:a"));
  auto others = start_to_wait({{"b"}, {"c"}, {"d"}});
  EXPECT_EQ(server.calls(), (Calls{"alone:a"}));
  server.let_go("a");
  EXPECT_EQ(a.get(), "a");
  EXPECT_EQ(others[0].get(), "b");
  EXPECT_EQ(others[1].get(), "c");
  EXPECT_EQ(others[2].get(), "d");
  EXPECT_EQ(server.calls(), (Calls{"alone:a", "together:bcd"}));
  EXPECT_EQ(start("e").get(), "e") << "the place is free again";
}

TEST_F(GatheredAppendsTest, ACommitHasNoPlaceWhenTheNextCompanyIsCompleteButKeepsItsStreams) {
  use({.calls_at_once = 1,
       .appends_in_a_call = 2,
       .longest_wait = hours(1),
       .longest_wait_for_own = hours(1),
       .stuck_after = hours(1)});
  server.slow_commit = true;
  server.hold("a");
  server.hold("commit");
  auto a = start("a");
  ASSERT_TRUE(server.wait_for("alone:a"));
  auto first = start_to_wait({{"b"}, {"c"}});
  auto next = start_to_wait({{.name = "d", .stream = "b"}, {"e"}, {"f"}});
  server.let_go("a");
  EXPECT_EQ(a.get(), "a");
  // Another call goes while the commit stands still, and one to a stream of its transaction waits.
  ASSERT_TRUE(server.wait_for("together:ef"));
  EXPECT_EQ(gathered_->load().waiting, 1U);
  server.let_go("commit");
  EXPECT_EQ(first[0].get(), "b");
  EXPECT_EQ(first[1].get(), "c");
  EXPECT_EQ(next[0].get(), "d") << "the stream is free again";
  EXPECT_EQ(next[1].get(), "e");
  EXPECT_EQ(next[2].get(), "f");
  EXPECT_EQ(gathered_->load().calls, 0U);
}

TEST_F(GatheredAppendsTest, FewerWaitForTheCommitAndGoTogether) {
  use({.calls_at_once = 1,
       .appends_in_a_call = 2,
       .longest_wait = hours(1),
       .longest_wait_for_own = hours(1),
       .stuck_after = hours(1)});
  server.slow_commit = true;
  server.hold("a");
  server.hold("commit");
  auto a = start("a");
  ASSERT_TRUE(server.wait_for("alone:a"));
  auto first = start_to_wait({{"b"}, {"c"}});
  auto next = start_to_wait({{"d"}});
  server.let_go("a");
  EXPECT_EQ(a.get(), "a");
  ASSERT_TRUE(server.wait_for("commit"));
  auto later = start_to_wait({{"e"}});
  EXPECT_EQ(server.calls(), (Calls{"alone:a", "together:bc", "commit"}));
  server.let_go("commit");
  EXPECT_EQ(first[0].get(), "b");
  EXPECT_EQ(first[1].get(), "c");
  EXPECT_EQ(next[0].get(), "d");
  EXPECT_EQ(later[0].get(), "e");
  EXPECT_EQ(server.calls().at(3), "together:de");
}

TEST_F(GatheredAppendsTest, WhatFailsTogetherIsDoneByEachAlone) {
  use({.calls_at_once = 1, .longest_wait = hours(1), .longest_wait_for_own = hours(1), .stuck_after = hours(1)});
  server.failure = failure_with(Outcome::not_applied);
  server.hold("a");
  server.hold("b");
  auto a = start("a");
  ASSERT_TRUE(server.wait_for("alone:a"));
  auto others = start_to_wait({{"b"}, {"c"}, {"d"}});
  server.let_go("a");
  EXPECT_EQ(others[1].get(), "c") << "also while the one that led still waits for its lock";
  EXPECT_EQ(others[2].get(), "d");
  EXPECT_EQ(start("e").get(), "e");
  server.let_go("b");
  EXPECT_EQ(others[0].get(), "b");
}

class WhatMayBeApplied : public GatheredAppendsTest, public ::testing::WithParamInterface<Outcome> {};
INSTANTIATE_TEST_SUITE_P(, WhatMayBeApplied, ::testing::Values(Outcome::unknown, Outcome::applied));

TEST_P(WhatMayBeApplied, IsToldToEach) {
  use({.calls_at_once = 1, .longest_wait = hours(1), .longest_wait_for_own = hours(1), .stuck_after = hours(1)});
  server.failure = failure_with(GetParam());
  server.hold("a");
  auto a = start("a");
  ASSERT_TRUE(server.wait_for("alone:a"));
  auto others = start_to_wait({{"b"}, {"c"}});
  server.let_go("a");
  for (auto& other : others) {
    try {
      other.get();
      ADD_FAILURE() << "an answer";
    } catch (const Error& error) {
      EXPECT_EQ(error.outcome(), GetParam());
    }
  }
  EXPECT_EQ(server.calls(), (Calls{"alone:a", "together:bc"})) << "done again, it might be there twice";
  EXPECT_EQ(start("d").get(), "d") << "the place is free again";
}

TEST_F(GatheredAppendsTest, ACallThatTakesLongHoldsUpNobody) {
  use({.calls_at_once = 1, .longest_wait = milliseconds(1), .longest_wait_for_own = hours(1), .stuck_after = hours(1)});
  server.hold("a");
  auto a = start("a");
  ASSERT_TRUE(server.wait_for("alone:a"));
  EXPECT_EQ(start("b").get(), "b");
  EXPECT_EQ(start("c").get(), "c");
  server.let_go("a");
  EXPECT_EQ(a.get(), "a");
}

TEST_F(GatheredAppendsTest, APlaceTakenOutOfTurnIsGivenUp) {
  use({.calls_at_once = 1, .longest_wait = milliseconds(1), .longest_wait_for_own = hours(1), .stuck_after = hours(1)});
  server.hold("a");
  server.hold("b");
  auto a = start("a");
  ASSERT_TRUE(server.wait_for("alone:a"));
  auto b = start("b");
  ASSERT_TRUE(server.wait_for("alone:b"));
  EXPECT_EQ(gathered_->load().calls, 2U);
  server.let_go("b");
  EXPECT_EQ(b.get(), "b");
  EXPECT_EQ(gathered_->load().calls, 1U);
  server.let_go("a");
  EXPECT_EQ(a.get(), "a");
  EXPECT_EQ(gathered_->load().calls, 0U);
}

TEST_F(GatheredAppendsTest, ATransactionDoesNotGrowWithoutEnd) {
  use({.calls_at_once = 1,
       .appends_in_a_call = 5,
       .longest_wait = hours(1),
       .longest_wait_for_own = hours(1),
       .stuck_after = hours(1)});
  server.hold("a");
  auto a = start("a");
  ASSERT_TRUE(server.wait_for("alone:a"));
  std::vector<Made> made = {{.name = "B", .events = max_events_together},
                            {.name = "L", .conditions = max_locks_together - 1}};
  for (std::size_t i = 0; i < 12; ++i) made.push_back({.name = "x", .stream = std::to_string(i)});
  auto started = start_to_wait(made);
  server.let_go("a");
  for (std::size_t i = 0; i < made.size(); ++i) EXPECT_EQ(started[i].get(), made[i].name);
  EXPECT_EQ(server.calls(),
            (Calls{"alone:a", "alone:B", "alone:L", "together:xxxxx", "together:xxxxx", "together:xx"}));
}

// --- What is in a call already

TEST_F(GatheredAppendsTest, AStreamThatIsInACallIsWaitedForHere) {
  use({.calls_at_once = 3, .longest_wait = hours(1), .longest_wait_for_own = hours(1), .stuck_after = hours(1)});
  server.hold("a");
  auto a = start_with({.name = "a", .stream = "hot"});
  ASSERT_TRUE(server.wait_for("alone:a"));
  auto hot = start_to_wait({{.name = "b", .stream = "hot"}, {.name = "c", .stream = "hot"}});
  EXPECT_EQ(start("d").get(), "d") << "has nothing to do with it";
  server.let_go("a");
  EXPECT_EQ(hot[0].get(), "b");
  EXPECT_EQ(hot[1].get(), "c");
  EXPECT_EQ(server.calls(), (Calls{"alone:a", "alone:d", "together:bc"}));
}

TEST_F(GatheredAppendsTest, NobodyIsTakenAlongWhoseStreamIsInAnotherCall) {
  use({.calls_at_once = 2, .longest_wait = hours(1), .longest_wait_for_own = hours(1), .stuck_after = hours(1)});
  server.hold("a");
  server.hold("b");
  auto a = start_with({.name = "a", .stream = "hot"});
  auto b = start("b");
  ASSERT_TRUE(server.wait_for("alone:a"));
  ASSERT_TRUE(server.wait_for("alone:b"));
  auto others = start_to_wait({{.name = "c"}, {.name = "d", .stream = "hot"}, {.name = "e"}});
  server.let_go("b");
  EXPECT_EQ(others[0].get(), "c");
  EXPECT_EQ(others[2].get(), "e");
  EXPECT_EQ(gathered_->load().waiting, 1U);
  server.let_go("a");
  EXPECT_EQ(others[1].get(), "d");
  EXPECT_TRUE(server.wait_for("together:ce"));
}

TEST_F(GatheredAppendsTest, ThoseThatOnlyCheckAStreamDoNotWaitForEachOther) {
  use({.calls_at_once = 3, .longest_wait = hours(1), .longest_wait_for_own = hours(1), .stuck_after = hours(1)});
  server.hold("a");
  auto a = start_with({.name = "a", .condition = "config"});
  ASSERT_TRUE(server.wait_for("alone:a"));
  EXPECT_EQ(start_with({.name = "b", .condition = "config"}).get(), "b");
  auto writer = start_to_wait({{.name = "w", .stream = "config"}});
  server.let_go("a");
  EXPECT_EQ(writer[0].get(), "w");
}

// Somebody else holds the stream: who waits for it in the database holds up only those of the same stream.
TEST_F(GatheredAppendsTest, WhoGoesAloneKeepsItsStreamOutOfOthersCompany) {
  use({.calls_at_once = 1, .longest_wait = hours(1), .longest_wait_for_own = hours(1), .stuck_after = hours(1)});
  server.failure = failure_with(Outcome::not_applied);
  server.hold("a");
  server.hold("h");
  auto a = start("a");
  ASSERT_TRUE(server.wait_for("alone:a"));
  auto first = start_to_wait({{.name = "h", .stream = "held"}, {.name = "b"}});
  server.let_go("a");
  EXPECT_EQ(first[1].get(), "b");
  ASSERT_TRUE(server.wait_for("alone:h"));
  server.failure.reset();
  auto held = start_to_wait({{.name = "i", .stream = "held"}});
  server.hold("c");
  auto c = start("c");
  ASSERT_TRUE(server.wait_for("alone:c"));
  auto second = start_to_wait({{.name = "d"}, {.name = "e"}});
  server.let_go("c");
  EXPECT_EQ(second[0].get(), "d");
  EXPECT_EQ(second[1].get(), "e");
  EXPECT_TRUE(server.wait_for("together:de"));
  server.let_go("h");
  EXPECT_EQ(first[0].get(), "h");
  EXPECT_EQ(held[0].get(), "i");
}

TEST_F(GatheredAppendsTest, NobodyWaitsHereForEver) {
  use({.calls_at_once = 1,
       .longest_wait = milliseconds(1),
       .longest_wait_for_own = milliseconds(5),
       .stuck_after = hours(1)});
  server.hold("a");
  auto a = start_with({.name = "a", .stream = "hot"});
  ASSERT_TRUE(server.wait_for("alone:a"));
  EXPECT_EQ(start_with({.name = "b", .stream = "hot"}).get(), "b") << "the database decides now";
  server.let_go("a");
  EXPECT_EQ(a.get(), "a");
  EXPECT_EQ(gathered_->load().calls, 0U);
}

TEST_F(GatheredAppendsTest, CallsThatAreStuckDoNotCount) {
  use({.calls_at_once = 1, .longest_wait = hours(1), .longest_wait_for_own = hours(1), .stuck_after = milliseconds(1)});
  server.hold("a");
  auto a = start("a");
  ASSERT_TRUE(server.wait_for("alone:a"));
  std::this_thread::sleep_for(milliseconds(5));
  server.hold("b");
  auto b = start("b");
  EXPECT_TRUE(server.wait_for("alone:b"));
  server.let_go("b");
  server.let_go("a");
  EXPECT_EQ(b.get(), "b");
}

// --- What becomes of an answer

TEST_F(GatheredAppendsTest, WhoHasNoAnswerGoesAlone) {
  use({.calls_at_once = 1, .longest_wait = hours(1), .longest_wait_for_own = hours(1), .stuck_after = hours(1)});
  server.unanswered = "c";
  server.hold("a");
  auto a = start("a");
  ASSERT_TRUE(server.wait_for("alone:a"));
  auto others = start_to_wait({{"b"}, {"c"}, {"d"}});
  server.hold("c");
  server.let_go("a");
  EXPECT_EQ(others[0].get(), "b") << "does not wait for c";
  EXPECT_EQ(others[2].get(), "d");
  server.let_go("c");
  EXPECT_EQ(others[1].get(), "c");
  EXPECT_EQ(server.calls(), (Calls{"alone:a", "together:bcd", "alone:c"}));
}

// When the memory ran out, nobody says: the transaction may have been sent.
TEST_F(GatheredAppendsTest, WhatIsBrokenOffMayHaveBeenApplied) {
  use({.calls_at_once = 1, .longest_wait = hours(1), .longest_wait_for_own = hours(1), .stuck_after = hours(1)});
  server.no_memory = true;
  server.hold("a");
  auto a = start("a");
  ASSERT_TRUE(server.wait_for("alone:a"));
  auto others = start_to_wait({{"b"}, {"c"}});
  server.let_go("a");
  for (auto& other : others) {
    try {
      other.get();
      ADD_FAILURE() << "an answer";
    } catch (const Error& error) {
      EXPECT_EQ(error.outcome(), Outcome::unknown);
    }
  }
  EXPECT_EQ(server.calls(), (Calls{"alone:a", "together:bc"})) << "done again, it might be there twice";
}

TEST_F(GatheredAppendsTest, SeveralOfOneCallGoTheirOwnWay) {
  use({.calls_at_once = 1, .longest_wait = hours(1), .longest_wait_for_own = hours(1), .stuck_after = hours(1)});
  server.hold("a");
  auto a = start("a");
  ASSERT_TRUE(server.wait_for("alone:a"));
  std::vector<PreparedAppend> two(2);
  two[0].tenant = "x";
  two[1].tenant = "y";
  EXPECT_EQ(gathered_->append(two).size(), 2U);
  EXPECT_TRUE(gathered_->append({}).empty());
  server.let_go("a");
}

}  // namespace
}  // namespace stele::soci_backend
