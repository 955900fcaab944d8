// Repository: load, decide, append. Snapshots only ever save time; commands are decided once.
#include "stele/aggregate.h"

#include <gtest/gtest.h>

#include <atomic>
#include <deque>
#include <latch>
#include <nlohmann/json.hpp>
#include <random>
#include <thread>

#include "error_of.h"
#include "memory_store.h"
#include "stele/testing/forwarding_driver.h"

namespace stele {
namespace {

std::atomic<bool> state_is_damaged{false};   // from_snapshot throws.
std::atomic<bool> state_is_stubborn{false};  // to_snapshot throws.
std::atomic<bool> state_is_strict{false};    // apply() throws when the sum falls below nothing.

/// Sensitive to every event and to their order.
struct Ledger {
  static constexpr std::string_view stream_type = "ledger";
  static constexpr std::int32_t snapshot_schema_version = 2;

  std::int64_t sum = 0;
  std::uint64_t hash = 7;
  std::vector<std::int64_t> last;

  void apply(const RecordedEvent& event) {
    const std::int64_t n = event.data.value().at("n").get<std::int64_t>();
    if (state_is_strict && sum + n < 0) throw std::domain_error("below nothing");
    sum += n;
    hash = (hash * 1'000'003) ^ static_cast<std::uint64_t>(n + event.version.value());
    last.push_back(n);
    if (last.size() > 3) last.erase(last.begin());
  }
  Json to_snapshot() const {
    if (state_is_stubborn) throw std::runtime_error("no snapshot today");
    return Json(nlohmann::json{{"sum", sum}, {"hash", std::to_string(hash)}, {"last", last}});
  }
  static Ledger from_snapshot(const Json& json) {
    if (state_is_damaged) throw std::runtime_error("what is this?");
    const nlohmann::json value = json.value();
    return {value.at("sum").get<std::int64_t>(), std::stoull(value.at("hash").get<std::string>()),
            value.at("last").get<std::vector<std::int64_t>>()};
  }
  friend bool operator==(const Ledger&, const Ledger&) = default;
};
static_assert(Snapshottable<Ledger>);

/// No snapshots.
struct Plain {
  static constexpr const char* stream_type = "ledger";
  std::int64_t sum = 0;
  void apply(const RecordedEvent& event) { sum += event.data.value().at("n").get<std::int64_t>(); }
};
static_assert(Aggregate<Plain> && !Snapshottable<Plain>);

NewEvent added(std::int64_t n) {
  return testing::event_of("Added", R"({"n":)" + std::to_string(n) + "}");
}

std::vector<NewEvent> added_each(std::int64_t first, std::int64_t last) {
  std::vector<NewEvent> events;
  for (std::int64_t n = first; n <= last; ++n) events.push_back(added(n));
  return events;
}

Error busy() {
  return Error(ErrorCode::busy, "the database is busy", {"memory", 0, {}, true, Outcome::not_applied});
}

/// What a test does to the driver's calls, and what it sees of them.
struct Meddling {
  std::function<void()> before_append;                       // Called while nothing is locked.
  std::function<void(std::optional<Snapshot>&)> after_find;  // May replace what was found, or throw.
  std::function<void()> before_save, before_delete;          // May throw.
  std::atomic<int> events_read{0};
  std::atomic<int> appends{0};
};

class MeddledDriver final : public testing::ForwardingDriver {
 public:
  explicit MeddledDriver(Meddling& meddling) : ForwardingDriver(testing::memory_driver()), meddling_(meddling) {}

  std::vector<driver::AppendAnswer> append(std::span<const driver::PreparedAppend> appends) override {
    ++meddling_.appends;
    if (meddling_.before_append) meddling_.before_append();
    return ForwardingDriver::append(appends);
  }
  void read_stream(const driver::StreamPageRequest& request, driver::EventPage& page) override {
    ForwardingDriver::read_stream(request, page);
    meddling_.events_read += static_cast<int>(page.size());
  }
  std::optional<Snapshot> find_snapshot(const StreamKey& stream, Version at_or_below,
                                        std::optional<std::int32_t> schema_version) override {
    std::optional<Snapshot> found = ForwardingDriver::find_snapshot(stream, at_or_below, schema_version);
    if (meddling_.after_find) meddling_.after_find(found);
    return found;
  }
  bool save_snapshot(const Snapshot& snapshot) override {
    if (meddling_.before_save) meddling_.before_save();
    return ForwardingDriver::save_snapshot(snapshot);
  }
  std::int64_t delete_snapshots(const SnapshotDeletion& which) override {
    if (meddling_.before_delete) meddling_.before_delete();
    return ForwardingDriver::delete_snapshots(which);
  }

 private:
  Meddling& meddling_;
};

class Aggregates : public ::testing::Test {
 protected:
  Aggregates() {
    state_is_damaged = false;
    state_is_stubborn = false;
    state_is_strict = false;
  }

