// Every statement that the backend runs, caught on its own connections, and the way SQLite goes about it.
#include <gtest/gtest.h>

#include <functional>
#include <set>

#include "sqlite_file.h"
#include "stele/driver/driver.h"
#include "stele/event_store.h"
#include "stele/migrate.h"
#include "stele/sqlite.h"

namespace stele::testing {
namespace {

/// "SCAN" in their plans is one step: the end of a primary key, and a table with a row for each AUTOINCREMENT. The last
/// one is asked by who reads all keys next.
const std::set<std::string> first_rows = {
    "SELECT recorded_at FROM events ORDER BY global_position DESC LIMIT 1",
    "SELECT seq FROM sqlite_sequence WHERE name = 'events'",
    "SELECT global_position FROM events ORDER BY global_position DESC LIMIT 1",
    "SELECT seal_number, after_position, to_position, events, root, seal_hash FROM log_seals ORDER BY seal_number DESC "
    "LIMIT 1",
    "SELECT DISTINCT tenant_id FROM subject_keys",
};

class QueryPlan : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    trace_ = std::make_unique<StatementTrace>();
    directory_ = std::make_unique<TemporaryDirectory>();
    Registry registry;
    sqlite::register_driver(registry);
    store_ = std::make_unique<EventStore>(
        EventStore::open(registry, "sqlite://" + directory_->file("plans.db").string(), {.migrate = true}));
    for (int i = 0; i < 20; ++i) store_->append(sample(i));
  }
  static void TearDownTestSuite() {
    store_.reset();
    trace_.reset();
    directory_.reset();
  }

  static Uuid id(int number) {
    Uuid::Bytes bytes{};
    bytes[6] = 0x40;
    bytes[8] = 0x80;
    bytes[15] = static_cast<std::uint8_t>(number);
    return Uuid(bytes);
  }

  static AppendRequest sample(int number) {
    NewEvent event;
    event.type = "Type" + std::to_string(number % 3);
    event.source = "app";
    event.event_id = id(1 + number);
    event.idempotency_key = "key-" + std::to_string(number);
    event.correlation_id = id(100);
    event.causation_id = id(101);
    event.attributes = {{"room", "blue"}, {"run", std::to_string(number)}};
    AppendRequest request;
    const std::string tenant = number % 2 == 0 ? std::string(default_tenant) : "other";
    request.streams.push_back({StreamKey(tenant, "thing", "s-" + std::to_string(number % 4)),
                               ExpectedVersion::any(),
                               {event, NewEvent(event)}});
    request.streams[0].events[1].event_id.reset();
    request.streams[0].events[1].idempotency_key.reset();
    request.command.emplace();
    request.command->key = {tenant, "app", "r-" + std::to_string(number)};
    request.command->type = "do";
    return request;
  }

  /// The statements that `call` made, without those that only delimit transactions.
  static std::set<std::string> statements(const std::function<void(EventStore&)>& call) {
    trace_->take();
    call(*store_);
    std::set<std::string> found;
    for (const std::string& sql : trace_->take()) {
      const bool queries = sql.starts_with("SELECT") || sql.starts_with("INSERT") || sql.starts_with("UPDATE") ||
                           sql.starts_with("DELETE") || sql.starts_with("WITH");
      if (queries) found.insert(sql);
    }
    EXPECT_FALSE(found.empty()) << "no statement was caught";
    return found;
  }

  static std::string plan(const std::string& sql) {
    SqliteConnection connection(directory_->file("plans.db"));
    std::string text;
    for (const std::string& row : connection.rows("EXPLAIN QUERY PLAN " + sql)) {
      text += row.substr(row.rfind('|') + 1) + "\n";
    }
    return text;
  }

  /// Everything that `call` asks of the tables goes along an index or the primary key, and nothing is sorted.
  static std::string plans(const std::function<void(EventStore&)>& call) {
    std::string all;
    for (const std::string& sql : statements(call)) {
      const std::string found = plan(sql);
      EXPECT_TRUE(found.find("SCAN") == std::string::npos || first_rows.contains(sql)) << sql << "\n" << found;
      all += found;
    }
    return all;
  }

  static void read(EventStore& store, const LogReadOptions& options) {
    EventReader reader = store.read_log(options);
    while (reader.next() != nullptr) {
    }
  }

  /// A log read with this filter goes along this index, and its page comes in order without sorting.
  static void expect_log_along(const std::string& index, const LogFilter& filter) {
    for (const Direction direction : {Direction::forwards, Direction::backwards}) {
      std::string found;
      for (const std::string& sql :
           statements([&](EventStore& store) { read(store, {.direction = direction, .filter = filter}); })) {
        if (sql.find("FROM events AS e") == std::string::npos && sql.find("events AS e ON") == std::string::npos)
          continue;
        found += plan(sql);
      }
      EXPECT_NE(found.find(index), std::string::npos) << found;
      EXPECT_EQ(found.find("SCAN"), std::string::npos) << found;
      EXPECT_EQ(found.find("TEMP B-TREE"), std::string::npos) << found;
    }
  }

