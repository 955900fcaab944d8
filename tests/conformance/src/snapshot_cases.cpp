// Snapshots: what is kept, what is found, what is deleted.
#include <algorithm>
#include <limits>

#include "support.h"

namespace stele::testing {
namespace {

using driver::Driver;

constexpr Version latest{std::numeric_limits<std::int64_t>::max()};

Snapshot snapshot_of(const StreamKey& stream, std::int64_t version, std::string state = R"({"n":1})",
                     std::int32_t schema_version = 1) {
  Snapshot snapshot;
  snapshot.stream = stream;
  snapshot.version = Version(version);
  snapshot.schema_version = schema_version;
  snapshot.state = json(std::move(state));
  snapshot.snapshot_id = Uuid::v7();
  return snapshot;
}

/// A driver whose stream has this many events.
std::unique_ptr<Driver> with_events(Harness& harness, const std::vector<StreamKey>& streams, int count) {
  EventStore store = open_store(harness);
  for (const StreamKey& stream : streams) store.append(stream, ExpectedVersion::any(), events(count));
  return harness.open();
}

std::int64_t found_version(Driver& driver, const StreamKey& stream, Version at_or_below = latest,
                           std::optional<std::int32_t> schema_version = {}) {
  const std::optional<Snapshot> found = driver.find_snapshot(stream, at_or_below, schema_version);
  return found ? found->version.value() : 0;
}

std::vector<std::string> listed(Driver& driver, const SnapshotListOptions& options = {}) {
  std::vector<std::string> list;
  for (const SnapshotInfo& info : driver.list_snapshots(options)) {
    list.push_back(info.stream.type + "/" + info.stream.id + "@" + std::to_string(info.version.value()));
  }
  return list;
}

void what_was_saved_is_found(Harness& harness) {
  const auto driver = with_events(harness, {thing("a")}, 10);
  Snapshot saved =
      snapshot_of(thing("a"), 7, R"({"big":12345678901234567890.123456789,"text":"ä €😀","list":[1,null]})", 3);
  saved.metadata = json(R"({"made_by":"test"})");
  const Timestamp before = Timestamp::from_micros(Timestamp::now().micros() - 60'000'000);
  ASSERT_TRUE(driver->save_snapshot(saved));
  const std::optional<Snapshot> found = driver->find_snapshot(thing("a"), latest, std::nullopt);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->stream, saved.stream);
  EXPECT_EQ(found->version, saved.version);
  EXPECT_EQ(found->schema_version, 3);
  EXPECT_EQ(found->state.canonical(), saved.state.canonical());
  ASSERT_TRUE(found->metadata);
  EXPECT_EQ(found->metadata->canonical(), saved.metadata->canonical());
  EXPECT_EQ(found->snapshot_id, saved.snapshot_id);
  EXPECT_GT(found->recorded_at, before);
  EXPECT_FALSE(harness.open()->find_snapshot(thing("A"), latest, std::nullopt)) << "keys compare byte for byte";
}

void the_latest_at_or_below_a_version(Harness& harness) {
  const auto driver = with_events(harness, {thing("a")}, 30);
  for (const int version : {20, 10, 30}) ASSERT_TRUE(driver->save_snapshot(snapshot_of(thing("a"), version)));
  EXPECT_EQ(found_version(*driver, thing("a")), 30);
  EXPECT_EQ(found_version(*driver, thing("a"), Version(30)), 30);
  EXPECT_EQ(found_version(*driver, thing("a"), Version(29)), 20);
  EXPECT_EQ(found_version(*driver, thing("a"), Version(10)), 10);
  EXPECT_EQ(found_version(*driver, thing("a"), Version(9)), 0);
  EXPECT_EQ(found_version(*driver, thing("b")), 0);
}

void another_schema_version_is_passed_over(Harness& harness) {
  const auto driver = with_events(harness, {thing("a")}, 30);
  ASSERT_TRUE(driver->save_snapshot(snapshot_of(thing("a"), 10, "{}", 1)));
  ASSERT_TRUE(driver->save_snapshot(snapshot_of(thing("a"), 20, "{}", 2)));
  EXPECT_EQ(found_version(*driver, thing("a"), latest, 1), 10);
  EXPECT_EQ(found_version(*driver, thing("a"), latest, 2), 20);
  EXPECT_EQ(found_version(*driver, thing("a"), latest, 3), 0);
  EXPECT_EQ(found_version(*driver, thing("a")), 20);
}

void none_is_kept_above_its_stream(Harness& harness) {
  const auto driver = with_events(harness, {thing("a")}, 5);
  EXPECT_FALSE(driver->save_snapshot(snapshot_of(thing("a"), 6)));
  EXPECT_FALSE(driver->save_snapshot(snapshot_of(thing("missing"), 1)));
  EXPECT_EQ(found_version(*driver, thing("a")), 0);
  EXPECT_EQ(found_version(*driver, thing("missing")), 0);
  EXPECT_TRUE(listed(*driver).empty());
  ASSERT_TRUE(driver->save_snapshot(snapshot_of(thing("a"), 5)));
  EXPECT_EQ(found_version(*driver, thing("a")), 5);
}

void a_second_one_of_a_version_takes_its_place(Harness& harness) {
  const auto driver = with_events(harness, {thing("a")}, 5);
  Snapshot first = snapshot_of(thing("a"), 5, R"({"n":1})", 1);
  first.metadata = json("{}");
  ASSERT_TRUE(driver->save_snapshot(first));
  const Snapshot second = snapshot_of(thing("a"), 5, R"({"n":2})", 2);
  ASSERT_TRUE(driver->save_snapshot(second));
  const std::optional<Snapshot> found = driver->find_snapshot(thing("a"), latest, std::nullopt);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->state.canonical(), R"({"n":2})");
  EXPECT_EQ(found->schema_version, 2);
  EXPECT_EQ(found->snapshot_id, second.snapshot_id);
  EXPECT_FALSE(found->metadata);
  EXPECT_EQ(driver->list_snapshots({}).size(), 1u);
  ASSERT_TRUE(driver->save_snapshot(second)) << "the same once more";
}

