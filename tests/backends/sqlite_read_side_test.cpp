// What only SQLite's read side has: one writer, a machine's clock, a file that other processes change.
#include <gtest/gtest.h>
#include <sqlite3.h>

#include <atomic>
#include <chrono>
#include <future>
#include <thread>

#include "sqlite_file.h"
#include "stele/driver/driver.h"
#include "stele/event_store.h"
#include "stele/migrate.h"
#include "stele/soci.h"
#include "stele/sqlite.h"

namespace stele::testing {
namespace {

using driver::Lease;
using driver::PartKey;
using driver::ReadModelTransaction;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

const PartKey part{{"stock", ""}, 1, 0};
constexpr milliseconds long_time{600'000};

/// Counts how often the write-ahead logs of stores that are opened meanwhile are written to the disk.
class CountedSyncs {
 public:
  CountedSyncs() : counting_(*sqlite3_vfs_find(nullptr)) {
    inner_ = sqlite3_vfs_find(nullptr);
    counting_.zName = "counting";
    counting_.pNext = nullptr;
    counting_.xOpen = [](sqlite3_vfs*, const char* name, sqlite3_file* file, int flags, int* out) {
      const int code = inner_->xOpen(inner_, name, file, flags, out);
      if (code == SQLITE_OK && (flags & SQLITE_OPEN_WAL) != 0) {
        methods_ = file->pMethods;
        of_log_ = *methods_;
        of_log_.xSync = [](sqlite3_file* log, int how) {
          ++count_;
          return methods_->xSync(log, how);
        };
        file->pMethods = &of_log_;
      }
      return code;
    };
    sqlite3_vfs_register(&counting_, 1);
  }
  CountedSyncs(const CountedSyncs&) = delete;
  CountedSyncs& operator=(const CountedSyncs&) = delete;
  ~CountedSyncs() {
    sqlite3_vfs_register(inner_, 1);
    sqlite3_vfs_unregister(&counting_);
  }
  static int since_last() { return count_.exchange(0); }

 private:
  sqlite3_vfs counting_;
  static inline sqlite3_vfs* inner_ = nullptr;
  static inline const sqlite3_io_methods* methods_ = nullptr;
  static inline sqlite3_io_methods of_log_{};
  static inline std::atomic<int> count_ = 0;
};

class SqliteReadSide : public ::testing::Test {
 protected:
  SqliteReadSide() : store_(open()) {
    driver().open_projection(part.projection, 1);
    SqliteConnection(file()).execute("CREATE TABLE stock (item TEXT PRIMARY KEY, amount INTEGER)");
  }

  std::filesystem::path file() const { return directory_.file("store.db"); }
  EventStore open(const std::string& settings = "?busy_timeout=10s") const {
    Registry registry;
    sqlite::register_driver(registry);
    return EventStore::open(registry, "sqlite://" + file().string() + settings, {.migrate = true});
  }
  driver::Driver& driver() { return store_.driver(); }
  std::vector<std::string> rows(const std::string& sql) { return SqliteConnection(file()).rows(sql); }
  std::string position() { return rows("SELECT last_position FROM projection_offsets").at(0); }

  static AppendRequest request(const std::string& id) {
    NewEvent event;
    event.type = "Happened";
    AppendRequest request;
    request.streams.push_back({StreamKey("thing", id), ExpectedVersion::any(), {event}});
    return request;
  }
  void append_with_hook(const std::string& id, const driver::AppendHook& hook) {
    NewEvent event;
    event.type = "Happened";
    const StreamKey key("thing", id);
    const driver::PreparedEvent prepared{&event, Uuid::v7(), false, Timestamp::now(), true, nullptr, {}, {}, false};
    driver().append_with_hook({default_tenant, {{&key, ExpectedVersion::any(), {prepared}}}, {}, {}}, hook);
  }
  static ErrorCode code_of(const std::function<void()>& call) {
    try {
      call();
    } catch (const Error& error) {
      return error.code();
    }
    ADD_FAILURE() << "nothing was thrown";
    return ErrorCode::internal;
  }

  TemporaryDirectory directory_;
  EventStore store_;
};

TEST_F(SqliteReadSide, AHandlerThatWritesToTheStoreIsToldAtOnce) {
  const auto refused = [&](EventStore& store) {
    EXPECT_EQ(code_of([&] { store.append(request("a")); }), ErrorCode::invalid_argument);
    EXPECT_EQ(code_of([&] { store.driver().acquire_lease(part, "a", long_time); }), ErrorCode::invalid_argument);
    EXPECT_EQ(code_of([&] { store.driver().begin_read_model(); }), ErrorCode::invalid_argument);
    EXPECT_EQ(code_of([&] { store.driver().delete_snapshots({}); }), ErrorCode::invalid_argument);
  };
  {
    const auto transaction = driver().begin_read_model();
    refused(store_);
    EXPECT_EQ(store_.stream_version(StreamKey("thing", "a")), Version(0)) << "it may read";
    transaction->commit();
    EXPECT_TRUE(store_.append(request("a")).ok()) << "it is over";
    EXPECT_EQ(code_of([&] { transaction->commit(); }), ErrorCode::invalid_argument);
  }
  EXPECT_TRUE(driver().acquire_lease(part, "a", long_time));
}

TEST_F(SqliteReadSide, AppendsOfOthersWaitForTheTransaction) {
  std::atomic<bool> over = false;
  auto transaction = driver().begin_read_model();
  std::promise<void> begun;
  std::thread other([&] {
    begun.set_value();
    EXPECT_TRUE(store_.append(request("a")).ok());
    EXPECT_TRUE(over) << "two writers at once";
  });
  begun.get_future().wait();
  std::this_thread::sleep_for(milliseconds(20));
  sql(*transaction) << "INSERT INTO stock VALUES ('x', 1)";
  over = true;
  transaction->commit();
  transaction.reset();
  other.join();
  EXPECT_EQ(rows("SELECT * FROM stock"), (std::vector<std::string>{"x|1"}));
}

// Both have looked and found it free; both wait for the write lock, which somebody else has.
TEST_F(SqliteReadSide, TwoProcessesAskForOneLeaseAtOnce) {
  EventStore other = open();
  for (int round = 0; round < 5; ++round) {
    SqliteConnection blocker(file());
    ASSERT_EQ(blocker.execute("BEGIN IMMEDIATE"), "");
    std::future<std::optional<Lease>> first =
        std::async(std::launch::async, [&] { return driver().acquire_lease(part, "a", long_time); });
    std::future<std::optional<Lease>> second =
        std::async(std::launch::async, [&] { return other.driver().acquire_lease(part, "b", long_time); });
    // They have looked by then, or they will find it taken: one wins either way.
    std::this_thread::sleep_for(milliseconds(30));
    ASSERT_EQ(blocker.execute("COMMIT"), "");
    const std::optional<Lease> a = first.get();
    const std::optional<Lease> b = second.get();
    EXPECT_NE(a.has_value(), b.has_value());
    driver().release_lease(a ? *a : *b);
  }
}

TEST_F(SqliteReadSide, WhoEndsTheTransactionItselfMovesNoCheckpoint) {
  const std::optional<Lease> lease = driver().acquire_lease(part, "a", long_time);
  ASSERT_TRUE(lease);
  for (const char* end : {"ROLLBACK", "COMMIT"}) {
    const auto transaction = driver().begin_read_model();
    sql(*transaction) << "INSERT INTO stock VALUES ('" << end << "', 1)";
    sql(*transaction) << end;
    EXPECT_EQ(code_of([&] { transaction->move_checkpoint(*lease, Position(7)); }), ErrorCode::invalid_argument);
    EXPECT_EQ(code_of([&] { transaction->commit(); }), ErrorCode::invalid_argument);
  }
  EXPECT_EQ(position(), "0");
  EXPECT_TRUE(store_.append(request("a")).ok());
  EXPECT_EQ(code_of([&] {
              append_with_hook("b", [](ReadModelTransaction& transaction, auto) { sql(transaction) << "ROLLBACK"; });
            }),
            ErrorCode::invalid_argument);
  EXPECT_EQ(store_.stream_version(StreamKey("thing", "b")), Version(0));
}

TEST_F(SqliteReadSide, AQueryLeftInTheMiddleHoldsNothing) {
  {
    const auto transaction = driver().begin_read_model();
    int number = 0;
    auto* query = new soci::statement((sql(*transaction).prepare
                                           << "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 9) "
                                              "SELECT i FROM n, projections",
                                       soci::into(number)));
    query->execute();
    EXPECT_TRUE(query->fetch());
    sql(*transaction) << "INSERT INTO stock VALUES ('x', 1)";
    transaction->commit();
    delete query;
  }
  // Somebody else writes, which would be a newer snapshot than that of a query still open.
  EXPECT_TRUE(open().append(request("a")).ok());
  EXPECT_TRUE(store_.append(request("a")).ok());
}

TEST_F(SqliteReadSide, AHooksQueryLeftInTheMiddleHoldsNothingThoughTheHookThrew) {
  int number = 0;
  std::unique_ptr<soci::statement> query;
  EXPECT_THROW(append_with_hook("a",
                                [&](ReadModelTransaction& transaction, auto) {
                                  query = std::make_unique<soci::statement>(
                                      (sql(transaction).prepare
                                           << "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 9) "
                                              "SELECT i FROM n, projections",
                                       soci::into(number)));
                                  query->execute();
                                  EXPECT_TRUE(query->fetch());
                                  throw std::runtime_error("no");
                                }),
               std::runtime_error);
  EXPECT_TRUE(open().append(request("b")).ok());
  EXPECT_TRUE(store_.append(request("c")).ok());
  query.reset();
}

// Losing the last moment of a read model at a crash loses its checkpoint, too. Events are not to be lost.
TEST_F(SqliteReadSide, ReadModelsDoNotWaitForTheDiskAndAppendsDo) {
  const auto synchronous = [](ReadModelTransaction& transaction) {
    int level = -1;
    sql(transaction) << "PRAGMA synchronous", soci::into(level);
    return level;
  };
  EXPECT_EQ(synchronous(*driver().begin_read_model()), 1);
  int of_append = -1;
  append_with_hook("a", [&](ReadModelTransaction& transaction, auto) { of_append = synchronous(transaction); });
  EXPECT_EQ(of_append, 2);
  EventStore stronger = open("?synchronous=extra");
  EXPECT_EQ(synchronous(*stronger.driver().begin_read_model()), 1);
  EXPECT_EQ(synchronous(*stronger.driver().begin_read_model()), 1) << "once more";
}

TEST_F(SqliteReadSide, AHookThatAppendsIsToldAtOnce) {
  append_with_hook("a", [&](ReadModelTransaction&, auto) {
    EXPECT_EQ(code_of([&] { store_.append(request("b")); }), ErrorCode::invalid_argument);
  });
  EXPECT_EQ(store_.stream_version(StreamKey("thing", "a")), Version(1));
  EXPECT_TRUE(store_.append(request("b")).ok());
}

TEST_F(SqliteReadSide, ADamagedSnapshotCountsAsMissing) {
  for (int i = 0; i < 3; ++i) store_.append(request("a"));
  for (const int version : {1, 2, 3}) {
    Snapshot snapshot;
    snapshot.stream = StreamKey("thing", "a");
    snapshot.version = Version(version);
    snapshot.snapshot_id = Uuid::v7();
    snapshot.state = Json("{\"n\":" + std::to_string(version) + "}");
    ASSERT_TRUE(driver().save_snapshot(snapshot));
  }
  const auto found = [&] {
    const std::optional<Snapshot> snapshot = driver().find_snapshot(StreamKey("thing", "a"), Version(100), {});
    return snapshot ? snapshot->version.value() : 0;
  };
  const auto damage = [&](const std::string& change, int version) {
    ASSERT_EQ(SqliteConnection(file()).execute("PRAGMA ignore_check_constraints = ON; UPDATE snapshots SET " + change +
                                               " WHERE stream_version = " + std::to_string(version)),
              "");
  };
  EXPECT_EQ(found(), 3);
  damage("state = substr(state, 1, 4)", 3);
  EXPECT_EQ(found(), 2);
  damage("metadata = 'x'", 2);
  EXPECT_EQ(found(), 1);
  damage("state = ''", 1);
  EXPECT_EQ(found(), 0);
  EXPECT_EQ(driver().list_snapshots({}).size(), 3u);
  EXPECT_EQ(driver().delete_snapshots({}), 3);
}

TEST_F(SqliteReadSide, ListenersWakeWhenAnotherProcessAppends) {
  EventStore other = open();
  const auto listener = driver().listen();
  const auto second = driver().listen();
  const auto begin = steady_clock::now();
  listener->wait(milliseconds(200));  // What was there before may count, once.
  for (int i = 0; i < 3; ++i) {
    other.append(request("a"));
    listener->wait(long_time);
    second->wait(long_time);
  }
  EXPECT_LT(steady_clock::now() - begin, long_time);
  // A projection that moves its checkpoint is no append: projections would wake each other for ever.
  listener->wait(milliseconds(100));
  const std::optional<Lease> lease = other.driver().acquire_lease(part, "a", long_time);
  ASSERT_TRUE(lease);
  const auto quiet = steady_clock::now();
  const auto transaction = other.driver().begin_read_model();
  ASSERT_TRUE(transaction->move_checkpoint(*lease, Position(1)));
  transaction->commit();
  listener->wait(milliseconds(200));
  EXPECT_GE(steady_clock::now() - quiet, milliseconds(200));
}

TEST_F(SqliteReadSide, ListenersComeAndGo) {
  EventStore other = open();
  for (int i = 0; i < 5; ++i) {
    const auto listener = driver().listen();
    other.append(request("a"));
    listener->wait(long_time);
  }
}

// A clock was wrong when it was given. It would hold for as long as that.
TEST_F(SqliteReadSide, ALeaseOfTheFarFutureHoldsNothing) {
  constexpr std::chrono::hours year(24 * 365);
  ASSERT_TRUE(driver().acquire_lease(part, "dead", year));
  EXPECT_FALSE(driver().find_projection(part.projection)->checkpoints.at(0).leased);
  EXPECT_TRUE(driver().acquire_lease(part, "b", driver::longest_lease));
  EXPECT_TRUE(driver().find_projection(part.projection)->checkpoints.at(0).leased);
  EXPECT_FALSE(driver().acquire_lease(part, "c", driver::longest_lease));
  driver().announce_member(part.projection, "ghost", year);
  EXPECT_EQ(driver().announce_member(part.projection, "a", driver::longest_lease), 1);
  EXPECT_EQ(driver().announce_member(part.projection, "b", driver::longest_lease), 2);
}

// Losing the last moment of a read model at a crash loses its checkpoint, too. What somebody was told is not to be
// lost.
TEST_F(SqliteReadSide, ReadModelsDoNotWaitForTheDiskAndWhatIsToldDoes) {
  const CountedSyncs counted;
  for (const std::string durability : {"full", "normal"}) {
    const bool full = durability == "full";
    EventStore store = open("?synchronous=" + durability);
    store.append(request("a"));
    const auto syncs_of = [&](const std::function<void(ReadModelTransaction&)>& use) {
      const auto transaction = store.driver().begin_read_model();
      use(*transaction);
      CountedSyncs::since_last();
      transaction->commit();
      return CountedSyncs::since_last();
    };
    Lease lease = store.driver().acquire_lease(part, "a", long_time).value();
    EXPECT_EQ(syncs_of([&](auto& transaction) {
                EXPECT_TRUE(transaction.move_checkpoint(lease, lease.position));
                EXPECT_FALSE(transaction.activate(part.projection, 0, 1));
              }),
              0);
    EXPECT_EQ(syncs_of([](auto& transaction) { EXPECT_TRUE(transaction.activate(part.projection, 1, 1)); }),
              full ? 1 : 0);
    EXPECT_EQ(syncs_of([](auto& transaction) {
                transaction.add_dead_letter({part, Position(1), Uuid::v7(), 1, "why", {}});
              }),
              full ? 1 : 0);
    CountedSyncs::since_last();
    store.append(request("a"));
    EXPECT_EQ(CountedSyncs::since_last(), full ? 1 : 0);
  }
}

// One that was made before kinds were kept.
TEST_F(SqliteReadSide, WhoOpensAnOldOneSaysWhatItIs) {
  using Kind = driver::ProjectionKind;
  SqliteConnection(file()).execute("UPDATE projections SET kind = NULL");
  EXPECT_EQ(driver().find_projection(part.projection)->kind, std::nullopt);
  EXPECT_EQ(driver().list_projections().at(0).kind, std::nullopt);
  const auto open_as = [&](Kind kind, int parts) {
    return driver().open_projection(part.projection, parts, Position(0), kind).kind;
  };
  EXPECT_EQ(code_of([&] { open_as(Kind::relay, 2); }), ErrorCode::invalid_argument);
  EXPECT_EQ(open_as(Kind::relay, 1), Kind::relay);
  EXPECT_EQ(code_of([&] { open_as(Kind::projection, 1); }), ErrorCode::invalid_argument);
}

TEST_F(SqliteReadSide, DeadLettersAreCountedOnlyWhenProjectionsAreListed) {
  const auto transaction = driver().begin_read_model();
  transaction->add_dead_letter({part, Position(1), Uuid::v7(), 1, "why", {}});
  transaction->commit();
  EXPECT_EQ(driver().list_projections().at(0).dead_letters, 1);
  EXPECT_EQ(driver().find_projection(part.projection)->dead_letters, 0);
  EXPECT_EQ(driver().open_projection(part.projection, 1).dead_letters, 0);
}

}  // namespace
}  // namespace stele::testing