  template <class State = Ledger>
  Repository<State> repository(SnapshotPolicy policy = {}, std::int32_t attempts = 5) {
    RepositoryOptions options;
    options.snapshots = std::move(policy);
    options.attempts = attempts;
    options.first_pause = std::chrono::milliseconds(0);
    options.snapshot_trouble = [this](const Error& error) { troubles.push_back(error); };
    return Repository<State>(store, std::move(options));
  }

  /// Appends n = first … last behind the repository's back.
  void add(std::int64_t first, std::int64_t last) {
    store.append(key, ExpectedVersion::any(), added_each(first, last)).or_throw();
  }

  std::vector<std::int64_t> snapshot_versions() {
    std::vector<std::int64_t> versions;
    for (const SnapshotInfo& info : store.list_snapshots()) versions.push_back(info.version.value());
    return versions;
  }

  /// The state from the events alone.
  Ledger replayed(std::optional<Version> to = {}) {
    Ledger state;
    for (const RecordedEvent& event : store.read_stream(key, {.to = to})) state.apply(event);
    return state;
  }

  void expect_loaded(const Loaded<Ledger>& loaded, std::int64_t version, std::int64_t snapshot_version) {
    EXPECT_EQ(loaded.stream, key);
    EXPECT_EQ(loaded.version, Version(version));
    EXPECT_EQ(loaded.snapshot_version, Version(snapshot_version));
    EXPECT_EQ(loaded.state, replayed(Version(version)));
  }