void a_snapshot_id_belongs_to_one(Harness& harness) {
  const auto driver = with_events(harness, {thing("a"), thing("b")}, 5);
  Snapshot snapshot = snapshot_of(thing("a"), 3);
  ASSERT_TRUE(driver->save_snapshot(snapshot));
  snapshot.version = Version(4);
  expect_error(ErrorCode::invalid_argument, "snapshot_id", [&] { driver->save_snapshot(snapshot); });
  snapshot.stream = thing("b");
  expect_error(ErrorCode::invalid_argument, "snapshot_id", [&] { driver->save_snapshot(snapshot); });
  EXPECT_EQ(listed(*driver), (std::vector<std::string>{"thing/a@3"}));
}

void a_list_is_ordered_and_goes_on(Harness& harness) {
  const std::vector<StreamKey> streams = {StreamKey("b", "1"), StreamKey("a", "ä"), StreamKey("a", "z"),
                                          StreamKey("B", "9"), StreamKey("other", "a", "x")};
  const auto driver = with_events(harness, streams, 3);
  for (const StreamKey& stream : streams) {
    for (const int version : {2, 1, 3}) ASSERT_TRUE(driver->save_snapshot(snapshot_of(stream, version)));
  }
  const std::vector<std::string> all = {"B/9@3", "B/9@2", "B/9@1", "a/z@3", "a/z@2", "a/z@1",
                                        "a/ä@3", "a/ä@2", "a/ä@1", "b/1@3", "b/1@2", "b/1@1"};
  EXPECT_EQ(listed(*driver), all);
  EXPECT_EQ(listed(*driver, {.stream_type = "a"}), std::vector<std::string>(all.begin() + 3, all.begin() + 9));
  EXPECT_EQ(listed(*driver, {.stream_type = "a", .stream_id = "ä"}),
            std::vector<std::string>(all.begin() + 6, all.begin() + 9));
  EXPECT_EQ(listed(*driver, {.tenant = "other"}), (std::vector<std::string>{"a/x@3", "a/x@2", "a/x@1"}));
  EXPECT_TRUE(listed(*driver, {.stream_type = "none"}).empty());
  for (const std::size_t limit : {1u, 2u, 5u, 12u}) {
    std::vector<std::string> pages;
    SnapshotListOptions options;
    options.limit = limit;
    for (;;) {
      const std::vector<SnapshotInfo> page = driver->list_snapshots(options);
      if (page.empty()) break;
      ASSERT_LE(page.size(), limit);
      for (const SnapshotInfo& info : page) {
        pages.push_back(info.stream.type + "/" + info.stream.id + "@" + std::to_string(info.version.value()));
      }
      options.after = page.back();
      ASSERT_LE(pages.size(), all.size());
    }
    EXPECT_EQ(pages, all) << limit;
  }
}