  static std::unique_ptr<StatementTrace> trace_;
  static std::unique_ptr<TemporaryDirectory> directory_;
  static std::unique_ptr<EventStore> store_;
};

std::unique_ptr<StatementTrace> QueryPlan::trace_;
std::unique_ptr<TemporaryDirectory> QueryPlan::directory_;
std::unique_ptr<EventStore> QueryPlan::store_;

// --- Writing ---------------------------------------------------------------------------------------------------------

TEST_F(QueryPlan, Appends) {
  int number = 50;
  const std::string found = plans([&](EventStore& store) {
    for (; number < 60; ++number) store.append(sample(number));
    store.append(sample(55));  // A repetition.
    AppendRequest again = sample(56);
    again.command.reset();
    store.append(again);  // Its event id is taken.
    again.streams[0].events[0].event_id.reset();
    store.append(again);  // Its idempotency key is taken.
    AppendRequest conditions = sample(61);
    conditions.conditions.push_back({StreamKey("other", "thing", "s-9"), ExpectedVersion::no_stream()});
    store.append(conditions);
    store.record_command({{std::string(default_tenant), "app", "alone"}, "do", {}, {}, {}, {}, {}});
  });
  EXPECT_NE(found.find("events_event_id"), std::string::npos) << found;
  EXPECT_NE(found.find("events_idempotency"), std::string::npos) << found;
}

// --- Reading ---------------------------------------------------------------------------------------------------------

TEST_F(QueryPlan, Streams) {
  const StreamKey key("thing", "s-0");
  for (const Direction direction : {Direction::forwards, Direction::backwards}) {
    for (const bool times : {false, true}) {
      StreamReadOptions options;
      options.direction = direction;
      if (times) options.as_of = options.valid_at = Timestamp::now();
      const std::string found = plans([&](EventStore& store) {
        EventReader reader = store.read_stream(key, options);
        while (reader.next() != nullptr) {
        }
      });
      EXPECT_NE(found.find("events_stream (stream_no=? AND stream_version>? AND stream_version<?)"), std::string::npos)
          << found;
      EXPECT_EQ(found.find("TEMP B-TREE"), std::string::npos) << found;
    }
  }
  plans([&](EventStore& store) {
    store.stream_info(key);
    store.list_streams();
    StreamListOptions options;
    options.type = "thing";
    options.id_prefix = "s";
    options.after = StreamKey("thing", "s-0");
    store.list_streams(options);
    store.driver().list_tenants();
  });
}

TEST_F(QueryPlan, SingleEventsAndCommands) {
  const std::string found = plans([](EventStore& store) {
    ASSERT_TRUE(store.find_event(id(1)));
    const auto command = store.find_command(CommandKey{std::string(default_tenant), "app", "r-0"});
    ASSERT_TRUE(command);
    ASSERT_TRUE(store.find_command(command->command_id));
    ASSERT_FALSE(store.list_commands(StreamKey("thing", "s-0")).empty());
  });
  EXPECT_NE(found.find("events_event_id (event_id=?)"), std::string::npos) << found;
  EXPECT_NE(found.find("commands_stream (tenant_no=? AND stream_type_no=? AND stream_id=?)"), std::string::npos)
      << found;
  EXPECT_NE(found.find("(tenant_no=? AND source_no=? AND request_id=?)"), std::string::npos) << found;
  EXPECT_NE(found.find("(command_id=?)"), std::string::npos) << found;
}

TEST_F(QueryPlan, LogFilters) {
  expect_log_along("INTEGER PRIMARY KEY (rowid>? AND rowid<?)", {});
  expect_log_along("events_tenant (tenant_no=?", {.tenant = "other"});
  expect_log_along("INTEGER PRIMARY KEY (rowid>? AND rowid<?)", {.tenant = std::string(default_tenant)});
  expect_log_along("events_stream_type (stream_type_no=?", {.stream_types = {"thing"}});
  expect_log_along("events_type (event_type_no=?", {.event_types = {"Type1"}});
  expect_log_along("INTEGER PRIMARY KEY (rowid>? AND rowid<?)", {.event_types = {"Type1", "Type2"}});
  expect_log_along("INTEGER PRIMARY KEY (rowid>? AND rowid<?)", {.source = "app"});
  expect_log_along("events_correlation (correlation_id=?", {.correlation_id = id(100)});
  expect_log_along("events_causation (causation_id=?", {.causation_id = id(101)});
  expect_log_along("event_attributes_value (name_no=? AND value=?", {.attributes = {{"room", "blue"}}});
  expect_log_along("event_attributes_value (name_no=? AND value=?", {.attributes = {{"room", "blue"}, {"run", "3"}}});
  expect_log_along("INTEGER PRIMARY KEY (rowid>? AND rowid<?)",
                   {.recorded_from = Timestamp(), .recorded_until = Timestamp::now()});
}

