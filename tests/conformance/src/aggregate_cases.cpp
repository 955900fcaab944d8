// Aggregates: what a repository makes of the store's guarantees, and that snapshots change nothing but the time it
// takes.

#include <latch>
#include <nlohmann/json.hpp>
#include <numeric>
#include <random>
#include <stdexcept>

#include "stele/aggregate.h"
#include "stele/testing/forwarding_driver.h"
#include "support.h"

namespace stele::testing {
namespace {

/// Sensitive to every event and to their order.
struct Tally {
  static constexpr std::string_view stream_type = "thing";
  static constexpr std::int32_t snapshot_schema_version = 3;

  int count = 0;
  std::int64_t sum = 0;
  std::uint64_t hash = 7;

  void apply(const RecordedEvent& event) {
    const std::int64_t n = event.data.value().at("n").get<std::int64_t>();
    ++count;
    sum += n;
    hash = hash * 1'000'003 + static_cast<std::uint64_t>(n) + static_cast<std::uint64_t>(event.version.value());
  }
  Json to_snapshot() const { return Json(nlohmann::json{{"count", count}, {"sum", sum}, {"hash", hash}}); }
  static Tally from_snapshot(const Json& json) {
    const nlohmann::json value = json.value();
    return {value.at("count").get<int>(), value.at("sum").get<std::int64_t>(), value.at("hash").get<std::uint64_t>()};
  }
  friend bool operator==(const Tally&, const Tally&) = default;
};

Repository<Tally> tallies(EventStore& store, SnapshotPolicy policy = {}, std::int32_t attempts = 5) {
  RepositoryOptions options;
  options.snapshots = std::move(policy);
  options.attempts = attempts;
  options.first_pause = std::chrono::milliseconds(1);
  return Repository<Tally>(store, std::move(options));
}

Tally from_all_events(EventStore& store, const StreamKey& stream, std::optional<Version> to = {}) {
  Tally state;
  for (const RecordedEvent& event : stream_events(store, stream, {.to = to})) state.apply(event);
  return state;
}

void expect_loaded(EventStore& store, const Loaded<Tally>& loaded, std::int64_t version,
                   std::int64_t snapshot_version) {
  EXPECT_EQ(loaded.version, Version(version));
  EXPECT_EQ(loaded.snapshot_version, Version(snapshot_version));
  EXPECT_EQ(loaded.state, from_all_events(store, loaded.stream, Version(version)));
}

std::vector<std::int64_t> snapshot_versions(EventStore& store) {
  std::vector<std::int64_t> found;
  for (const SnapshotInfo& info : store.list_snapshots()) found.push_back(info.version.value());
  return found;
}

// --- Loading

void the_latest_snapshot_that_helps(Harness& harness) {
  EventStore store = open_store(harness);
  store.append(thing("a"), ExpectedVersion::any(), events(250));
  const Repository<Tally> repository = tallies(store);
  expect_loaded(store, repository.load("a"), 250, 0);
  ASSERT_TRUE(repository.snapshot(repository.load("a", Version(100))));
  ASSERT_TRUE(repository.snapshot(repository.load("a", Version(200))));
  expect_loaded(store, repository.load("a"), 250, 200);
  expect_loaded(store, repository.load("a", Version(200)), 200, 200);
  expect_loaded(store, repository.load("a", Version(199)), 199, 100);
  expect_loaded(store, repository.load("a", Version(99)), 99, 0);
  expect_loaded(store, repository.load("missing"), 0, 0);
  EXPECT_FALSE(repository.snapshot(repository.load("missing")));
}

void snapshots_of_another_form_or_damaged(Harness& harness) {
  EventStore store = open_store(harness);
  store.append(thing("a"), ExpectedVersion::any(), events(30));
  const Repository<Tally> repository = tallies(store);
  ASSERT_TRUE(repository.snapshot(repository.load("a", Version(10))));
  Snapshot other;
  other.stream = thing("a");
  other.version = Version(20);
  other.schema_version = 2;
  other.state = json(R"({"count":1,"sum":-1,"hash":1})");
  ASSERT_TRUE(store.save_snapshot(other));
  expect_loaded(store, repository.load("a"), 30, 10);
  other.schema_version = Tally::snapshot_schema_version;
  other.state = json(R"({"sum":"many"})");
  ASSERT_TRUE(store.save_snapshot(other));
  expect_loaded(store, repository.load("a"), 30, 0);
  expect_loaded(store, repository.load("a", Version(19)), 19, 10);
}

void snapshots_by_policy(Harness& harness) {
  EventStore store = open_store(harness);
  const Repository<Tally> repository = tallies(store, {.every_events = 10, .keep = 2});
  for (int i = 0; i < 15; ++i) {
    expect_status(AppendStatus::appended, repository.execute("a", [](const Tally&) { return events(4); }).result);
  }
  EXPECT_EQ(snapshot_versions(store), (std::vector<std::int64_t>{60, 48}));
  expect_loaded(store, repository.load("a"), 60, 60);
}

void any_snapshots_make_the_same_state(Harness& harness) {
  EventStore store = open_store(harness);
  const std::uint64_t used = seed();
  SCOPED_TRACE("STELE_SEED=" + std::to_string(used));
  std::mt19937_64 random(used);
  const auto pick = [&](std::int64_t low, std::int64_t high) {
    return std::uniform_int_distribution<std::int64_t>(low, high)(random);
  };
  for (int round = 0; round < rounds(10); ++round) {
    const std::string id = "r" + std::to_string(round);
    const Repository<Tally> repository =
        tallies(store, {.every_events = pick(0, 12), .keep = static_cast<std::int32_t>(pick(0, 3))});
    for (int step = 0; step < 25; ++step) {
      const Version version = store.stream_version(thing(id));
      const Version at(pick(0, version.value()));
      switch (pick(0, 4)) {
        case 0: repository.snapshot(repository.load(id)); break;
        case 1: repository.snapshot(repository.load(id, at)); break;
        case 2:
          store.delete_snapshots(
              {.stream_type = "thing", .stream_id = id, .keep = static_cast<std::int32_t>(pick(0, 2))});
          break;
        default:
          repository
              .execute(
                  id, [&](const Tally&) { return events(static_cast<int>(pick(0, 9)), static_cast<int>(pick(-9, 9))); })
              .result.or_throw();
      }
      const Loaded<Tally> now = repository.load(id);
      ASSERT_EQ(now.version, store.stream_version(thing(id)));
      ASSERT_EQ(now.state, from_all_events(store, thing(id)));
      ASSERT_EQ(repository.load(id, at).state, from_all_events(store, thing(id), at));
    }
  }
}

void events_are_of_today(Harness& harness) {
  EventStore store = open_store(harness);
  auto upcasters = std::make_shared<Upcasters>();
  upcasters->add({"doubled", 1}, {{"happened", 1}}, [](const RecordedEvent& event) {
    RecordedEvent one = event;
    one.type = "happened";
    return std::vector<RecordedEvent>{one, one};
  });
  upcasters->drop({"dropped", 1});
  store.use_upcasters(upcasters);
  store.append(thing("a"), ExpectedVersion::any(),
               {event("happened", R"({"n":1})"), event("doubled", R"({"n":10})"), event("dropped", R"({"n":100})")});
  const Repository<Tally> repository = tallies(store);
  EXPECT_EQ(repository.load("a").state.sum, 21);
  EXPECT_EQ(repository.load("a").version, Version(3));
  ASSERT_TRUE(repository.snapshot(repository.load("a")));
  const Executed<Tally> executed = repository.execute("a", [](const Tally& tally) {
    EXPECT_EQ(tally.sum, 21);
    return events(1, 5);
  });
  expect_appended(executed.result, 4, 4);
  EXPECT_EQ(executed.attempts, 1);
  EXPECT_EQ(repository.load("a").state.sum, 26);
}

// --- Deciding

void decisions_of_many_callers(Harness& harness) {
  EventStore store = open_store(harness);
  constexpr int callers = 4;
  const int each = rounds(20, 5);
  const Repository<Tally> repository = tallies(store, {.every_events = 7, .keep = 1}, 1'000);
  in_threads(callers, [&](int) {
    for (int i = 0; i < each; ++i) {
      // A decision on an old state would be a number that is there already.
      const auto next = [](const Tally& tally) { return events(1, tally.count + 1); };
      repository.execute("a", next).result.or_throw();
    }
  });
  std::vector<int> wanted(static_cast<std::size_t>(callers * each));
  std::iota(wanted.begin(), wanted.end(), 1);
  expect_numbers(store, thing("a"), wanted);
}

void what_deciding_throws(Harness& harness) {
  EventStore store = open_store(harness);
  store.append(thing("a"), ExpectedVersion::any(), events(3));
  expect_nothing_written(store, [&] {
    const auto refuse = [](const Tally&) -> std::vector<NewEvent> { throw std::domain_error("not enough"); };
    EXPECT_THROW(tallies(store).execute("a", refuse), std::domain_error);
    EXPECT_THROW(tallies(store).execute("a", refuse, command("r1")), std::domain_error);
    const auto nothing = [](const Tally&) { return std::vector<NewEvent>(); };
    expect_status(AppendStatus::appended, tallies(store).execute("a", nothing).result);
  });
  EXPECT_EQ(tallies(store).load("a").state.sum, 6);
}

void a_conflict_that_stays(Harness& harness) {
  EventStore store = open_store(harness);
  store.append(thing("a"), ExpectedVersion::any(), events(1));
  int decisions = 0;
  const Executed<Tally> executed = tallies(store, {}, 3).execute("a", [&](const Tally&) {
    ++decisions;
    store.append(thing("a"), ExpectedVersion::any(), events(1)).or_throw();
    return events(1, 100);
  });
  expect_conflict(executed.result, thing("a"), ExpectedVersion::exactly(3), 4);
  EXPECT_EQ(decisions, 3);
  EXPECT_EQ(executed.attempts, 3);
}

// --- Commands

void a_known_command_is_not_decided(Harness& harness) {
  EventStore store = open_store(harness);
  const Repository<Tally> repository = tallies(store);
  Command asked = command("r1");
  asked.actor = Actor{ActorType::agent, "robot 7"};
  asked.channel = Channel::webhook;
  asked.data = json(R"({"wanted":12345678901234567890.10,"tags":["ä",null]})");
  int decisions = 0;
  const auto decide = [&](const Tally&) { return events(++decisions); };
  const Executed<Tally> first = repository.execute("a", decide, asked);
  expect_appended(first.result, 1, 1);
  store.append(thing("a"), ExpectedVersion::any(), events(5));
  const Executed<Tally> again = repository.execute("a", decide, asked);
  expect_replay_of(first.result, again.result);
  EXPECT_EQ(again.attempts, 0);
  asked.actor->id = "robot 8";
  expect_status(AppendStatus::request_id_reused, repository.execute("a", decide, asked).result);
  asked.actor->id = "robot 7";
  expect_status(AppendStatus::request_id_reused, repository.execute("b", decide, asked).result);
  EXPECT_EQ(decisions, 1);
}

// Who may not see a command's data still makes it once.
void a_known_command_whose_data_is_withheld(Harness& harness) {
  EventStore store = open_store(harness);
  Command made = command("r1");
  made.data = json(R"({"amount":12345678901234567890.10})");
  const auto two = [](const Tally&) { return events(2); };
  const AppendResult first = tallies(store).execute("a", two, made).result.or_throw();
  EventStore blind(harness.open(), {.clearance = Clearance::none});
  expect_replay_of(first, tallies(blind).execute("a", two, made).result);
  made.type = "another";
  expect_status(AppendStatus::request_id_reused, tallies(blind).execute("a", two, made).result);
  EXPECT_EQ(store.stream_version(thing("a")), Version(2));
}

void a_command_without_events(Harness& harness) {
  EventStore store = open_store(harness);
  const auto nothing = [](const Tally&) { return std::vector<NewEvent>(); };
  const auto something = [](const Tally&) { return events(1); };
  expect_status(AppendStatus::appended, tallies(store).execute("a", nothing, command("r1")).result);
  EXPECT_EQ(store.find_command(command("r1").key).value().stream, thing("a"));
  expect_status(AppendStatus::replayed, tallies(store).execute("a", something, command("r1")).result);
  EXPECT_TRUE(stream_events(store, thing("a")).empty());
}

/// Holds appends until so many are there.
class Gathered final : public ForwardingDriver {
 public:
  Gathered(std::shared_ptr<driver::Driver> inner, std::latch& gathered)
      : ForwardingDriver(std::move(inner)), gathered_(gathered) {}

  std::vector<driver::AppendAnswer> append(std::span<const driver::PreparedAppend> appends) override {
    gathered_.arrive_and_wait();
    return ForwardingDriver::append(appends);
  }

 private:
  std::latch& gathered_;
};

/// All of them have decided, each in its own way, before any appends.
void racers_with_one_command(Harness& harness) {
  constexpr int racers = 4;
  std::latch decided(racers);
  EventStore store(std::make_unique<Gathered>(harness.open(), decided));
  std::vector<Executed<Tally>> executed(racers);
  in_threads(racers, [&](int racer) {
    executed[static_cast<std::size_t>(racer)] = tallies(store).execute(
        "a", [&](const Tally&) { return events(racer + 1); }, command("r1"));
  });
  int first = 0;
  for (const Executed<Tally>& one : executed) {
    EXPECT_TRUE(one.ok()) << describe(one.result);
    EXPECT_EQ(one.result.streams, executed[0].result.streams);
    first += one.result.status == AppendStatus::appended ? 1 : 0;
  }
  EXPECT_EQ(first, 1);
  ASSERT_EQ(executed[0].result.streams.size(), 1U);
  EXPECT_EQ(store.stream_version(thing("a")), executed[0].result.streams[0].last_version);
}

constexpr Case all_aggregate_cases[] = {
    {"API", "the_latest_snapshot_that_helps", needs_read_models, the_latest_snapshot_that_helps},
    {"API", "snapshots_of_another_form_or_damaged", needs_read_models, snapshots_of_another_form_or_damaged},
    {"API", "snapshots_by_policy", needs_read_models, snapshots_by_policy},
    {"API", "any_snapshots_make_the_same_state", needs_read_models, any_snapshots_make_the_same_state},
    {"API", "events_are_of_today", needs_read_models, events_are_of_today},
    {"G3", "decisions_of_many_callers", decisions_of_many_callers},
    {"G3", "a_conflict_that_stays", a_conflict_that_stays},
    {"API", "what_deciding_throws", what_deciding_throws},
    {"G5", "a_known_command_is_not_decided", a_known_command_is_not_decided},
    {"G5", "a_known_command_whose_data_is_withheld", a_known_command_whose_data_is_withheld},
    {"G5", "a_command_without_events", a_command_without_events},
    {"G5", "racers_with_one_command", racers_with_one_command},
};

}  // namespace

std::span<const Case> aggregate_cases() {
  return all_aggregate_cases;
}

}  // namespace stele::testing
