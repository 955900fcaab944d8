// Snapshots: when one is due, and what the store refuses before it asks the driver.
#include "stele/snapshot.h"

#include <gtest/gtest.h>

#include "error_of.h"
#include "memory_store.h"
#include "stele/limits.h"

namespace stele {
namespace {

using std::chrono::minutes;

// --- The policy

const StreamKey account("account", "7");

Timestamp at_minute(std::int64_t minute) {
  return Timestamp::from_micros(1'700'000'000'000'000 + minute * 60'000'000);
}

SnapshotInfo taken(std::int64_t version, std::int64_t minute = 0) {
  return {account, Version(version), 1, {}, at_minute(minute), 0};
}

bool due(const SnapshotPolicy& policy, std::int64_t version, const std::optional<SnapshotInfo>& latest = {},
         std::int64_t minute = 0) {
  return should_snapshot(policy, account, Version(version), latest, at_minute(minute));
}

TEST(SnapshotPolicy, SaysNothingByItself) {
  EXPECT_FALSE(due({}, 1'000'000));
  EXPECT_FALSE(due({}, 1'000'000, taken(1), 1'000'000));
}

TEST(SnapshotPolicy, ByNumberOfEvents) {
  const SnapshotPolicy policy{.every_events = 100};
  EXPECT_FALSE(due(policy, 99));
  EXPECT_TRUE(due(policy, 100));
  EXPECT_TRUE(due(policy, 250));
  EXPECT_FALSE(due(policy, 249, taken(150), 1'000'000));
  EXPECT_TRUE(due(policy, 250, taken(150)));
  EXPECT_TRUE(due({.every_events = 1}, 1));
}

TEST(SnapshotPolicy, ByTimeIfThereAreNewEvents) {
  const SnapshotPolicy policy{.every_minutes = minutes(10)};
  EXPECT_TRUE(due(policy, 1));
  EXPECT_FALSE(due(policy, 6, taken(5, 0), 9));
  EXPECT_TRUE(due(policy, 6, taken(5, 0), 10));
  EXPECT_FALSE(due(policy, 5, taken(5, 0), 1'000));
  EXPECT_FALSE(due(policy, 6, taken(5, 0), -1'000));  // The clocks differ.
  EXPECT_TRUE(due({.every_minutes = minutes(0)}, 6, taken(5, 0), 0));
}

TEST(SnapshotPolicy, EitherReasonIsEnough) {
  const SnapshotPolicy policy{.every_events = 100, .every_minutes = minutes(10)};
  EXPECT_TRUE(due(policy, 105, taken(5, 0), 1));
  EXPECT_TRUE(due(policy, 6, taken(5, 0), 10));
  EXPECT_FALSE(due(policy, 104, taken(5, 0), 9));
}

TEST(SnapshotPolicy, ByStreamType) {
  EXPECT_TRUE(due({.every_events = 1, .stream_types = {"account", "order"}}, 1));
  EXPECT_FALSE(due({.every_events = 1, .stream_types = {"Account", "order"}}, 1));
}

TEST(SnapshotPolicy, NeverOfWhatIsThereOrOfNothing) {
  const SnapshotPolicy eager{.every_events = 1, .every_minutes = minutes(0)};
  EXPECT_FALSE(due(eager, 0));
  EXPECT_FALSE(due(eager, 5, taken(5), 10));
  EXPECT_FALSE(due(eager, 4, taken(5), 10));
}

// --- The store

class Snapshots : public ::testing::Test {
 protected:
  Snapshots() {
    for (const char* id : {"7", "8"}) {
      std::vector<NewEvent> events(10, testing::event_of("Deposited"));
      store.append(StreamKey("account", id), ExpectedVersion::no_stream(), std::move(events)).or_throw();
    }
  }

  static Snapshot of(std::int64_t version, std::string state = "{}") {
    Snapshot made;
    made.stream = account;
    made.version = Version(version);
    made.state = Json(std::move(state));
    return made;
  }

  EventStore store = testing::memory_store();
};

TEST_F(Snapshots, AreGivenAnIdUnlessTheyHaveOne) {
  ASSERT_TRUE(store.save_snapshot(of(3)));
  EXPECT_EQ(store.find_snapshot(account)->snapshot_id.version(), 7);
  Snapshot named = of(4);
  named.snapshot_id = Uuid::v7();
  ASSERT_TRUE(store.save_snapshot(named));
  EXPECT_EQ(store.find_snapshot(account)->snapshot_id, named.snapshot_id);
}

TEST_F(Snapshots, TheLatestAtOrBelow) {
  for (const std::int64_t version : {2, 5, 9}) {
    ASSERT_TRUE(store.save_snapshot(of(version, R"({"n":)" + std::to_string(version) + "}")));
  }
  const auto version_at = [&](std::optional<Version> at) {
    const std::optional<Snapshot> found = store.find_snapshot(account, at);
    return found ? found->version.value() : 0;
  };
  EXPECT_EQ(version_at({}), 9);
  EXPECT_EQ(version_at(Version(9)), 9);
  EXPECT_EQ(version_at(Version(8)), 5);
  EXPECT_EQ(version_at(Version(1)), 0);
  EXPECT_EQ(version_at(Version(0)), 0);
  EXPECT_FALSE(store.find_snapshot(StreamKey("account", "8")));
  EXPECT_FALSE(store.find_snapshot(account, {}, 2));
}

TEST_F(Snapshots, ThatAreWrongAreRefusedBeforeTheDriverIsAsked) {
  const auto save = [&](auto change) {
    Snapshot wrong = of(1);
    change(wrong);
    store.save_snapshot(wrong);
  };
  EXPECT_ERROR(save([](Snapshot& s) { s.stream.id.clear(); }), ErrorCode::invalid_argument, "stream_id");
  EXPECT_ERROR(save([](Snapshot& s) { s.version = Version(0); }), ErrorCode::invalid_argument, "snapshot version");
  EXPECT_ERROR(save([](Snapshot& s) { s.schema_version = 0; }), ErrorCode::invalid_argument, "schema_version");
  EXPECT_ERROR(save([](Snapshot& s) { s.metadata = Json("[]"); }), ErrorCode::invalid_argument, "metadata");
  EXPECT_ERROR(save([](Snapshot& s) { s.state = Json(R"({"x":")" + std::string(limits::data_bytes, 'x') + R"("})"); }),
               ErrorCode::too_large, "state");
  EXPECT_ERROR(store.find_snapshot(StreamKey("", "7")), ErrorCode::invalid_argument, "stream_type");
  EXPECT_ERROR(store.find_snapshot(account, Version(-1)), ErrorCode::invalid_argument, "at");
  EXPECT_ERROR(store.find_snapshot(account, {}, 0), ErrorCode::invalid_argument, "schema_version");
  EXPECT_TRUE(store.list_snapshots().empty());
}

TEST_F(Snapshots, ListsAndDeletionsThatAreWrongAreRefused) {
  EXPECT_ERROR(store.list_snapshots({.tenant = ""}), ErrorCode::invalid_argument, "tenant_id");
  EXPECT_ERROR(store.list_snapshots({.stream_type = ""}), ErrorCode::invalid_argument, "stream_type");
  EXPECT_ERROR(store.list_snapshots({.stream_id = "7"}), ErrorCode::invalid_argument, "needs a stream_type");
  EXPECT_ERROR(store.list_snapshots({.stream_type = "account", .stream_id = ""}), ErrorCode::invalid_argument,
               "stream_id");
  EXPECT_ERROR(store.list_snapshots({.limit = 0}), ErrorCode::invalid_argument, "limit");
  EXPECT_ERROR(store.list_snapshots({.tenant = "other", .after = taken(1)}), ErrorCode::invalid_argument, "after");
  EXPECT_ERROR(store.delete_snapshots({.keep = -1}), ErrorCode::invalid_argument, "keep");
  EXPECT_ERROR(store.delete_snapshots({.stream_id = "7"}), ErrorCode::invalid_argument, "needs a stream_type");
}

}  // namespace
}  // namespace stele
