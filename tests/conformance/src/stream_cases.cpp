// Stream info, lists of streams, and the store's counts.

#include <algorithm>
#include <chrono>
#include <thread>

#include "support.h"

namespace stele::testing {
namespace {

using Keys = std::vector<std::string>;

/// "type/id" of each.
Keys keys(const std::vector<StreamInfo>& list) {
  Keys found;
  for (const StreamInfo& info : list) found.push_back(info.stream.type + "/" + info.stream.id);
  return found;
}

void make(EventStore& store, const std::vector<StreamKey>& streams) {
  std::vector<AppendRequest> asked;
  for (const StreamKey& stream : streams) asked.push_back(request(stream, ExpectedVersion::no_stream(), events(1)));
  for (const AppendResult& result : store.append_all(asked)) expect_status(AppendStatus::appended, result);
}

void make_things(EventStore& store, const std::vector<std::string>& ids) {
  std::vector<StreamKey> streams;
  for (const std::string& id : ids) streams.push_back(thing(id));
  make(store, streams);
}

/// The ids of things that begin with `prefix`, read in one page and in pages of two.
Keys with_prefix(EventStore& store, const std::string& prefix) {
  Keys found;
  for (const StreamInfo& info : store.list_streams({.type = "thing", .id_prefix = prefix}))
    found.push_back(info.stream.id);
  Keys paged;
  StreamListOptions options{.type = "thing", .id_prefix = prefix, .limit = 2};
  while (true) {
    const std::vector<StreamInfo> page = store.list_streams(options);
    if (page.empty() || paged.size() > found.size()) break;
    for (const StreamInfo& info : page) paged.push_back(info.stream.id);
    options.after = page.back().stream;
  }
  EXPECT_EQ(paged, found) << "in pages of two";
  StreamListOptions any_type{.id_prefix = prefix};
  EXPECT_EQ(store.list_streams(any_type).size(), found.size()) << "without a type";
  return found;
}

// --- One stream

void info_of_a_stream(Harness& harness) {
  EventStore store = open_store(harness);
  EXPECT_FALSE(store.stream_info(thing("a")));
  store.append(thing("a"), ExpectedVersion::any(), events(2));
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  store.append(thing("a"), ExpectedVersion::any(), events(3, 3));
  store.append(thing("b"), ExpectedVersion::any(), events(1));
  const std::vector<RecordedEvent> stored = stream_events(store, thing("a"));
  ASSERT_EQ(stored.size(), 5u);
  ASSERT_LT(stored.front().recorded_at, stored.back().recorded_at);
  const std::optional<StreamInfo> info = store.stream_info(thing("a"));
  ASSERT_TRUE(info);
  EXPECT_EQ(*info, (StreamInfo{thing("a"), Version(5), stored.front().recorded_at, stored.back().recorded_at}));
  EXPECT_EQ(store.stream_version(thing("a")).value(), 5);
  const std::vector<StreamInfo> list = store.list_streams();
  ASSERT_EQ(list.size(), 2u);
  EXPECT_EQ(list.front(), *info);
}

void info_refuses_a_bad_key(Harness& harness) {
  EventStore store = open_store(harness);
  expect_error(ErrorCode::invalid_argument, "stream_id", [&] { store.stream_info(thing("")); });
  expect_error(ErrorCode::invalid_argument, "stream_type", [&] { store.stream_version({"", "a"}); });
  expect_error(ErrorCode::invalid_argument, "tenant_id", [&] { store.stream_info({"", "thing", "a"}); });
}

void what_creates_no_stream(Harness& harness) {
  EventStore store = open_store(harness);
  store.append(thing("empty"), ExpectedVersion::any(), {});
  store.append(thing("lost"), ExpectedVersion::stream_exists(), events(1));
  Command about = command("r1");
  about.stream = thing("subject");
  store.record_command(about);
  store.append(request(command("r2"), thing("checked"), ExpectedVersion::any(), {}));
  EXPECT_TRUE(stream_events(store, thing("read")).empty());
  for (const char* id : {"empty", "lost", "subject", "checked", "read"})
    EXPECT_FALSE(store.stream_info(thing(id))) << id;
  EXPECT_TRUE(store.list_streams().empty());
  EXPECT_EQ(store.stats().streams, 0);
}

// --- Lists

void a_list_is_in_byte_order(Harness& harness) {
  EventStore store = open_store(harness);
  make(store, {{"b", "1"},
               {"a", "z"},
               {"B", "x"},
               {"a", "Z"},
               {"a", "é"},
               {"a", "10"},
               {"a", "9"},
               {"a", "e"},
               {"á", "a"},
               {"a", "z z"},
               {"a b", "1"},
               {"a", "\xF0\x9F\x98\x80"},
               {"a", "\xEF\xBF\xBD"},
               {"a", "~"}});
  // U+FFFD sorts before U+1F600 by bytes, and behind it in UTF-16.
  EXPECT_EQ(keys(store.list_streams()), (Keys{"B/x", "a/10", "a/9", "a/Z", "a/e", "a/z", "a/z z", "a/~", "a/é",
                                              "a/\xEF\xBF\xBD", "a/\xF0\x9F\x98\x80", "a b/1", "b/1", "á/a"}));
}

void a_list_of_one_type(Harness& harness) {
  EventStore store = open_store(harness);
  make(store, {{"order", "2"}, {"order", "1"}, {"orders", "1"}, {"Order", "1"}, {"order ", "1"}, {"orde", "r"}});
  EXPECT_EQ(keys(store.list_streams({.type = "order"})), (Keys{"order/1", "order/2"}));
  EXPECT_EQ(keys(store.list_streams({.type = "order "})), (Keys{"order /1"}));
  EXPECT_EQ(keys(store.list_streams({.type = "Order"})), (Keys{"Order/1"}));
  EXPECT_TRUE(store.list_streams({.type = "ord%"}).empty());
  EXPECT_TRUE(store.list_streams({.type = "order_"}).empty());
}

void a_list_is_of_one_tenant(Harness& harness) {
  EventStore store = open_store(harness);
  make(store, {{"us", "thing", "1"}, {"them", "thing", "2"}, {"us", "other", "3"}, {"default", "thing", "4"}});
  EXPECT_EQ(keys(store.list_streams()), (Keys{"thing/4"}));
  EXPECT_EQ(keys(store.list_streams({.tenant = "us"})), (Keys{"other/3", "thing/1"}));
  EXPECT_EQ(keys(store.list_streams({.tenant = "us", .type = "thing"})), (Keys{"thing/1"}));
  EXPECT_EQ(keys(store.list_streams({.tenant = "them", .id_prefix = "2"})), (Keys{"thing/2"}));
  EXPECT_TRUE(store.list_streams({.tenant = "Us"}).empty());
}

void a_prefix_of_ids(Harness& harness) {
  EventStore store = open_store(harness);
  make_things(store, {"a", "ab", "abc", "abd", "ac", "b", "A", "Ab", "ab c", "ab ", "äb", "aB"});
  EXPECT_EQ(with_prefix(store, "ab"), (Keys{"ab", "ab ", "ab c", "abc", "abd"}));
  EXPECT_EQ(with_prefix(store, "ab "), (Keys{"ab ", "ab c"}));
  EXPECT_EQ(with_prefix(store, "abc"), (Keys{"abc"}));
  EXPECT_EQ(with_prefix(store, "A"), (Keys{"A", "Ab"}));
  EXPECT_EQ(with_prefix(store, "ä"), (Keys{"äb"}));
  EXPECT_EQ(with_prefix(store, "").size(), 12u);
  EXPECT_TRUE(with_prefix(store, "abcd").empty());
  EXPECT_TRUE(with_prefix(store, "B").empty());
}

void a_prefix_has_no_wildcards(Harness& harness) {
  EventStore store = open_store(harness);
  make_things(store, {"100%", "100% sure", "1000", "a_b", "a_c", "axb", "a*b", "a?b", "[ab]", "a\\b", "a\\%", "'", "''",
                      "a'b", "%", "_"});
  EXPECT_EQ(with_prefix(store, "100%"), (Keys{"100%", "100% sure"}));
  EXPECT_EQ(with_prefix(store, "a_"), (Keys{"a_b", "a_c"}));
  EXPECT_EQ(with_prefix(store, "%"), (Keys{"%"}));
  EXPECT_EQ(with_prefix(store, "_"), (Keys{"_"}));
  EXPECT_EQ(with_prefix(store, "a*"), (Keys{"a*b"}));
  EXPECT_EQ(with_prefix(store, "a?"), (Keys{"a?b"}));
  EXPECT_EQ(with_prefix(store, "[a"), (Keys{"[ab]"}));
  EXPECT_EQ(with_prefix(store, "a\\"), (Keys{"a\\%", "a\\b"}));
  EXPECT_EQ(with_prefix(store, "'"), (Keys{"'", "''"}));
}

void a_prefix_of_any_character(Harness& harness) {
  EventStore store = open_store(harness);
  // The last byte of each prefix is the hardest to count up from: where a character, or all of Unicode, ends.
  const Keys last_of_their_kind{"\x7F",         "\xC2\xBF",         "\xDF\xBF",        "\xED\x9F\xBF",
                                "\xEF\xBF\xBF", "\xF0\x9F\xBF\xBF", "\xF4\x8F\xBF\xBF"};
  Keys ids{"a", "\xEE\x80\x80", "\xC3\x80"};
  for (const std::string& last : last_of_their_kind) {
    for (const char* rest : {"", "x", "\xF4\x8F\xBF\xBF", "\x01"}) {
      ids.push_back(last + rest);
      ids.push_back("k" + last + rest);
    }
    ids.push_back("k" + last + last + last);
  }
  std::sort(ids.begin(), ids.end());
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
  make_things(store, ids);
  const auto expected = [&](const std::string& prefix) {
    Keys wanted;
    for (const std::string& id : ids) {
      if (id.starts_with(prefix)) wanted.push_back(id);
    }
    return wanted;
  };
  EXPECT_EQ(with_prefix(store, ""), ids);
  for (const std::string& last : last_of_their_kind) {
    EXPECT_EQ(with_prefix(store, last), expected(last));
    EXPECT_EQ(with_prefix(store, "k" + last), expected("k" + last));
    EXPECT_EQ(with_prefix(store, "k" + last + last), expected("k" + last + last));
  }
}

void a_prefix_as_long_as_an_id(Harness& harness) {
  EventStore store = open_store(harness);
  std::string longest;
  while (longest.size() + 4 <= 255) longest += "\xF4\x8F\xBF\xBF";
  longest += std::string(255 - longest.size(), '\x7F');
  make_things(store, {longest, longest.substr(0, 8)});
  EXPECT_EQ(with_prefix(store, longest), (Keys{longest}));
  EXPECT_EQ(with_prefix(store, longest.substr(0, 8)).size(), 2u);
  expect_error(ErrorCode::too_large, "prefix", [&] { store.list_streams({.id_prefix = longest + "x"}); });
}

void a_prefix_across_types(Harness& harness) {
  EventStore store = open_store(harness);
  make(store, {{"b", "x1"}, {"a", "x2"}, {"a", "y1"}, {"c", "x1"}, {"c", "w"}});
  EXPECT_EQ(keys(store.list_streams({.id_prefix = "x"})), (Keys{"a/x2", "b/x1", "c/x1"}));
  EXPECT_EQ(keys(store.list_streams({.id_prefix = "x", .after = StreamKey("a", "x2"), .limit = 1})), (Keys{"b/x1"}));
}

// --- Pages

void a_list_in_pages(Harness& harness) {
  EventStore store = open_store(harness);
  std::vector<StreamKey> streams;
  for (int i = 0; i < 130; ++i) streams.emplace_back("type-" + std::to_string(i % 3), "s" + std::to_string(i));
  make(store, streams);
  std::sort(streams.begin(), streams.end());
  Keys wanted;
  for (const StreamKey& stream : streams) wanted.push_back(stream.type + "/" + stream.id);
  EXPECT_EQ(keys(store.list_streams()), Keys(wanted.begin(), wanted.begin() + 100));
  for (const std::size_t limit : {1u, 7u, 13u, 64u, 129u, 130u, 131u, 10'000u}) {
    Keys found;
    StreamListOptions options{.limit = limit};
    while (found.size() <= wanted.size()) {
      const std::vector<StreamInfo> page = store.list_streams(options);
      EXPECT_LE(page.size(), limit);
      if (page.empty()) break;
      for (const std::string& key : keys(page)) found.push_back(key);
      options.after = page.back().stream;
    }
    EXPECT_EQ(found, wanted) << "in pages of " << limit;
  }
}

void a_page_after_what_does_not_exist(Harness& harness) {
  EventStore store = open_store(harness);
  make(store, {{"b", "1"}, {"b", "3"}, {"d", "1"}});
  EXPECT_EQ(keys(store.list_streams({.after = StreamKey("b", "2")})), (Keys{"b/3", "d/1"}));
  EXPECT_EQ(keys(store.list_streams({.after = StreamKey("a", "9")})), (Keys{"b/1", "b/3", "d/1"}));
  EXPECT_EQ(keys(store.list_streams({.after = StreamKey("c", "0")})), (Keys{"d/1"}));
  EXPECT_TRUE(store.list_streams({.after = StreamKey("d", "1")}).empty());
  EXPECT_EQ(keys(store.list_streams({.type = "b", .after = StreamKey("b", "1")})), (Keys{"b/3"}));
  EXPECT_EQ(keys(store.list_streams({.type = "b", .after = StreamKey("a", "5")})), (Keys{"b/1", "b/3"}));
  EXPECT_TRUE(store.list_streams({.type = "b", .after = StreamKey("c", "0")}).empty());
  EXPECT_EQ(keys(store.list_streams({.type = "b", .id_prefix = "3", .after = StreamKey("b", "1")})), (Keys{"b/3"}));
  EXPECT_TRUE(store.list_streams({.id_prefix = "1", .after = StreamKey("d", "1")}).empty());
}

void a_page_size_has_limits(Harness& harness) {
  EventStore store = open_store(harness);
  make_things(store, {"a", "b"});
  EXPECT_EQ(store.list_streams({.limit = 1}).size(), 1u);
  EXPECT_EQ(store.list_streams({.limit = 10'000}).size(), 2u);
  expect_error(ErrorCode::invalid_argument, "limit", [&] { store.list_streams({.limit = 0}); });
  expect_error(ErrorCode::invalid_argument, "limit", [&] { store.list_streams({.limit = 10'001}); });
}

void a_list_refuses_bad_options(Harness& harness) {
  EventStore store = open_store(harness);
  expect_error(ErrorCode::invalid_argument, "tenant_id", [&] { store.list_streams({.tenant = ""}); });
  expect_error(ErrorCode::invalid_argument, "stream_type", [&] { store.list_streams({.type = ""}); });
  expect_error(ErrorCode::invalid_argument, "prefix", [&] { store.list_streams({.id_prefix = std::string(1, '\0')}); });
  expect_error(ErrorCode::invalid_argument, "stream_id", [&] { store.list_streams({.after = thing("")}); });
}

// --- Counts

void stats_count_everything(Harness& harness) {
  EventStore store = open_store(harness);
  const StoreStats empty = store.stats();
  EXPECT_EQ(empty.events, 0);
  EXPECT_EQ(empty.streams, 0);
  EXPECT_EQ(empty.commands, 0);
  EXPECT_EQ(empty.last_position.value(), 0);
  EXPECT_FALSE(empty.first_recorded_at || empty.last_recorded_at);
  EXPECT_TRUE(empty.events_by_type.empty());

  store.append(thing("a"), ExpectedVersion::any(), {event("rare"), event("common"), event("common")});
  store.append({"other", "thing", "a"}, ExpectedVersion::any(), {event("common"), event("also rare")});
  store.record_command(command("r1"));
  store.append(thing("b"), ExpectedVersion::stream_exists(), events(3));  // A conflict.
  const std::vector<RecordedEvent> all = log_events(store);
  ASSERT_EQ(all.size(), 5u);
  const StoreStats stats = store.stats();
  EXPECT_EQ(stats.events, 5);
  EXPECT_EQ(stats.streams, 2);
  EXPECT_EQ(stats.commands, 1);
  EXPECT_EQ(stats.last_position, all.back().position);
  EXPECT_EQ(stats.first_recorded_at, all.front().recorded_at);
  EXPECT_EQ(stats.last_recorded_at, all.back().recorded_at);
  EXPECT_EQ(stats.events_by_type,
            (std::vector<std::pair<std::string, std::int64_t>>{{"common", 3}, {"also rare", 1}, {"rare", 1}}));
  EXPECT_GE(stats.bytes, 0);
}

constexpr Case all_stream_cases[] = {
    {"G2", "info_of_a_stream", info_of_a_stream},
    {"G9", "info_refuses_a_bad_key", info_refuses_a_bad_key},
    {"G2", "what_creates_no_stream", what_creates_no_stream},
    {"G1", "a_list_is_in_byte_order", a_list_is_in_byte_order},
    {"G1", "a_list_of_one_type", a_list_of_one_type},
    {"G14", "a_list_is_of_one_tenant", a_list_is_of_one_tenant},
    {"G1", "a_prefix_of_ids", a_prefix_of_ids},
    {"G1", "a_prefix_has_no_wildcards", a_prefix_has_no_wildcards},
    {"G1", "a_prefix_of_any_character", a_prefix_of_any_character},
    {"G1", "a_prefix_as_long_as_an_id", a_prefix_as_long_as_an_id},
    {"API", "a_prefix_across_types", a_prefix_across_types},
    {"API", "a_list_in_pages", a_list_in_pages},
    {"API", "a_page_after_what_does_not_exist", a_page_after_what_does_not_exist},
    {"API", "a_page_size_has_limits", a_page_size_has_limits},
    {"G9", "a_list_refuses_bad_options", a_list_refuses_bad_options},
    {"API", "stats_count_everything", stats_count_everything},
};

}  // namespace

std::span<const Case> stream_cases() {
  return all_stream_cases;
}

}  // namespace stele::testing
