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
  GatheredAppends::Answers together(GatheredAppends::Appends appends) {
    std::string names;
    for (const PreparedAppend& append : appends) names += append.tenant;
    note("together:" + names);
    if (failure) throw *failure;
    return answer(appends);
  }

  GatheredAppends::Answers alone(GatheredAppends::Appends appends) {
    for (const PreparedAppend& append : appends) {
      note("alone:" + std::string(append.tenant));
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [&] { return held_.count(std::string(append.tenant)) == 0; });
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

 private:
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
        options, [this](auto appends) { return server.together(appends); },
        [this](auto appends) { return server.alone(appends); });
  }

  /// In a thread of its own. Gives the answer's name.
  std::future<std::string> start(std::string name, std::size_t events = 1) {
    return std::async(std::launch::async, [this, name = std::move(name), events] {
      PreparedAppend append;
      append.tenant = name;
      append.streams.push_back({nullptr, ExpectedVersion::any(), std::vector<driver::PreparedEvent>(events)});
      const GatheredAppends::Answers answers = gathered_->append({&append, 1});
      EXPECT_EQ(answers.size(), 1U);
      return answers.front().result.detail;
    });
  }
  /// Starts each only when those before it wait.
  std::vector<std::future<std::string>> start_to_wait(const std::vector<std::string>& names) {
    std::vector<std::future<std::string>> started;
    for (const std::string& name : names) {
      started.push_back(start(name));
      while (gathered_->load().waiting < started.size()) std::this_thread::yield();
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
  use({.calls_at_once = 1, .longest_wait = hours(1)});
  EXPECT_EQ(start("a").get(), "a");
  EXPECT_EQ(start("b").get(), "b");
  EXPECT_EQ(server.calls(), (Calls{"alone:a", "alone:b"}));
}

TEST_F(GatheredAppendsTest, SeveralGoSideBySideWhileThereArePlaces) {
  use({.calls_at_once = 2, .longest_wait = hours(1)});
  server.hold("a");
  auto a = start("a");
  ASSERT_TRUE(server.wait_for("alone:a"));
  EXPECT_EQ(start("b").get(), "b");
  server.let_go("a");
  EXPECT_EQ(a.get(), "a");
}

TEST_F(GatheredAppendsTest, ThoseThatWaitGoTogether) {
  use({.calls_at_once = 1, .longest_wait = hours(1)});
  server.hold("a");
  auto a = start("a");
  ASSERT_TRUE(server.wait_for("alone:a"));
  auto others = start_to_wait({"b", "c", "d"});
  EXPECT_EQ(server.calls(), (Calls{"alone:a"}));
  server.let_go("a");
  EXPECT_EQ(a.get(), "a");
  EXPECT_EQ(others[0].get(), "b");
  EXPECT_EQ(others[1].get(), "c");
  EXPECT_EQ(others[2].get(), "d");
  EXPECT_EQ(server.calls(), (Calls{"alone:a", "together:bcd"}));
  EXPECT_EQ(start("e").get(), "e") << "the place is free again";
}

TEST_F(GatheredAppendsTest, WhatFailsTogetherIsDoneByEachAlone) {
  use({.calls_at_once = 1, .longest_wait = hours(1)});
  server.failure = failure_with(Outcome::not_applied);
  server.hold("a");
  server.hold("b");
  auto a = start("a");
  ASSERT_TRUE(server.wait_for("alone:a"));
  auto others = start_to_wait({"b", "c", "d"});
  server.let_go("a");
  EXPECT_EQ(others[1].get(), "c") << "also while the one that led still waits for its lock";
  EXPECT_EQ(others[2].get(), "d");
  EXPECT_EQ(start("e").get(), "e");
  server.let_go("b");
  EXPECT_EQ(others[0].get(), "b");
}

TEST_F(GatheredAppendsTest, WhatNobodyKnowsIsToldToEach) {
  use({.calls_at_once = 1, .longest_wait = hours(1)});
  server.failure = failure_with(Outcome::unknown);
  server.hold("a");
  auto a = start("a");
  ASSERT_TRUE(server.wait_for("alone:a"));
  auto others = start_to_wait({"b", "c"});
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
  EXPECT_EQ(start("d").get(), "d") << "the place is free again";
}

TEST_F(GatheredAppendsTest, ACallThatTakesLongHoldsUpNobody) {
  use({.calls_at_once = 1, .longest_wait = milliseconds(1)});
  server.hold("a");
  auto a = start("a");
  ASSERT_TRUE(server.wait_for("alone:a"));
  EXPECT_EQ(start("b").get(), "b");
  EXPECT_EQ(start("c").get(), "c");
  server.let_go("a");
  EXPECT_EQ(a.get(), "a");
}

TEST_F(GatheredAppendsTest, APlaceTakenOutOfTurnIsGivenUp) {
  use({.calls_at_once = 1, .longest_wait = milliseconds(1)});
  server.hold("a");
  server.hold("b");
  auto a = start("a");
  ASSERT_TRUE(server.wait_for("alone:a"));
  auto b = start("b");
  ASSERT_TRUE(server.wait_for("alone:b"));
  EXPECT_EQ(gathered_->load().under_way, 2U);
  server.let_go("b");
  EXPECT_EQ(b.get(), "b");
  EXPECT_EQ(gathered_->load().under_way, 1U);
  server.let_go("a");
  EXPECT_EQ(a.get(), "a");
  EXPECT_EQ(gathered_->load().under_way, 0U);
}

TEST_F(GatheredAppendsTest, ATransactionDoesNotGrowWithoutEnd) {
  use({.calls_at_once = 1, .longest_wait = hours(1)});
  server.hold("a");
  auto a = start("a");
  ASSERT_TRUE(server.wait_for("alone:a"));
  auto big = start("B", max_events_together);
  while (gathered_->load().waiting < 1) std::this_thread::yield();
  std::vector<std::string> names(max_appends_together + 20, "x");
  std::vector<std::future<std::string>> small;
  for (std::size_t i = 0; i < names.size(); ++i) {
    small.push_back(start(names[i]));
    while (gathered_->load().waiting < i + 2) std::this_thread::yield();
  }
  server.let_go("a");
  EXPECT_EQ(big.get(), "B");
  for (auto& each : small) EXPECT_EQ(each.get(), "x");
  EXPECT_EQ(server.calls(), (Calls{"alone:a", "alone:B", "together:" + std::string(max_appends_together, 'x'),
                                   "together:" + std::string(20, 'x')}));
}

TEST_F(GatheredAppendsTest, SeveralOfOneCallGoTheirOwnWay) {
  use({.calls_at_once = 1, .longest_wait = hours(1)});
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