// A window of occurred_at is read from its index, and its positions are sorted: they have no order there.
TEST_F(QueryPlan, OccurredWindow) {
  LogFilter filter;
  filter.occurred_from = Timestamp();
  filter.occurred_until = Timestamp::now();
  const std::string window = plans([&](EventStore& store) { read(store, {.filter = filter}); });
  EXPECT_NE(window.find("events_occurred (occurred_at>? AND occurred_at<?)"), std::string::npos) << window;
  filter.event_types = {"Type1"};
  const std::string timeline = plans([&](EventStore& store) { read(store, {.filter = filter}); });
  EXPECT_NE(timeline.find("events_occurred (occurred_at>? AND occurred_at<?)"), std::string::npos) << timeline;
}

// The queries of the documents that Stele was asked for with (docs/seeds.md), each with the index that it asked for.
TEST_F(QueryPlan, SeedQueries) {
  // Events of a type, of a room of a tenant, of a correlation: the latest first.
  expect_log_along("events_type (event_type_no=?", {.tenant = std::string(default_tenant), .event_types = {"Type1"}});
  expect_log_along("event_attributes_value (name_no=? AND value=?",
                   {.tenant = std::string(default_tenant), .attributes = {{"room", "blue"}}});
  expect_log_along("events_correlation (correlation_id=?",
                   {.tenant = std::string(default_tenant), .correlation_id = id(100)});
  // A tenant's events in a time; all streams of a type.
  expect_log_along("events_tenant (tenant_no=?", {.tenant = "other", .recorded_from = Timestamp()});
  expect_log_along("events_stream_type (stream_type_no=?", {.tenant = "other", .stream_types = {"thing"}});
  // A stream's events after a version.
  const std::string since = plans([](EventStore& store) {
    EventReader reader = store.read_stream(StreamKey("thing", "s-0"), {.from = Version(3)});
    while (reader.next() != nullptr) {
    }
  });
  EXPECT_NE(since.find("events_stream (stream_no=? AND stream_version>?"), std::string::npos) << since;
  // The latest snapshot of a stream, and those to purge.
  EXPECT_NE(plan("SELECT state FROM snapshots WHERE stream_no = 1 ORDER BY stream_version DESC LIMIT 1")
                .find("SEARCH snapshots USING INDEX"),
            std::string::npos);
  EXPECT_NE(plan("SELECT snapshot_id FROM snapshots WHERE recorded_at < 1").find("snapshots_recorded (recorded_at<?)"),
            std::string::npos);
}

// --- The read side

TEST_F(QueryPlan, Snapshots) {
  const StreamKey key("thing", "s-0");
  Snapshot snapshot;
  snapshot.stream = key;
  snapshot.version = Version(2);
  snapshot.snapshot_id = id(77);
  snapshot.state = Json("{}");
  const std::string found = plans([&](EventStore& store) {
    driver::Driver& driver = store.driver();
    EXPECT_TRUE(driver.save_snapshot(snapshot));
    EXPECT_TRUE(driver.find_snapshot(key, Version(9), {}));
    EXPECT_TRUE(driver.find_snapshot(key, Version(9), 1));
    const std::vector<SnapshotInfo> list = driver.list_snapshots({.stream_type = "thing", .stream_id = "s-0"});
    ASSERT_EQ(list.size(), 1U);
    EXPECT_TRUE(driver.list_snapshots({.after = list.front()}).empty());
    EXPECT_EQ(driver.delete_snapshots({.stream_type = "thing", .keep = 2}), 0);
    EXPECT_EQ(driver.delete_snapshots({.keep = 1, .before = Timestamp::now()}), 0);
    EXPECT_EQ(driver.delete_snapshots({.stream_type = "thing", .stream_id = "s-0"}), 1);
  });
  EXPECT_EQ(found.find("TEMP B-TREE"), std::string::npos) << found;
}

