// The pool of sessions that all SQL backends share.

#include "stele_soci/lease_pool.h"

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <thread>

namespace stele::soci_backend {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

struct FakeServer {
  int opened = 0;
  int asked = 0;
  bool answers = true;
  bool hung_up = false;
  bool refuses = false;
};

class FakeSession {
 public:
  explicit FakeSession(FakeServer& server) : server_(&server), number_(++server.opened) {}
  int number() const { return number_; }
  bool usable() const { return usable_; }
  void break_off() { usable_ = false; }
  bool alive(bool ask) {
    if (ask) ++server_->asked;
    return !server_->hung_up && (!ask || server_->answers);
  }

 private:
  FakeServer* server_;
  int number_;
  bool usable_ = true;
};

class LeasePoolTest : public ::testing::Test {
 protected:
  void use(PoolOptions options) {
    pool_.emplace("fake", options, [this] {
      if (server.refuses) throw Error(ErrorCode::cannot_connect, "refused");
      return std::make_unique<FakeSession>(server);
    });
  }
  LeasePool<FakeSession>& pool() { return *pool_; }
  LeasePool<FakeSession>::Lease lease() { return pool().lease(steady_clock::now() + milliseconds(50)); }

  FakeServer server;

 private:
  std::optional<LeasePool<FakeSession>> pool_;
};

TEST_F(LeasePoolTest, ASessionIsKeptAndLentAgain) {
  use({.max_sessions = 2});
  for (int i = 0; i < 5; ++i) EXPECT_EQ(lease()->number(), 1);
  EXPECT_EQ(server.opened, 1);
  EXPECT_EQ(server.asked, 0);
}

TEST_F(LeasePoolTest, MoreAreMadeUpToTheMaximumAndThenItIsBusy) {
  use({.max_sessions = 2});
  const auto first = lease();
  const auto second = lease();
  EXPECT_NE(first->number(), second->number());
  try {
    static_cast<void>(lease());
    FAIL() << "a third session";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::busy);
    EXPECT_TRUE(error.retryable());
    EXPECT_EQ(error.outcome(), Outcome::not_applied);
  }
  const driver::ConnectionStats stats = pool().stats();
  EXPECT_EQ(stats.open, 2u);
  EXPECT_EQ(stats.in_use, 2u);
  EXPECT_EQ(stats.timed_out, 1u);
  EXPECT_EQ(stats.waiting, 0u);
}

TEST_F(LeasePoolTest, WhoWaitsGetsTheSessionThatComesFree) {
  use({.max_sessions = 1});
  std::optional<LeasePool<FakeSession>::Lease> held(lease());
  std::jthread waiting(
      [this] { EXPECT_EQ(pool().lease(steady_clock::now() + std::chrono::seconds(30))->number(), 1); });
  while (pool().stats().waiting == 0) std::this_thread::yield();
  held.reset();
}

TEST_F(LeasePoolTest, ABrokenSessionIsNotLentAgain) {
  use({.max_sessions = 1});
  lease()->break_off();
  EXPECT_EQ(lease()->number(), 2);
  EXPECT_EQ(pool().stats().dropped, 1u);
}

TEST_F(LeasePoolTest, ASessionWhoseServerHungUpIsReplaced) {
  use({.max_sessions = 1});
  static_cast<void>(lease());
  server.hung_up = true;
  EXPECT_EQ(lease()->number(), 2);
  EXPECT_EQ(server.asked, 0) << "it need not be asked";
}

TEST_F(LeasePoolTest, AfterIdlenessASessionIsAsked) {
  use({.max_sessions = 1, .check_after_idle = milliseconds(0)});
  static_cast<void>(lease());
  EXPECT_EQ(lease()->number(), 1);
  EXPECT_EQ(server.asked, 1);
  server.answers = false;
  EXPECT_EQ(lease()->number(), 2);
}

TEST_F(LeasePoolTest, AnOldSessionIsReplaced) {
  use({.max_sessions = 1, .max_lifetime = milliseconds(0)});
  static_cast<void>(lease());
  EXPECT_EQ(lease()->number(), 2);
}

TEST_F(LeasePoolTest, ASessionThatCannotBeMadeTakesNoPlace) {
  use({.max_sessions = 1});
  server.refuses = true;
  for (int i = 0; i < 3; ++i) EXPECT_THROW(static_cast<void>(lease()), Error);
  server.refuses = false;
  EXPECT_EQ(lease()->number(), 1);
}

}  // namespace
}  // namespace stele::soci_backend