void a_list_tells_what_find_tells(Harness& harness) {
  const auto driver = with_events(harness, {thing("a")}, 5);
  const std::string state = R"({"p":")" + std::string(1'000, 'x') + "\"}";
  ASSERT_TRUE(driver->save_snapshot(snapshot_of(thing("a"), 5, state, 4)));
  const std::vector<SnapshotInfo> list = driver->list_snapshots({});
  ASSERT_EQ(list.size(), 1u);
  const std::optional<Snapshot> found = driver->find_snapshot(thing("a"), latest, std::nullopt);
  ASSERT_TRUE(found);
  EXPECT_EQ(list[0].snapshot_id, found->snapshot_id);
  EXPECT_EQ(list[0].schema_version, 4);
  EXPECT_EQ(list[0].recorded_at, found->recorded_at);
  EXPECT_GE(list[0].bytes, 900);
  EXPECT_LE(list[0].bytes, 1'200);
}

void a_deletion_keeps_the_latest(Harness& harness) {
  const auto driver = with_events(harness, {thing("a"), thing("b"), thing("c")}, 9);
  for (const int version : {9, 3, 5, 7, 1}) ASSERT_TRUE(driver->save_snapshot(snapshot_of(thing("a"), version)));
  for (const int version : {2, 4}) ASSERT_TRUE(driver->save_snapshot(snapshot_of(thing("b"), version)));
  ASSERT_TRUE(driver->save_snapshot(snapshot_of(thing("c"), 6)));
  EXPECT_EQ(driver->delete_snapshots({.keep = 2}), 3);
  EXPECT_EQ(listed(*driver),
            (std::vector<std::string>{"thing/a@9", "thing/a@7", "thing/b@4", "thing/b@2", "thing/c@6"}));
  EXPECT_EQ(driver->delete_snapshots({.keep = 2}), 0);
  EXPECT_EQ(driver->delete_snapshots({.stream_type = "thing", .stream_id = "b", .keep = 1}), 1);
  EXPECT_EQ(driver->delete_snapshots({.stream_type = "thing", .stream_id = "a"}), 2);
  EXPECT_EQ(listed(*driver), (std::vector<std::string>{"thing/b@4", "thing/c@6"}));
  EXPECT_EQ(driver->delete_snapshots({.keep = 100}), 0);
  EXPECT_EQ(driver->delete_snapshots({}), 2);
  EXPECT_TRUE(listed(*driver).empty());
}

void a_deletion_keeps_others(Harness& harness) {
  const std::vector<StreamKey> streams = {StreamKey("a", "1"), StreamKey("b", "1"), StreamKey("other", "a", "1")};
  const auto driver = with_events(harness, streams, 2);
  for (const StreamKey& stream : streams) ASSERT_TRUE(driver->save_snapshot(snapshot_of(stream, 2)));
  EXPECT_EQ(driver->delete_snapshots({.tenant = "nobody"}), 0);
  EXPECT_EQ(driver->delete_snapshots({.stream_type = "none"}), 0);
  EXPECT_EQ(driver->delete_snapshots({.stream_type = "a", .stream_id = "2"}), 0);
  EXPECT_EQ(driver->delete_snapshots({.stream_type = "a"}), 1);
  EXPECT_EQ(listed(*driver), (std::vector<std::string>{"b/1@2"}));
  EXPECT_EQ(listed(*driver, {.tenant = "other"}), (std::vector<std::string>{"a/1@2"}));
}