TEST_F(QueryPlan, Projections) {
  const driver::ProjectionKey key{"p", ""};
  plans([&](EventStore& store) {
    driver::Driver& driver = store.driver();
    driver.settled_position();
    driver.open_projection(key, 2);
    const std::int32_t generation = driver.add_generation(key);
    const auto lease = driver.acquire_lease({key, generation, 0}, "a", std::chrono::hours(1));
    ASSERT_TRUE(lease);
    EXPECT_TRUE(driver.renew_lease(*lease, std::chrono::hours(1)));
    {
      const auto transaction = driver.begin_read_model();
      EXPECT_TRUE(transaction->move_checkpoint(*lease, Position(5)));
      transaction->add_dead_letter({lease->key, Position(5), id(1), 1, "why", {}});
      EXPECT_TRUE(transaction->activate(key, 1, generation));
      transaction->commit();
    }
    EXPECT_EQ(driver.list_dead_letters(key, 10).size(), 1U);
    EXPECT_TRUE(driver.remove_dead_letter(lease->key, Position(5)));
    driver.announce_member(key, "a", std::chrono::hours(1));
    driver.release_lease(*lease);
    driver.remove_generation(key, driver.add_generation(key));
    driver.remove_projection(key);
  });
}

TEST_F(QueryPlan, Governance) {
  const std::string tenant(default_tenant);
  const std::string types = plans([&](EventStore& store) {
    driver::Driver& driver = store.driver();
    EXPECT_EQ(driver.event_types_revision(tenant), 0);
    EXPECT_TRUE(driver.add_schema({tenant, {"Type1", 2}, "{}", {}}));
    EXPECT_TRUE(driver.remove_schema(tenant, {"Type1", 2}));
    EventTypeRules rules;
    rules.event_type = "Type2";
    driver.set_type_rules(rules);
    driver.set_type_rules(rules);
    EXPECT_EQ(driver.list_event_types(tenant).rules.size(), 2U);
  });
  EXPECT_EQ(types.find("TEMP B-TREE"), std::string::npos) << types;
  EXPECT_NE(types.find("events_type (event_type_no=?)"), std::string::npos) << types;
  const std::string keys = plans([&](EventStore& store) {
    driver::Driver& driver = store.driver();
    SubjectKey key;
    key.key_id = id(200);
    key.subject = "somebody";
    key.wrapped = WrappedKey{"m", "w"};
    EXPECT_TRUE(driver.add_subject_key(key));
    EXPECT_TRUE(driver.find_subject_key(tenant, "somebody"));
    EXPECT_EQ(driver.find_subject_keys(tenant, {&key.key_id, 1}).size(), 1U);
    EXPECT_EQ(driver.list_subject_keys(tenant, std::nullopt, 9).size(), 1U);
    EXPECT_TRUE(driver.list_subject_keys(tenant, key.key_id, 9).empty());
    EXPECT_EQ(driver.list_key_tenants().size(), 1U);
    EXPECT_TRUE(driver.rewrap_subject_key(tenant, key.key_id, *key.wrapped, {"n", "v"}));
    EXPECT_TRUE(driver.destroy_subject_key(tenant, key.key_id));
    EXPECT_TRUE(driver.forget_subject(tenant, key.key_id));
  });
  EXPECT_EQ(keys.find("TEMP B-TREE"), std::string::npos) << keys;
  EXPECT_NE(keys.find("subject_keys_subject (tenant_id=? AND subject=?)"), std::string::npos) << keys;
  EXPECT_NE(keys.find("subject_keys_tenant (tenant_id=? AND key_id>?)"), std::string::npos) << keys;
  const std::string seals = plans([&](EventStore& store) {
    driver::Driver& driver = store.driver();
    LogSeal seal;
    seal.to = Position(1);
    seal.events = 1;
    const driver::EventHash hash{Position(1), {}, {}};
    EXPECT_TRUE(driver.add_seal(seal, {&hash, 1}));
    EXPECT_TRUE(driver.last_seal());
    EXPECT_EQ(driver.list_seals(0, 9).size(), 1U);
    EXPECT_EQ(driver.read_hashes({}, Position(9), 9).size(), 1U);
    EXPECT_TRUE(driver.find_hashes(std::vector{driver::EventPlace{StreamKey("thing", "s-0"), Version(1)}}).at(0));
  });
  EXPECT_EQ(seals.find("TEMP B-TREE"), std::string::npos) << seals;
  EXPECT_NE(seals.find("events_stream (stream_no=? AND stream_version=?)"), std::string::npos) << seals;
}

// stats() counts everything and so reads everything. It shows that the tests above can fail.
TEST_F(QueryPlan, StatsScans) {
  std::set<std::string> scans;
  for (const std::string& sql : statements([](EventStore& store) { store.stats(); })) {
    if (plan(sql).find("SCAN") != std::string::npos) scans.insert(sql.substr(0, 40));
  }
  EXPECT_FALSE(scans.empty()) << "a plan with a scan is not told from one without";
}

}  // namespace
}  // namespace stele::testing