  Meddling meddling;
  EventStore store{std::make_unique<MeddledDriver>(meddling)};
  std::vector<Error> troubles;
  const StreamKey key{"ledger", "1"};
};

using Versions = std::vector<std::int64_t>;

// --- Loading

TEST_F(Aggregates, OneWithoutEventsIsAtZero) {
  expect_loaded(repository().load("1"), 0, 0);
  expect_loaded(repository().load("1", Version(3)), 0, 0);
  EXPECT_EQ(repository().key("x"), StreamKey("ledger", "x"));
}

TEST_F(Aggregates, AreTheSumOfTheirEvents) {
  add(1, 9);
  expect_loaded(repository().load("1"), 9, 0);
  expect_loaded(repository().load("1", Version(4)), 4, 0);
  expect_loaded(repository().load("1", Version(0)), 0, 0);
  expect_loaded(repository().load("1", Version(50)), 9, 0);
  EXPECT_EQ(repository<Plain>().load("1").state.sum, 45);
  EXPECT_TRUE(troubles.empty());
}

TEST_F(Aggregates, BelongToATenant) {
  add(1, 3);
  RepositoryOptions options;
  options.tenant = "acme";
  const Repository<Ledger> theirs(store, options);
  EXPECT_EQ(theirs.load("1").version, Version(0));
  theirs.execute("1", [](const Ledger&) { return added_each(10, 10); });
  EXPECT_EQ(theirs.load("1").state.sum, 10);
  EXPECT_EQ(store.stream_version(StreamKey("acme", "ledger", "1")), Version(1));
  EXPECT_EQ(repository().load("1").state.sum, 6);
}

TEST_F(Aggregates, AreLoadedFromASnapshotAndTheEventsAfterIt) {
  add(1, 100);
  const Repository<Ledger> ledgers = repository();
  ASSERT_TRUE(ledgers.snapshot(ledgers.load("1", Version(40))));
  ASSERT_TRUE(ledgers.snapshot(ledgers.load("1", Version(90))));
  meddling.events_read = 0;
  expect_loaded(ledgers.load("1"), 100, 90);
  expect_loaded(ledgers.load("1", Version(90)), 90, 90);
  expect_loaded(ledgers.load("1", Version(89)), 89, 40);
  expect_loaded(ledgers.load("1", Version(39)), 39, 0);
  EXPECT_TRUE(troubles.empty());
}

TEST_F(Aggregates, ReadOnlyWhatIsBehindTheSnapshot) {
  add(1, 1'000);
  const Repository<Ledger> ledgers = repository();
  ASSERT_TRUE(ledgers.snapshot(ledgers.load("1", Version(990))));
  meddling.events_read = 0;
  EXPECT_EQ(ledgers.load("1").version, Version(1'000));
  EXPECT_EQ(meddling.events_read, 11);  // The snapshot's own last one, too.
}

TEST_F(Aggregates, ThatHaveNoEventsHaveNoSnapshot) {
  const Repository<Ledger> ledgers = repository();
  EXPECT_FALSE(ledgers.snapshot(ledgers.load("1")));
  EXPECT_TRUE(troubles.empty());
}

TEST_F(Aggregates, GetEventsOfToday) {
  // Doubled tells twice, Dropped is gone, Old is Added today.
  auto upcasters = std::make_shared<Upcasters>();
  upcasters->add({"Doubled", 1}, {{"Added", 1}}, [](const RecordedEvent& event) {
    RecordedEvent one = event;
    one.type = "Added";
    return std::vector<RecordedEvent>{one, one};
  });
  upcasters->drop({"Dropped", 1});
  store.use_upcasters(upcasters);
  const auto stored = [](const char* type, int n) {
    return testing::event_of(type, R"({"n":)" + std::to_string(n) + "}");
  };
  store.append(key, ExpectedVersion::any(), {stored("Added", 1), stored("Doubled", 10), stored("Dropped", 100)})
      .or_throw();
  const Repository<Ledger> ledgers = repository();
  Loaded<Ledger> loaded = ledgers.load("1");
  EXPECT_EQ(loaded.state.sum, 21);
  EXPECT_EQ(loaded.version, Version(3));  // And so an append behind it is no conflict.
  ASSERT_TRUE(ledgers.snapshot(loaded));
  loaded = ledgers.load("1");
  EXPECT_EQ(loaded.state.sum, 21);
  EXPECT_EQ(loaded.snapshot_version, Version(3));
  const Executed<Ledger> executed = ledgers.execute("1", [](const Ledger&) { return added_each(5, 5); });
  EXPECT_EQ(executed.result.status, AppendStatus::appended);
  EXPECT_EQ(executed.attempts, 1);
  EXPECT_EQ(ledgers.load("1").state.sum, 26);
}

// --- Snapshots that do not help

TEST_F(Aggregates, ADamagedSnapshotMeansReplay) {
  add(1, 20);
  const Repository<Ledger> ledgers = repository();
  ASSERT_TRUE(ledgers.snapshot(ledgers.load("1")));
  state_is_damaged = true;
  expect_loaded(ledgers.load("1"), 20, 0);
  ASSERT_EQ(troubles.size(), 1U);
  EXPECT_EQ(troubles[0].code(), ErrorCode::handler_failed);
  EXPECT_TRUE(testing::contains(troubles[0].message(), "what is this?"));
  EXPECT_EQ(ledgers.execute("1", [](const Ledger&) { return added_each(1, 1); }).attempts, 1);
}

TEST_F(Aggregates, AStateThatIsSomethingElseMeansReplay) {
  add(1, 20);
  Snapshot strange;
  strange.stream = key;
  strange.version = Version(20);
  strange.schema_version = Ledger::snapshot_schema_version;
  strange.state = Json(R"({"sum":"many"})");
  ASSERT_TRUE(store.save_snapshot(strange));
  expect_loaded(repository().load("1"), 20, 0);
  EXPECT_EQ(troubles.size(), 1U);
}

TEST_F(Aggregates, AStateThatTheEventsCannotFollowMeansReplay) {
  state_is_strict = true;
  add(100, 101);
  Snapshot wrong;
  wrong.stream = key;
  wrong.version = Version(2);
  wrong.schema_version = Ledger::snapshot_schema_version;
  wrong.state = Json(R"({"sum":1,"hash":"1","last":[]})");
  ASSERT_TRUE(store.save_snapshot(wrong));
  add(-50, -50);
  expect_loaded(repository().load("1"), 3, 0);
  ASSERT_EQ(troubles.size(), 1U);
  EXPECT_TRUE(testing::contains(troubles[0].message(), "below nothing"));
  EXPECT_TRUE(repository().execute("1", [](const Ledger&) { return added_each(1, 1); }).ok());

  // Also when such an event comes between loading and appending.
  wrong.version = Version(4);
  ASSERT_TRUE(store.save_snapshot(wrong));
  int rivals = 1;
  meddling.before_append = [&] {
    if (rivals-- == 1) add(-50, -50);
  };
  const Executed<Ledger> executed = repository().execute("1", [](const Ledger&) { return added_each(1, 1); });
  EXPECT_EQ(executed.attempts, 2);
  expect_loaded(executed.loaded, 5, 0);

  // Not the snapshot's fault: it comes through.
  add(-1'000, -1'000);
  EXPECT_THROW(repository().load("1"), std::domain_error);
}

TEST_F(Aggregates, ASnapshotOfAnotherSchemaVersionIsNotLoaded) {
  add(1, 20);
  const Repository<Ledger> ledgers = repository();
  ASSERT_TRUE(ledgers.snapshot(ledgers.load("1", Version(10))));
  Snapshot old;
  old.stream = key;
  old.version = Version(15);
  old.schema_version = 1;
  ASSERT_TRUE(store.save_snapshot(old));
  expect_loaded(ledgers.load("1"), 20, 10);
  EXPECT_TRUE(troubles.empty());
}

TEST_F(Aggregates, ASnapshotAboveTheStreamsVersionMeansReplay) {
  add(1, 20);
  meddling.after_find = [](std::optional<Snapshot>& found) {
    found.emplace();
    found->version = Version(21);
    found->state = Json(R"({"sum":-1,"hash":"1","last":[]})");
  };
  expect_loaded(repository().load("1"), 20, 0);
  expect_loaded(repository().load("1", Version(7)), 7, 0);
  meddling.after_find = [&](std::optional<Snapshot>& found) {
    found.emplace();
    found->version = Version(3);
    found->state = Json(R"({"sum":-1,"hash":"1","last":[]})");
  };
  EXPECT_EQ(repository().load("2").version, Version(0));  // A stream that is not there at all.
}

TEST_F(Aggregates, AnErrorWhileReadingASnapshotMeansReplay) {
  add(1, 20);
  const Repository<Ledger> ledgers = repository({.every_events = 10});
  ASSERT_TRUE(ledgers.snapshot(ledgers.load("1")));
  meddling.after_find = [](std::optional<Snapshot>&) { throw busy(); };
  expect_loaded(ledgers.load("1"), 20, 0);
  ASSERT_EQ(troubles.size(), 1U);
  EXPECT_EQ(troubles[0].code(), ErrorCode::busy);
  EXPECT_EQ(ledgers.execute("1", [](const Ledger&) { return added_each(1, 1); }).result.status, AppendStatus::appended);
  meddling.after_find = [](std::optional<Snapshot>&) { throw 42; };
  expect_loaded(ledgers.load("1"), 21, 0);
}

TEST_F(Aggregates, AnErrorWhileSavingASnapshotChangesNothing) {
  const Repository<Ledger> ledgers = repository({.every_events = 2});
  const auto add_two = [](const Ledger&) { return added_each(1, 2); };
  meddling.before_save = [] { throw busy(); };
  EXPECT_EQ(ledgers.execute("1", add_two).result.status, AppendStatus::appended);
  EXPECT_FALSE(ledgers.snapshot(ledgers.load("1")));
  ASSERT_EQ(troubles.size(), 2U);
  EXPECT_EQ(troubles[0].code(), ErrorCode::busy);

  meddling.before_save = nullptr;
  state_is_stubborn = true;
  EXPECT_EQ(ledgers.execute("1", add_two).result.status, AppendStatus::appended);
  EXPECT_FALSE(ledgers.snapshot(ledgers.load("1")));
  ASSERT_EQ(troubles.size(), 4U);
  EXPECT_TRUE(testing::contains(troubles[3].message(), "no snapshot today"));

  state_is_stubborn = false;
  meddling.before_delete = [] { throw busy(); };
  EXPECT_EQ(ledgers.execute("1", add_two).result.status, AppendStatus::appended);
  EXPECT_EQ(snapshot_versions(), Versions{6});
  EXPECT_TRUE(ledgers.snapshot(ledgers.load("1")));  // It was saved.
  EXPECT_EQ(troubles.size(), 6U);
  EXPECT_EQ(store.stream_version(key), Version(6));
}

TEST_F(Aggregates, WhoeverHearsOfTroubleMayThrow) {
  RepositoryOptions options;
  options.snapshots.every_events = 1;
  options.snapshot_trouble = [](const Error&) { throw std::runtime_error("so what"); };
  meddling.before_save = [] { throw busy(); };
  meddling.after_find = [](std::optional<Snapshot>&) { throw busy(); };
  const Repository<Ledger> ledgers(store, options);
  EXPECT_TRUE(ledgers.execute("1", [](const Ledger&) { return added_each(1, 1); }).ok());
  EXPECT_FALSE(Repository<Ledger>(store, {}).snapshot(ledgers.load("1")));  // And there may be nobody to hear.
}

TEST_F(Aggregates, WhatReadingThrowsComesThrough) {
  add(1, 3);
  store.close();
  EXPECT_ERROR(repository().load("1"), ErrorCode::closed, "closed");
}

// --- The policy at work

TEST_F(Aggregates, SaveNothingUnlessAskedTo) {
  const Repository<Ledger> ledgers = repository();
  for (int i = 0; i < 20; ++i) ledgers.execute("1", [](const Ledger&) { return added_each(1, 10); });
  EXPECT_TRUE(snapshot_versions().empty());
}

TEST_F(Aggregates, AreSavedEverySoManyEvents) {
  const Repository<Ledger> ledgers = repository({.every_events = 10, .keep = 0});
  for (int i = 0; i < 12; ++i) ledgers.execute("1", [](const Ledger&) { return added_each(1, 3); });
  EXPECT_EQ(snapshot_versions(), (Versions{36, 24, 12}));
  for (const std::int64_t version : snapshot_versions()) {
    EXPECT_EQ(Ledger::from_snapshot(store.find_snapshot(key, Version(version))->state), replayed(Version(version)));
  }
  EXPECT_EQ(store.find_snapshot(key)->schema_version, 2);
  EXPECT_TRUE(troubles.empty());
}

TEST_F(Aggregates, AreSavedAfterSoManyMinutes) {
  const Repository<Ledger> ledgers = repository({.every_minutes = std::chrono::minutes(60)});
  const auto add_one = [](const Ledger&) { return added_each(1, 1); };
  ledgers.execute("1", add_one);
  ledgers.execute("1", add_one);
  EXPECT_EQ(snapshot_versions(), Versions{1});
  meddling.after_find = [](std::optional<Snapshot>& found) {
    if (found) found->recorded_at = Timestamp::from_micros(found->recorded_at.micros() - 61LL * 60 * 1'000'000);
  };
  ledgers.execute("1", add_one);
  EXPECT_EQ(snapshot_versions(), (Versions{3, 1}));
}

TEST_F(Aggregates, OfOtherTypesAreNotSaved) {
  const Repository<Ledger> ledgers = repository({.every_events = 1, .stream_types = {"order"}});
  ledgers.execute("1", [](const Ledger&) { return added_each(1, 1); });
  EXPECT_TRUE(snapshot_versions().empty());
}

TEST_F(Aggregates, KeepTheirLatestSnapshots) {
  store.append(StreamKey("ledger", "2"), ExpectedVersion::any(), added_each(1, 3)).or_throw();
  const Repository<Ledger> ledgers = repository({.every_events = 1, .keep = 2});
  for (const std::int64_t version : {1, 2, 3}) {
    ASSERT_TRUE(repository().snapshot(ledgers.load("2", Version(version))));
  }
  for (int i = 0; i < 5; ++i) ledgers.execute("1", [](const Ledger&) { return added_each(1, 1); });
  EXPECT_EQ(snapshot_versions(), (Versions{5, 4, 3, 2, 1}));  // Another stream's are not touched.
  ASSERT_TRUE(ledgers.snapshot(ledgers.load("2")));
  EXPECT_EQ(snapshot_versions(), (Versions{5, 4, 3, 2}));
}

TEST_F(Aggregates, AreNotSavedWhenNothingWasWritten) {
  add(1, 10);
  const Repository<Ledger> ledgers = repository({.every_events = 1});
  ledgers.execute("1", [](const Ledger&) { return std::vector<NewEvent>(); });
  EXPECT_TRUE(snapshot_versions().empty());
}

TEST_F(Aggregates, WhatTheSnapshotHoldsIsWhatWasWritten) {
  // Somebody else appends between this append and the snapshot.
  const Repository<Ledger> ledgers = repository({.every_events = 1});
  int finds = 0;
  meddling.after_find = [&](std::optional<Snapshot>&) {
    if (++finds == 2) add(50, 55);
  };
  ledgers.execute("1", [](const Ledger&) { return added_each(1, 4); });
  ASSERT_EQ(snapshot_versions(), Versions{4});
  expect_loaded(ledgers.load("1"), 10, 4);
}

// --- Deciding

TEST_F(Aggregates, AppendWhatWasDecided) {
  add(1, 3);
  const Executed<Ledger> executed = repository().execute("1", [](const Ledger& ledger) {
    EXPECT_EQ(ledger.sum, 6);
    return added_each(ledger.sum, ledger.sum + 1);
  });
  EXPECT_TRUE(executed.ok());
  EXPECT_EQ(executed.result.status, AppendStatus::appended);
  EXPECT_EQ(executed.result.streams.at(0).first_version, Version(4));
  EXPECT_EQ(executed.result.streams.at(0).last_version, Version(5));
  EXPECT_EQ(executed.attempts, 1);
  expect_loaded(executed.loaded, 3, 0);
  EXPECT_EQ(repository().load("1").state.sum, 19);
}

TEST_F(Aggregates, AConflictIsDecidedAgainOnTheNewState) {
  add(1, 3);
  int rivals = 2;
  meddling.before_append = [&] {
    if (rivals == 0) return;
    --rivals;
    const auto again = std::exchange(meddling.before_append, nullptr);
    add(100, 100);
    meddling.before_append = again;
  };
  std::vector<std::int64_t> sums;
  const Executed<Ledger> executed = repository().execute("1", [&](const Ledger& ledger) {
    sums.push_back(ledger.sum);
    return added_each(ledger.sum, ledger.sum);
  });
  EXPECT_EQ(executed.result.status, AppendStatus::appended);
  EXPECT_EQ(executed.attempts, 3);
  EXPECT_EQ(sums, (Versions{6, 106, 206}));
  expect_loaded(executed.loaded, 5, 0);
  EXPECT_EQ(repository().load("1").state.sum, 412);
}

TEST_F(Aggregates, ConflictsAreGivenUpAtSomePoint) {
  add(1, 1);
  const std::function<void()> rival = [&] {
    meddling.before_append = nullptr;
    add(1, 1);
    meddling.before_append = rival;
  };
  meddling.before_append = rival;
  int decisions = 0;
  const Executed<Ledger> executed = repository({}, 3).execute("1", [&](const Ledger&) {
    ++decisions;
    return added_each(7, 7);
  });
  EXPECT_EQ(executed.result.status, AppendStatus::conflict);
  EXPECT_FALSE(executed.ok());
  ASSERT_TRUE(executed.result.conflict);
  EXPECT_EQ(executed.result.conflict->actual, Version(4));
  EXPECT_EQ(executed.attempts, 3);
  EXPECT_EQ(decisions, 3);
  expect_loaded(executed.loaded, 3, 0);
  EXPECT_EQ(store.stats().events, 4);
}

TEST_F(Aggregates, WhatDecidingThrowsComesThroughAndNothingIsWritten) {
  add(1, 3);
  Command command;
  command.key = {"default", "shop", "r"};
  command.type = "Add";
  const auto refuse = [](const Ledger&) -> std::vector<NewEvent> { throw std::domain_error("not enough"); };
  EXPECT_THROW(repository().execute("1", refuse), std::domain_error);
  EXPECT_THROW(repository().execute("1", refuse, command), std::domain_error);
  EXPECT_EQ(meddling.appends, 1);
  EXPECT_EQ(store.stats().events, 3);
  EXPECT_FALSE(store.is_command_processed(command.key));
  // It may be tried again.
  EXPECT_EQ(repository()
                .execute(
                    "1", [](const Ledger&) { return added_each(1, 1); }, command)
                .result.status,
            AppendStatus::appended);
}

TEST_F(Aggregates, ADecisionForNothingWritesNothing) {
  add(1, 3);
  meddling.appends = 0;
  const Executed<Ledger> executed = repository().execute("1", [](const Ledger&) { return std::vector<NewEvent>(); });
  EXPECT_EQ(executed.result.status, AppendStatus::appended);
  EXPECT_EQ(executed.result.streams.at(0).first_version, Version(4));
  EXPECT_EQ(executed.result.streams.at(0).last_version, Version(3));
  EXPECT_EQ(executed.result.last_position(), Position(0));
  EXPECT_EQ(meddling.appends, 0);
  EXPECT_EQ(store.stats().events, 3);
}

TEST_F(Aggregates, OptionsThatMakeNoSenseAreRefused) {
  const auto with = [&](auto change) {
    RepositoryOptions options;
    change(options);
    Repository<Ledger>(store, options);
  };
  EXPECT_ERROR(with([](RepositoryOptions& o) { o.attempts = 0; }), ErrorCode::invalid_argument, "attempts");
  EXPECT_ERROR(with([](RepositoryOptions& o) { o.first_pause = std::chrono::milliseconds(-1); }),
               ErrorCode::invalid_argument, "first_pause");
  EXPECT_ERROR(with([](RepositoryOptions& o) { o.snapshots.every_events = -1; }), ErrorCode::invalid_argument,
               "every_events");
  EXPECT_ERROR(with([](RepositoryOptions& o) { o.snapshots.every_minutes = std::chrono::minutes(-1); }),
               ErrorCode::invalid_argument, "every_minutes");
  EXPECT_ERROR(with([](RepositoryOptions& o) { o.snapshots.keep = -1; }), ErrorCode::invalid_argument, "keep");
  EXPECT_ERROR(repository().load(""), ErrorCode::invalid_argument, "stream_id");
  EXPECT_ERROR(repository().load("1", Version(-1)), ErrorCode::invalid_argument, "");
}

// --- Commands

class AggregateCommands : public Aggregates {
 protected:
  static Command command(std::string request_id = "r") {
    Command made;
    made.key = {"default", "shop", std::move(request_id)};
    made.type = "Add";
    made.actor = Actor{ActorType::user, "ada"};
    made.channel = Channel::api;
    made.data = Json(R"({"amount": 1.0})");
    return made;
  }

  Executed<Ledger> execute(std::optional<Command> wanted, std::int64_t n = 1) {
    return repository().execute(
        "1",
        [&](const Ledger&) {
          ++decisions;
          return added_each(n, n);
        },
        std::move(wanted));
  }

  std::atomic<int> decisions{0};
};

TEST_F(AggregateCommands, AreRecordedWithTheirStream) {
  EXPECT_EQ(execute(command()).result.status, AppendStatus::appended);
  const std::optional<CommandRecord> record = store.find_command(command().key);
  ASSERT_TRUE(record);
  EXPECT_EQ(record->stream, key);
  EXPECT_EQ(record->outcome.at(0).last_version, Version(1));
}

TEST_F(AggregateCommands, ThatAreKnownAreNotDecidedAgain) {
  const Executed<Ledger> first = execute(command());
  add(5, 9);
  const Executed<Ledger> again = execute(command(), 77);
  EXPECT_EQ(again.result.status, AppendStatus::replayed);
  EXPECT_EQ(again.result.streams, first.result.streams);
  EXPECT_EQ(again.attempts, 0);
  EXPECT_EQ(again.loaded.stream, key);
  EXPECT_EQ(again.loaded.version, Version(0));
  EXPECT_EQ(decisions, 1);
  // The same as JSON.
  Command same = command();
  same.data = Json(R"({"amount":1})");
  EXPECT_EQ(execute(same).result.status, AppendStatus::replayed);
  EXPECT_EQ(store.stats().events, 6);
}

TEST_F(AggregateCommands, ThatAreKnownWithAnotherContentAreRefused) {
  ASSERT_TRUE(execute(command()).ok());
  const auto refused = [&](auto change) {
    Command other = command();
    change(other);
    const Executed<Ledger> executed = execute(other);
    EXPECT_EQ(executed.result.status, AppendStatus::request_id_reused);
    EXPECT_FALSE(executed.ok());
    EXPECT_TRUE(testing::contains(executed.result.detail, "shop:r"));
    EXPECT_TRUE(executed.result.streams.empty());
  };
  refused([](Command& c) { c.type = "Subtract"; });
  refused([](Command& c) { c.actor.reset(); });
  refused([](Command& c) { c.actor->id = "bob"; });
  refused([](Command& c) { c.channel = Channel::ui; });
  refused([](Command& c) { c.data = Json(R"({"amount":2})"); });
  refused([](Command& c) { c.data.reset(); });
  refused([](Command& c) { c.stream = StreamKey("ledger", "2"); });
  refused([](Command& c) { c.command_id = Uuid::v7(); });
  const Executed<Ledger> elsewhere = repository().execute(
      "2", [](const Ledger&) { return added_each(1, 1); }, command());
  EXPECT_EQ(elsewhere.result.status, AppendStatus::request_id_reused);
  EXPECT_EQ(decisions, 1);
  EXPECT_EQ(store.stats().events, 1);
}

TEST_F(AggregateCommands, WhoseIdBelongsToAnotherAreRefused) {
  Command first = command("r1");
  first.command_id = Uuid::v7();
  ASSERT_TRUE(execute(first).ok());
  EXPECT_EQ(execute(first).result.status, AppendStatus::replayed);
  Command second = command("r2");
  second.command_id = first.command_id;
  EXPECT_EQ(execute(second).result.status, AppendStatus::request_id_reused);
  EXPECT_EQ(store.stats().events, 1);
}

TEST_F(AggregateCommands, WithoutEventsAreRecorded) {
  const auto nothing = [&](const Ledger&) {
    ++decisions;
    return std::vector<NewEvent>();
  };
  EXPECT_EQ(repository().execute("1", nothing, command()).result.status, AppendStatus::appended);
  EXPECT_EQ(store.find_command(command().key)->stream, key);
  const Executed<Ledger> again = repository().execute("1", nothing, command());
  EXPECT_EQ(again.result.status, AppendStatus::replayed);
  EXPECT_EQ(decisions, 1);
  EXPECT_EQ(store.stats().events, 0);
}

TEST_F(AggregateCommands, OfAnotherTenantAreRefusedBeforeAnythingIsDone) {
  Command theirs = command();
  theirs.key.tenant = "acme";
  EXPECT_ERROR(execute(theirs), ErrorCode::invalid_argument, "tenant_id");
  EXPECT_EQ(decisions, 0);
}

/// Two callers with one command, both of which have decided before either appends.
TEST_F(AggregateCommands, RacersGetTheOutcomeOfTheFirst) {
  for (const bool same_decision : {true, false}) {
    for (const bool nothing_decided : {false, true}) {
      const std::string id = std::string(same_decision ? "same" : "other") + (nothing_decided ? "0" : "1");
      std::latch both_decided(2);
      meddling.before_append = [&] { both_decided.arrive_and_wait(); };
      const std::int64_t before = store.stats().events;
      std::array<Executed<Ledger>, 2> executed;
      {
        std::vector<std::jthread> racers;
        for (std::size_t i = 0; i < 2; ++i) {
          racers.emplace_back([&, i] {
            executed[i] = repository().execute(
                id,
                [&](const Ledger&) {
                  if (nothing_decided && i == 0) return std::vector<NewEvent>();
                  const std::int64_t n = same_decision ? 1 : static_cast<std::int64_t>(i);
                  return added_each(n, n);
                },
                command(id));
          });
        }
      }
      const std::size_t winner = executed[0].result.status == AppendStatus::appended ? 0 : 1;
      EXPECT_EQ(executed[winner].result.status, AppendStatus::appended);
      EXPECT_EQ(executed[1 - winner].result.status, AppendStatus::replayed);
      EXPECT_EQ(executed[0].result.streams, executed[1].result.streams);
      EXPECT_EQ(store.stats().events - before, nothing_decided && winner == 0 ? 0 : 1);
      EXPECT_EQ(executed[0].attempts + executed[1].attempts, 2);
    }
  }
}

TEST_F(AggregateCommands, RacersWithAnotherContentAreRefused) {
  std::latch both_decided(2);
  meddling.before_append = [&] { both_decided.arrive_and_wait(); };
  std::array<AppendStatus, 2> statuses{};
  {
    std::vector<std::jthread> racers;
    for (std::size_t i = 0; i < 2; ++i) {
      racers.emplace_back([&, i] {
        Command wanted = command();
        wanted.data = Json(R"({"amount":)" + std::to_string(i) + "}");
        statuses[i] = execute(wanted).result.status;
      });
    }
  }
  std::sort(statuses.begin(), statuses.end());
  EXPECT_EQ(statuses, (std::array{AppendStatus::appended, AppendStatus::request_id_reused}));
  EXPECT_EQ(store.stats().events, 1);
}

/// The same command comes through while the other one's state is being loaded, or lost its first attempt: what it
/// decides on is what it has done itself.
TEST_F(AggregateCommands, ThatWereDoneMeanwhileAreNotRefusedForWhatTheyDid) {
  for (const bool after_conflict : {false, true}) {
    const std::string id = after_conflict ? "conflict" : "load";
    int rivals = after_conflict ? 1 : 0;
    meddling.before_append = [&] {
      if (rivals-- == 1) store.append({"ledger", id}, ExpectedVersion::any(), {added(1)}).or_throw();
    };
    AppendResult of_twin;
    const auto decide = [&](const Ledger&) -> std::vector<NewEvent> {
      if (after_conflict && ++decisions == 1) return {added(5)};
      of_twin = repository()
                    .execute(
                        id, [](const Ledger&) { return added_each(5, 5); }, command(id))
                    .result;
      throw std::domain_error("holds less");
    };
    const Executed<Ledger> executed = repository().execute(id, decide, command(id));
    EXPECT_EQ(of_twin.status, AppendStatus::appended);
    EXPECT_EQ(executed.result.status, AppendStatus::replayed);
    EXPECT_EQ(executed.result.streams, of_twin.streams);
    EXPECT_EQ(executed.attempts, after_conflict ? 2 : 1);
  }
}

TEST_F(AggregateCommands, WhatCannotBeLookedUpDoesNotHideWhyItWasRefused) {
  const auto close_and_refuse = [&](const Ledger&) -> std::vector<NewEvent> {
    store.close();
    throw std::domain_error("holds less");
  };
  EXPECT_THROW(repository().execute("1", close_and_refuse, command()), std::domain_error);
}

TEST_F(AggregateCommands, AreDecidedOnceThoughTheStreamIsContended) {
  int rivals = 1;
  meddling.before_append = [&] {
    if (rivals-- <= 0) return;
    add(100, 100);
  };
  const Executed<Ledger> executed = execute(command());
  EXPECT_EQ(executed.result.status, AppendStatus::appended);
  EXPECT_EQ(executed.attempts, 2);
  EXPECT_EQ(execute(command()).result.streams, executed.result.streams);
}

// --- The law: with snapshots or without, the state is the same

TEST_F(Aggregates, FromSnapshotsAndEventsAreWhatAllEventsMakeThem) {
  const std::uint64_t seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random(seed);
  const auto pick = [&](std::int64_t low, std::int64_t high) {
    return std::uniform_int_distribution<std::int64_t>(low, high)(random);
  };
  for (int round = 0; round < 10; ++round) {
    const std::string id = "r" + std::to_string(round);
    const StreamKey stream("ledger", id);
    SnapshotPolicy policy{.every_events = pick(0, 20), .keep = static_cast<std::int32_t>(pick(0, 3))};
    const Repository<Ledger> ledgers = repository(policy);
    for (int step = 0; step < 40; ++step) {
      state_is_damaged = pick(0, 9) == 0;
      state_is_stubborn = pick(0, 9) == 0;
      const Version version = store.stream_version(stream);
      const Version at(pick(0, version.value()));
      switch (pick(0, 4)) {
        case 0: ledgers.snapshot(ledgers.load(id)); break;
        case 1: ledgers.snapshot(ledgers.load(id, at)); break;
        case 2:
          store.delete_snapshots(
              {.stream_type = "ledger", .stream_id = id, .keep = static_cast<std::int32_t>(pick(0, 2))});
          break;
        default:
          ASSERT_TRUE(ledgers.execute(id, [&](const Ledger&) { return added_each(pick(-9, 0), pick(0, 5)); }).ok());
      }
      const auto from_all_events = [&](std::optional<Version> to) {
        Ledger state;
        for (const RecordedEvent& event : store.read_stream(stream, {.to = to})) state.apply(event);
        return state;
      };
      const Loaded<Ledger> now = ledgers.load(id);
      ASSERT_EQ(now.version, store.stream_version(stream));
      ASSERT_EQ(now.state, from_all_events({}));
      const Loaded<Ledger> then = ledgers.load(id, at);
      ASSERT_EQ(then.version, at);
      ASSERT_EQ(then.state, from_all_events(at));
    }
  }
}

}  // namespace
}  // namespace stele