void a_deletion_keeps_the_young(Harness& harness) {
  const auto driver = with_events(harness, {thing("a")}, 9);
  for (const int version : {1, 2, 3}) ASSERT_TRUE(driver->save_snapshot(snapshot_of(thing("a"), version)));
  std::vector<SnapshotInfo> list = driver->list_snapshots({});
  ASSERT_EQ(list.size(), 3u);
  EXPECT_EQ(driver->delete_snapshots({.before = list.back().recorded_at}), 0) << "before is exclusive";
  const Timestamp later = Timestamp::from_micros(list.front().recorded_at.micros() + 1);
  EXPECT_EQ(driver->delete_snapshots({.keep = 1, .before = later}), 2);
  EXPECT_EQ(listed(*driver), (std::vector<std::string>{"thing/a@3"}));
  EXPECT_EQ(driver->delete_snapshots({.before = later}), 1);
}

void large_states_and_long_keys(Harness& harness) {
  const StreamKey longest(std::string(64, 't'), std::string(64, 'y'), std::string(255, 'i'));
  const auto driver = with_events(harness, {longest}, 1);
  const std::string state = "[\"" + std::string(4'000'000, 'x') + "\"]";
  ASSERT_TRUE(driver->save_snapshot(snapshot_of(longest, 1, state)));
  const std::optional<Snapshot> found = driver->find_snapshot(longest, latest, std::nullopt);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->state.canonical(), state);
}

void savers_race(Harness& harness) {
  const auto driver = with_events(harness, {thing("a")}, 3);
  in_threads(4, [&](int thread) {
    for (int i = 0; i < rounds(50, 10); ++i) {
      ASSERT_TRUE(driver->save_snapshot(
          snapshot_of(thing("a"), 1 + (thread + i) % 3, "{\"n\":" + std::to_string(thread) + "}")));
    }
  });
  EXPECT_EQ(listed(*driver), (std::vector<std::string>{"thing/a@3", "thing/a@2", "thing/a@1"}));
}

void appends_go_on_without_them(Harness& harness) {
  EventStore store = open_store(harness);
  store.append(thing("a"), ExpectedVersion::any(), events(3));
  ASSERT_TRUE(store.driver().save_snapshot(snapshot_of(thing("a"), 3)));
  store.append(thing("a"), ExpectedVersion::exactly(3), events(2, 4));
  EXPECT_EQ(found_version(store.driver(), thing("a")), 3);
  expect_numbers(store, thing("a"), {1, 2, 3, 4, 5});
  EXPECT_EQ(store.driver().delete_snapshots({}), 1);
  expect_numbers(store, thing("a"), {1, 2, 3, 4, 5});
}

constexpr Case all_snapshot_cases[] = {
    {"API", "what_was_saved_is_found", needs_read_models, what_was_saved_is_found},
    {"API", "the_latest_at_or_below_a_version", needs_read_models, the_latest_at_or_below_a_version},
    {"API", "another_schema_version_is_passed_over", needs_read_models, another_schema_version_is_passed_over},
    {"API", "none_is_kept_above_its_stream", needs_read_models, none_is_kept_above_its_stream},
    {"API", "a_second_one_of_a_version_takes_its_place", needs_read_models, a_second_one_of_a_version_takes_its_place},
    {"API", "a_snapshot_id_belongs_to_one", needs_read_models, a_snapshot_id_belongs_to_one},
    {"API", "a_list_is_ordered_and_goes_on", needs_read_models, a_list_is_ordered_and_goes_on},
    {"API", "a_list_tells_what_find_tells", needs_read_models, a_list_tells_what_find_tells},
    {"API", "a_deletion_keeps_the_latest", needs_read_models, a_deletion_keeps_the_latest},
    {"G14", "a_deletion_keeps_others", needs_read_models, a_deletion_keeps_others},
    {"API", "a_deletion_keeps_the_young", needs_read_models, a_deletion_keeps_the_young},
    {"API", "large_states_and_long_keys", needs_read_models, large_states_and_long_keys},
    {"API", "savers_race", needs_read_models, savers_race},
    {"API", "appends_go_on_without_them", needs_read_models, appends_go_on_without_them},
};

}  // namespace

std::span<const Case> snapshot_cases() {
  return all_snapshot_cases;
}

}  // namespace stele::testing
