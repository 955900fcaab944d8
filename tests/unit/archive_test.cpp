// Archives: what is written, what is refused, and what reading one gives; retention; copies.
#include "stele/archive.h"

#include <gtest/gtest.h>
#include <zlib.h>

#include <array>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "error_of.h"
#include "memory_store.h"
#include "sha256.h"
#include "stele/copy.h"
#include "stele/event_json.h"
#include "stele/retention.h"

namespace stele {
namespace {

using std::string;
using testing::error_of;
using testing::event_of;
using testing::memory_store;

const Timestamp far = Timestamp::parse("2200-01-01T00:00:00Z");

/// A directory that goes when the test does.
class Directory {
 public:
  Directory() {
    string name = (std::filesystem::temp_directory_path() / "stele-archive-XXXXXX").string();
    path_ = ::mkdtemp(name.data());
  }
  ~Directory() { std::filesystem::remove_all(path_); }
  string file(const string& name) const { return (path_ / name).string(); }

 private:
  std::filesystem::path path_;
};

string read_bytes(const string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

void write_bytes(const string& path, const string& bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

std::vector<string> lines_of(const string& path) {
  const gzFile file = ::gzopen(path.c_str(), "rb");
  string text;
  std::array<char, 4096> part{};
  for (int size = 0; (size = ::gzread(file, part.data(), part.size())) > 0;) {
    text.append(part.data(), static_cast<std::size_t>(size));
  }
  ::gzclose(file);
  std::vector<string> lines;
  std::istringstream stream(text);
  for (string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

void write_lines(const string& path, const std::vector<string>& lines) {
  const gzFile file = ::gzopen(path.c_str(), "wb");
  for (const string& line : lines) ::gzputs(file, (line + "\n").c_str());
  ::gzclose(file);
}

/// The last line that fits the others, as one who edits an archive with care would make it.
string end_line(const std::vector<string>& lines, int events, int streams) {
  string text;
  for (const string& line : lines) text += line + "\n";
  return R"({"end":"stele archive 1","events":)" + std::to_string(events) + R"(,"streams":)" + std::to_string(streams) +
         R"(,"sha256":")" + detail::to_hex(detail::sha256(text)) + "\"}";
}

NewEvent rich_event(const string& type) {
  NewEvent event = event_of(type, R"({"amount": 1.50, "text": "Straße\n許可"})");
  event.event_version = 3;
  event.occurred_at = Timestamp::parse("2024-05-06T07:08:09.123456Z");
  event.valid_from = Timestamp::parse("2024-01-01T00:00:00Z");
  event.actor = Actor{ActorType::service, "till"};
  event.source = "shop";
  event.channel = Channel::api;
  event.idempotency_key = "key " + type;
  event.correlation_id = Uuid::v7();
  event.redaction_level = RedactionLevel::partial;
  event.contains_secrets = true;
  event.metadata = Json(R"({"b": [1, 2]})");
  event.display = Json(R"({"title": "x"})");
  event.attributes = {{"room", "7"}};
  return event;
}

/// account/1: Opened, Paid, Closed. account/2 of acme: Opened. order/1: Opened, Closed. Their events lie mixed in the
/// log, and there is a hole behind the first, for an archive that leaves out what is not closed.
EventStore filled_store() {
  EventStore store = memory_store();
  const auto append = [&](const StreamKey& stream, NewEvent event) {
    store.append(stream, ExpectedVersion::any(), {std::move(event)}).or_throw();
  };
  append({"account", "1"}, rich_event("Opened"));
  append({"still", "open"}, event_of("Opened"));
  append({"order", "1"}, event_of("Opened", R"([1, {"a": 12345678901234567890123.5}])"));
  AppendRequest paid;
  paid.streams.push_back({{"account", "1"}, ExpectedVersion::any(), {event_of("Paid"), event_of("Closed")}});
  paid.streams.push_back({{"order", "1"}, ExpectedVersion::any(), {event_of("Closed")}});
  paid.command.emplace();
  paid.command->key = {string(default_tenant), "till", "r-1"};
  paid.command->type = "Pay";
  paid.command->data = Json(R"({"by": "card"})");
  store.append(paid).or_throw();
  append({"acme", "account", "2"}, event_of("Closed"));
  return store;
}

ArchiveOptions closed_options() {
  ArchiveOptions options;
  options.before = far;
  options.closing_types = {"Closed", "Cancelled"};
  return options;
}

std::vector<string> all_lines(EventStore& store, LogReadOptions options = {}) {
  std::vector<string> lines;
  for (const RecordedEvent& event : store.read_log(std::move(options))) lines.push_back(to_json_line(event));
  return lines;
}

EventStore open_archive(const string& path) {
  Registry registry;
  register_archive_driver(registry);
  return EventStore::open(registry, "archive:" + path);
}

class ArchiveTest : public ::testing::Test {
 protected:
  string path() const { return directory_.file("a.gz"); }
  string other() const { return directory_.file("b.gz"); }
  std::vector<string> written() {
    EventStore store = filled_store();
    write_archive(store, path(), closed_options());
    return lines_of(path());
  }
  void expect_corrupt(const std::vector<string>& lines, const string& words) {
    write_lines(other(), lines);
    EXPECT_ERROR(verify_archive(other()), ErrorCode::corrupt, words);
  }
  /// With a last line that fits, so that only the fault itself can show.
  void expect_corrupt_with_good_end(std::vector<string> lines, int events, int streams, const string& words) {
    lines.back() = end_line({lines.begin(), lines.end() - 1}, events, streams);
    expect_corrupt(lines, words);
  }

  Directory directory_;
};

// --- Writing

TEST_F(ArchiveTest, HasWholeStreamsOneBehindTheOther) {
  EventStore store = filled_store();
  const ArchiveInfo info = write_archive(store, path(), closed_options());
  EXPECT_EQ(info.events, 6);
  EXPECT_EQ(info.streams, 3);
  EXPECT_EQ(info.tenants, (std::vector<string>{"acme", "default"}));
  const std::vector<string> lines = lines_of(path());
  ASSERT_EQ(lines.size(), 8U);
  EXPECT_EQ(lines[0].find(R"({"format":"stele archive 1","made_at":")"), 0U) << lines[0];
  EXPECT_NE(lines[0].find(R"("before":"2200-01-01T00:00:00Z","closing_types":["Closed","Cancelled"],)"
                          R"("tenants":["acme","default"]})"),
            string::npos)
      << lines[0];
  std::vector<string> expected;
  for (const StreamKey& stream :
       {StreamKey("acme", "account", "2"), StreamKey("account", "1"), StreamKey("order", "1")}) {
    for (const RecordedEvent& event : store.read_stream(stream)) expected.push_back(to_json_line(event));
  }
  EXPECT_EQ(std::vector<string>(lines.begin() + 1, lines.end() - 1), expected);
  EXPECT_EQ(lines.back(), end_line({lines.begin(), lines.end() - 1}, 6, 3));
  EXPECT_FALSE(std::filesystem::exists(path() + ".part"));

  const ArchiveInfo read = verify_archive(path());
  EXPECT_EQ(read.events, 6);
  EXPECT_EQ(read.streams, 3);
  EXPECT_EQ(read.made_at, info.made_at);
  EXPECT_EQ(read.before, far);
  EXPECT_EQ(read.closing_types, info.closing_types);
  EXPECT_EQ(read.tenants, info.tenants);
  EXPECT_EQ(read.sha256, info.sha256);
}

TEST_F(ArchiveTest, WhatIsClosed) {
  EventStore store = filled_store();
  ArchiveOptions options;
  options.before = far;
  EXPECT_EQ(write_archive(store, path(), options).streams, 4);
  options.tenants = {"acme"};
  EXPECT_EQ(write_archive(store, path(), options).streams, 1);
  options.tenants = {"acme", "nobody", "acme"};
  EXPECT_EQ(write_archive(store, path(), options).tenants, (std::vector<string>{"acme", "nobody"}));
  options.tenants.clear();
  options.closing_types = {"Opened"};
  EXPECT_EQ(write_archive(store, path(), options).events, 1) << "still/open";
  options.closing_types.clear();
  // Before the very time of the last event: exclusive.
  options.before = store.stream_info({"account", "1"})->created_at;
  EXPECT_EQ(write_archive(store, path(), options).events, 0);
  EXPECT_EQ(verify_archive(path()).streams, 0);
  options.before = store.stream_info({"acme", "account", "2"})->last_recorded_at;
  write_archive(store, path(), options);
  EXPECT_EQ(open_archive(path()).stream_version({"acme", "account", "2"}), Version(0));
  options.before = Timestamp::from_micros(store.stream_info({"acme", "account", "2"})->last_recorded_at.micros() + 1);
  EXPECT_EQ(write_archive(store, path(), options).streams, 4);
}

TEST_F(ArchiveTest, IsNotWrittenWithLessThanEverything) {
  EventStore less(testing::memory_driver(), {.clearance = Clearance::full});
  EXPECT_ERROR(write_archive(less, path(), closed_options()), ErrorCode::permission_denied, "full");
  EXPECT_ERROR(compare_archive(less, path()), ErrorCode::permission_denied, "full");
  EXPECT_FALSE(std::filesystem::exists(path()));
  EventStore store = filled_store();
  ArchiveOptions options = closed_options();
  options.closing_types = {""};
  EXPECT_ERROR(write_archive(store, path(), options), ErrorCode::invalid_argument, "event_type");
  options = closed_options();
  options.tenants = {""};
  EXPECT_ERROR(write_archive(store, path(), options), ErrorCode::invalid_argument, "tenant_id");
  EXPECT_FALSE(std::filesystem::exists(path() + ".part"));
}

TEST_F(ArchiveTest, TakesThePlaceOfAFileOnlyWhenItIsWhole) {
  write_bytes(path(), "old");
  EventStore store = filled_store();
  ArchiveOptions options = closed_options();
  options.tenants = {"\x01\xff"};
  EXPECT_ERROR(write_archive(store, path(), options), ErrorCode::invalid_argument, "UTF-8");
  EXPECT_EQ(read_bytes(path()), "old");
  EXPECT_ERROR(write_archive(store, directory_.file("none/a.gz"), closed_options()), ErrorCode::io, "none/a.gz");
  EXPECT_ERROR(write_archive(store, directory_.file(""), closed_options()), ErrorCode::invalid_argument, "regular");
  write_archive(store, path(), closed_options());
  EXPECT_EQ(verify_archive(path()).events, 6);
}

TEST_F(ArchiveTest, OfManyAndLongLines) {
  EventStore store = memory_store();
  for (int stream = 0; stream < 1'500; ++stream) {
    const string data = stream == 700 ? R"({"long":")" + string(3'000'000, 'x') + "\"}" : "{}";
    store.append({"s", std::to_string(stream)}, ExpectedVersion::any(), {event_of("E", data), event_of("E")});
  }
  ArchiveOptions options;
  options.before = far;
  EXPECT_EQ(write_archive(store, path(), options).streams, 1'500);
  EXPECT_EQ(verify_archive(path()).events, 3'000);
  EXPECT_TRUE(compare_archive(store, path()).ok());
}

// --- Damage

TEST_F(ArchiveTest, CutAtAnyPlaceIsCorrupt) {
  written();
  const string bytes = read_bytes(path());
  for (std::size_t size = 0; size < bytes.size(); size += size + 100 < bytes.size() ? 100 : 1) {
    write_bytes(other(), bytes.substr(0, size));
    EXPECT_ERROR(verify_archive(other()), ErrorCode::corrupt, "line ");
  }
}

TEST_F(ArchiveTest, AnyOtherByteIsCorrupt) {
  const std::vector<string> lines = written();
  const string bytes = read_bytes(path());
  for (std::size_t at = 10; at < bytes.size(); ++at) {  // gzip's own header may say another time or system.
    string damaged = bytes;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x10);
    write_bytes(other(), damaged);
    try {
      verify_archive(other());
      // Some bits say nothing, such as the length of a code that is not used: then it is the same archive.
      EXPECT_EQ(lines_of(other()), lines) << "byte " << at;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::corrupt) << "byte " << at << ": " << error.message();
      EXPECT_TRUE(testing::contains(error.message(), ": line ")) << error.message();
    }
  }
  write_bytes(other(), bytes + "x");
  EXPECT_ERROR(verify_archive(other()), ErrorCode::corrupt, "follows behind the end");
  write_bytes(other(), bytes + bytes);
  EXPECT_ERROR(verify_archive(other()), ErrorCode::corrupt, "follows behind the end");
}

TEST_F(ArchiveTest, EditedLinesAreCorrupt) {
  const std::vector<string> lines = written();
  for (std::size_t line = 0; line < lines.size(); ++line) {
    SCOPED_TRACE(line);
    std::vector<string> edited = lines;
    edited.erase(edited.begin() + static_cast<std::ptrdiff_t>(line));
    expect_corrupt(edited, "line ");
    edited = lines;
    edited.insert(edited.begin() + static_cast<std::ptrdiff_t>(line), lines[line]);
    expect_corrupt(edited, "line ");
    edited = lines;
    edited[line] += " ";
    if (line + 1 < lines.size()) expect_corrupt(edited, "line 8: the checksum");
    edited[line] = "";
    expect_corrupt(edited, "line " + std::to_string(line + 1) + ": ");
    edited[line] = lines[line].substr(0, lines[line].size() - 1);
    expect_corrupt(edited, "line " + std::to_string(line + 1) + ": ");
  }
  std::vector<string> swapped = lines;
  std::swap(swapped[2], swapped[3]);
  expect_corrupt(swapped, "line 3: account/1 begins with version 2");
  // A payload that is still JSON: only the checksum can tell.
  std::vector<string> edited = lines;
  edited[2].replace(edited[2].find("1.50"), 4, "9.50");
  expect_corrupt(edited, "line 8: the checksum");
  edited = lines;
  edited[0].replace(edited[0].find("Cancelled"), 9, "Canceled!");
  expect_corrupt(edited, "line 8: the checksum");
  edited = lines;
  edited.push_back("{}");
  expect_corrupt(edited, "line 9: follows behind the archive's last line");
}

TEST_F(ArchiveTest, WrongCountsAreCorrupt) {
  const std::vector<string> lines = written();
  expect_corrupt_with_good_end(lines, 7, 3, "line 8: says 7 events, and there are 6");
  expect_corrupt_with_good_end(lines, 6, 2, "line 8: says 2 streams, and there are 3");
  std::vector<string> edited = lines;
  edited.back() = R"({"end":"stele archive 1","events":-1,"streams":3,"sha256":""})";
  expect_corrupt(edited, R"(line 8: member "events")");
  edited.back() = R"({"end":"stele archive 1","events":6,"streams":3})";
  expect_corrupt(edited, R"(line 8: member "sha256": is missing)");
  edited.back() = R"({"end":"stele archive 2","events":6,"streams":3,"sha256":""})";
  expect_corrupt(edited, "line 8: is not this format's last line");
}

TEST_F(ArchiveTest, AForeignFirstLineIsRefused) {
  std::vector<string> lines = written();
  lines[0].replace(lines[0].find("archive 1"), 9, "archive 2");
  write_lines(other(), lines);
  EXPECT_ERROR(verify_archive(other()), ErrorCode::unsupported, "stele archive 2");
  lines[0].replace(lines[0].find("stele archive 2"), 15, "another archive");
  expect_corrupt(lines, "line 1: its format is");
  lines[0] = lines[1];
  expect_corrupt(lines, R"(line 1: member "format": is missing)");
  lines[0] = "[]";
  expect_corrupt(lines, "line 1: is no JSON object");
  lines = written();
  lines[0].insert(1, R"("more":1,)");
  expect_corrupt(lines, R"(line 1: member "more": is unknown)");
  lines = written();
  lines[0].replace(lines[0].find("2200-"), 5, "22-00");
  expect_corrupt(lines, R"(line 1: member "before")");
}

TEST_F(ArchiveTest, WhatIsNoArchiveIsRefused) {
  string text;
  for (const string& line : written()) text += line + "\n";
  write_bytes(other(), text);
  EXPECT_ERROR(verify_archive(other()), ErrorCode::corrupt, "line 1: the file is no archive: it is not compressed");
  write_bytes(other(), "");
  EXPECT_ERROR(verify_archive(other()), ErrorCode::corrupt, "line 1: the file is cut off");
  write_lines(other(), {});
  EXPECT_ERROR(verify_archive(other()), ErrorCode::corrupt, "line 1: the archive's last line is missing");
  EXPECT_ERROR(verify_archive(directory_.file("none")), ErrorCode::cannot_connect, "none");
  EXPECT_ERROR(verify_archive(directory_.file("")), ErrorCode::cannot_connect, "directory");
}

// Whoever edits with care makes the checksum anew. What does not fit together shows all the same.
TEST_F(ArchiveTest, WhatDoesNotFitIsCorruptUnderAGoodChecksum) {
  const std::vector<string> lines = written();
  const auto with = [&](std::size_t line, const string& from, const string& to) {
    std::vector<string> edited = lines;
    const std::size_t at = edited[line].find(from);
    EXPECT_NE(at, string::npos) << edited[line];
    edited[line].replace(at, from.size(), to);
    return edited;
  };
  expect_corrupt_with_good_end(with(3, R"("stream_version":2)", R"("stream_version":3)"), 6, 3,
                               "line 4: version 3 of account/1 follows version 1");
  expect_corrupt_with_good_end(with(2, R"("stream_version":1)", R"("stream_version":2)"), 6, 3,
                               "line 3: account/1 begins with version 2");
  expect_corrupt_with_good_end(with(3, R"("global_position":4)", R"("global_position":1)"), 6, 3,
                               "line 4: its position is not above");
  expect_corrupt_with_good_end(with(3, R"("recorded_at":"2)", R"("recorded_at":"1)"), 6, 3,
                               "line 4: it was recorded before");
  expect_corrupt_with_good_end(with(1, R"("tenant_id":"acme")", R"("tenant_id":"also")"), 6, 3,
                               "line 2: its tenant is none of the archive's");
  expect_corrupt_with_good_end(with(1, R"("event_type":"Closed")", R"("event_type":"Opened")"), 6, 3,
                               "line 3: the stream before, acme:account/2, was not closed");
  expect_corrupt_with_good_end(with(7 - 1, R"("event_type":"Closed")", R"("event_type":"Opened")"), 6, 3,
                               "line 8: the stream before, order/1, was not closed");
  expect_corrupt_with_good_end(with(0, "2200-01", "2001-01"), 6, 3, "line 3: the stream before, acme:account/2, was");
  expect_corrupt_with_good_end(with(3, R"("event_version":1)", R"("event_version":0)"), 6, 3, "line 4: ");
  expect_corrupt_with_good_end(with(3, R"("data":{})", R"("data":1)"), 6, 3, R"(line 4: field "data")");
  expect_corrupt_with_good_end(with(3, R"("event_id":)", R"("some_id":)"), 6, 3, R"(line 4: field "some_id")");
  std::vector<string> moved = lines;
  std::rotate(moved.begin() + 2, moved.begin() + 5, moved.begin() + 7);
  expect_corrupt_with_good_end(moved, 6, 3, "line 5: account/1 comes behind order/1");
  // Two streams that claim one position, or one event id: only who holds all of it can tell.
  write_lines(other(), [&] {
    std::vector<string> edited = with(1, R"("global_position":7)", R"("global_position":1)");
    edited.back() = end_line({edited.begin(), edited.end() - 1}, 6, 3);
    return edited;
  }());
  EXPECT_EQ(verify_archive(other()).events, 6);
  EXPECT_ERROR(open_archive(other()), ErrorCode::corrupt, "position 1 comes twice");
  const std::size_t id = lines[2].find(R"("event_id":")") + 12;
  const std::size_t from = lines[1].find(R"("event_id":")") + 12;
  std::vector<string> twice = lines;
  twice[1].replace(from, 36, lines[2].substr(id, 36));
  twice.back() = end_line({twice.begin(), twice.end() - 1}, 6, 3);
  write_lines(other(), twice);
  EXPECT_ERROR(open_archive(other()), ErrorCode::corrupt, "comes twice");
}

// --- Comparing

TEST_F(ArchiveTest, IsComparedWithItsStore) {
  EventStore store = filled_store();
  write_archive(store, path(), closed_options());
  // What came since is no difference.
  store.append({"account", "1"}, ExpectedVersion::any(), {event_of("Reopened")}).or_throw();
  const ArchiveComparison same = compare_archive(store, path());
  EXPECT_TRUE(same.ok());
  EXPECT_EQ(same.archive.events, 6);

  EventStore empty = memory_store();
  ArchiveCompareOptions options;
  options.max_differences = 2;
  const ArchiveComparison none = compare_archive(empty, path(), options);
  EXPECT_EQ(none.different, 6);
  ASSERT_EQ(none.differences.size(), 2U);
  EXPECT_EQ(none.differences[0].what, "is not in the store");
  EXPECT_EQ(none.differences[0].line, 2);
  EXPECT_EQ(none.differences[1].stream, StreamKey("account", "1"));
}

TEST_F(ArchiveTest, EachFieldThatDiffersIsNamed) {
  EventStore store = filled_store();
  write_archive(store, path(), closed_options());
  const std::vector<string> lines = lines_of(path());
  const auto difference = [&](const string& from, const string& to) {
    std::vector<string> edited = lines;
    const std::size_t at = edited[2].find(from);
    EXPECT_NE(at, string::npos) << from << " in " << edited[2];
    edited[2].replace(at, from.size(), to);
    edited.back() = end_line({edited.begin(), edited.end() - 1}, 6, 3);
    write_lines(other(), edited);
    const ArchiveComparison found = compare_archive(store, other());
    return found.differences.empty() ? string() : found.differences.front().what;
  };
  for (const auto& [from, to, field] : std::initializer_list<std::array<const char*, 3>>{
           {R"("recorded_at":"2)", R"("recorded_at":"1)", "recorded_at"},
           {R"("event_type":"Opened")", R"("event_type":"Begun")", "event_type"},
           {R"("event_version":3)", R"("event_version":4)", "event_version"},
           {"07:08:09", "07:08:10", "occurred_at"},
           {"2024-01-01", "2024-01-02", "valid_from"},
           {R"("actor_id":"till")", R"("actor_id":"desk")", "actor"},
           {R"("source":"shop",)", "", "source"},
           {R"("channel":"api")", R"("channel":"ui")", "channel"},
           {R"("idempotency_key":"key )", R"("idempotency_key":"kez )", "idempotency_key"},
           {R"("correlation_id":"0)", R"("correlation_id":"1)", "correlation_id"},
           {R"("redaction_level":"partial")", R"("redaction_level":"full")", "redaction_level"},
           {R"("contains_secrets":true)", R"("contains_secrets":false)", "contains_secrets"},
           {"1.50", "1.51", "data"},
           {R"("b": [1, 2])", R"("b": [1, 3])", "metadata"},
           {R"("display":{"title": "x"},)", "", "display"},
           {R"("room":"7")", R"("room":"8")", "attributes"},
       }) {
    EXPECT_EQ(difference(from, to), string("differs in ") + field);
  }
  EXPECT_EQ(difference("1.50", "1.5"), "") << "the same number";
}

// --- Reading one as a store

TEST_F(ArchiveTest, ReadsAsTheStoreDid) {
  EventStore store = filled_store();
  write_archive(store, path(), closed_options());
  EventStore archive = open_archive(path());
  const auto closed = [](std::vector<string> lines) {
    std::erase_if(lines, [](const string& line) { return line.find(R"("stream_type":"still")") != string::npos; });
    return lines;
  };
  EXPECT_EQ(all_lines(archive), closed(all_lines(store)));
  LogReadOptions backwards;
  backwards.direction = Direction::backwards;
  EXPECT_EQ(all_lines(archive, backwards), closed(all_lines(store, backwards)));
  for (std::int64_t after = 0; after <= 8; ++after) {
    for (std::int64_t before = 0; before <= 9; ++before) {
      LogReadOptions options;
      options.after = Position(after);
      options.before = Position(before);
      EXPECT_EQ(all_lines(archive, options), closed(all_lines(store, options))) << after << " " << before;
    }
  }
  LogReadOptions filtered;
  filtered.filter.attributes = {{"room", "7"}};
  EXPECT_EQ(all_lines(archive, filtered).size(), 1U);
  filtered = {};
  filtered.filter.tenant = "acme";
  EXPECT_EQ(all_lines(archive, filtered), all_lines(store, filtered));

  for (const RecordedEvent& event : store.read_log()) {
    const std::optional<RecordedEvent> found = archive.find_event(event.event_id);
    EXPECT_EQ(found.has_value(), event.stream.type != "still");
    if (found) {
      EXPECT_EQ(to_json_line(*found), to_json_line(event));
    }
  }
  EXPECT_EQ(archive.stream_info({"account", "1"}), store.stream_info({"account", "1"}));
  EXPECT_EQ(archive.stream_version({"still", "open"}), Version(0));
  EXPECT_EQ(archive.list_streams().size(), 2U);
  StreamReadOptions last;
  last.direction = Direction::backwards;
  last.limit = 1;
  EventReader reader = archive.read_stream({"account", "1"}, last);
  EXPECT_EQ(reader.next()->version, Version(3));
  const StoreStats stats = archive.stats();
  EXPECT_EQ(stats.events, 6);
  EXPECT_EQ(stats.last_position, Position(7));
  EXPECT_EQ(archive.log_end(), Position(7));
  const VerifyReport report = archive.verify();
  EXPECT_TRUE(report.ok()) << (report.ok() ? "" : report.violations.front().what);
  EXPECT_EQ(report.events, 6);
  write_bytes(path(), "x");
  EXPECT_EQ(archive.verify().violations.size(), 1U);
}

TEST_F(ArchiveTest, TakesNothing) {
  written();
  EventStore archive = open_archive(path());
  EventTypeRules rules;
  rules.event_type = "E";
  EXPECT_ERROR(archive.append({"a", "b"}, ExpectedVersion::any(), {event_of("E")}), ErrorCode::unsupported,
               "can only be read");
  EXPECT_ERROR(archive.set_type_rules(rules), ErrorCode::unsupported, "can only be read");
  EXPECT_ERROR(archive.find_command(CommandKey{"default", "till", "r-1"}), ErrorCode::unsupported, "commands");
  EXPECT_ERROR(archive.list_subject_keys(), ErrorCode::unsupported, "keys");
  Registry registry;
  register_archive_driver(registry);
  EXPECT_ERROR(EventStore::open(registry, "archive:"), ErrorCode::invalid_argument, "names no file");
  EXPECT_ERROR(EventStore::open(registry, "archive:" + path() + "?mode=rw"), ErrorCode::invalid_argument, "mode");
  EXPECT_ERROR(EventStore::open(registry, "archive:" + directory_.file("none")), ErrorCode::cannot_connect, "none");
  EventStore acme = EventStore::open(registry, "archive://" + path() + "?tenant=acme");
  EXPECT_EQ(all_lines(acme).size(), 1U);
}

// --- Retention

TEST(Retention, CountsByTheRulesOfTypes) {
  EventStore store = memory_store();
  const auto set = [&](const string& type, std::int32_t days) {
    EventTypeRules rules;
    rules.event_type = type;
    rules.keep_days = days;
    store.set_type_rules(rules);
  };
  set("Short", 1);
  set("Long", 2'000'000'000);
  set("Unused", 5);
  const auto append = [&](const string& stream, const std::vector<string>& types) {
    for (const string& type : types) {
      store.append({"s", stream}, ExpectedVersion::any(), {event_of(type)}).or_throw();
    }
  };
  append("1", {"Short", "Short"});
  append("2", {"Short", "Long"});
  append("3", {"Short", "Free"});
  const Timestamp first = store.stream_info({"s", "1"})->created_at;
  const Timestamp second = store.stream_info({"s", "1"})->last_recorded_at;
  const auto day = [](Timestamp from) { return Timestamp::from_micros(from.micros() + 86'400'000'000); };

  std::vector<string> streams;
  const auto report_at = [&](Timestamp now) {
    streams.clear();
    return retention_report(store, "default", now, [&](const StreamInfo& info) { streams.push_back(info.stream.id); });
  };
  RetentionReport report = report_at(far);
  ASSERT_EQ(report.types.size(), 4U);
  const auto line = [](const TypeRetention& type) {
    return type.event_type + " " + (type.keep_days ? std::to_string(*type.keep_days) : "-") + " " +
           std::to_string(type.events) + " " + std::to_string(type.past) + " " + std::to_string(type.must_be_kept);
  };
  EXPECT_EQ(line(report.types[0]), "Free - 1 0 0");
  EXPECT_EQ(line(report.types[1]), "Long 2000000000 1 0 1");
  EXPECT_EQ(line(report.types[2]), "Short 1 4 4 0");
  EXPECT_EQ(line(report.types[3]), "Unused 5 0 0 0");
  EXPECT_EQ(report.types[2].oldest, first);
  EXPECT_FALSE(report.types[3].oldest);
  EXPECT_EQ(report.streams, 3);
  EXPECT_EQ(report.streams_past, 1);
  EXPECT_EQ(streams, std::vector<string>{"1"});

  // To the microsecond.
  report = report_at(day(second));
  EXPECT_EQ(streams, std::vector<string>{"1"});
  report = report_at(Timestamp::from_micros(day(first).micros() - 1));
  EXPECT_EQ(line(report.types[2]), "Short 1 4 0 4");
  EXPECT_EQ(report.streams_past, 0);
  EXPECT_TRUE(retention_report(store, "acme", far).types.empty());
  EXPECT_ERROR(retention_report(store, "", far), ErrorCode::invalid_argument, "tenant_id");
}

// --- Copies

std::vector<string> without_times(std::vector<string> lines) {
  for (string& line : lines) {
    const std::size_t at = line.find(R"("recorded_at":")");
    line.erase(at, line.find(',', at) - at);
  }
  return lines;
}

TEST(Copy, HasEverythingAndARepetitionAddsNothing) {
  EventStore from = filled_store();
  Command alone;
  alone.key = {"default", "till", "r-2"};
  alone.type = "Look";
  alone.stream = StreamKey("account", "1");
  from.record_command(alone);
  alone.key.request_id = "r-3";
  alone.stream.reset();
  from.record_command(alone);
  EventSchema schema;
  schema.form = {"Later", 1};
  schema.text = R"({"type": "object"})";
  from.add_schema(schema);
  EventTypeRules rules;
  rules.event_type = "Paid";
  rules.keep_days = 10;
  from.set_type_rules(rules);
  SubjectKey key;
  key.key_id = Uuid::v7();
  key.subject = "anna";
  key.wrapped = WrappedKey{"m-1", "bytes"};
  SubjectKey gone = key;
  gone.key_id = Uuid::v7();
  gone.subject = "bert";
  ASSERT_TRUE(from.driver().add_subject_key(key));
  ASSERT_TRUE(from.driver().add_subject_key(gone));
  from.driver().destroy_subject_key("default", gone.key_id);
  from.driver().forget_subject("default", gone.key_id);

  EventStore to = memory_store();
  CopyResult result = copy_store(from, to);
  EXPECT_EQ(result.events, 7);
  EXPECT_EQ(result.events_there, 0);
  EXPECT_EQ(result.commands, 2);
  EXPECT_EQ(result.schemas, 1);
  EXPECT_EQ(result.rules, 1);
  EXPECT_EQ(result.keys, 1);
  EXPECT_EQ(result.keys_destroyed, 1);
  ASSERT_EQ(result.notes.size(), 1U);
  EXPECT_TRUE(testing::contains(result.notes[0], "1 commands without events")) << result.notes[0];
  EXPECT_EQ(without_times(all_lines(to)), without_times(all_lines(from)));
  const CommandKey paid{"default", "till", "r-1"};
  EXPECT_EQ(to.find_command(paid)->command_id, from.find_command(paid)->command_id);
  EXPECT_EQ(to.find_command(paid)->data, from.find_command(paid)->data);
  EXPECT_EQ(to.find_command(paid)->outcome, from.find_command(paid)->outcome);
  EXPECT_TRUE(to.is_command_processed(CommandKey{"default", "till", "r-2"}));
  EXPECT_EQ(to.list_type_rules(), from.list_type_rules());
  EXPECT_EQ(to.list_schemas().at(0).text, from.list_schemas().at(0).text);
  EXPECT_EQ(to.driver().find_subject_key("default", "anna")->wrapped, key.wrapped);
  const std::vector<SubjectKey> destroyed = to.driver().find_subject_keys("default", std::array{gone.key_id});
  ASSERT_EQ(destroyed.size(), 1U);
  EXPECT_FALSE(destroyed[0].wrapped);
  EXPECT_EQ(destroyed[0].subject, "");
  EXPECT_TRUE(to.verify().ok());

  result = copy_store(from, to);
  EXPECT_EQ(result.events, 0);
  EXPECT_EQ(result.events_there, 7);
  EXPECT_EQ(result.commands, 0);
  EXPECT_EQ(result.commands_there, 2);
  EXPECT_EQ(result.schemas + result.rules + result.keys + result.keys_destroyed, 0);
  from.append({"still", "open"}, ExpectedVersion::any(), {event_of("More")}).or_throw();
  from.driver().destroy_subject_key("default", key.key_id);
  result = copy_store(from, to);
  EXPECT_EQ(result.events, 1);
  EXPECT_EQ(result.keys_destroyed, 1);
  EXPECT_EQ(without_times(all_lines(to)), without_times(all_lines(from)));
  // Into itself: everything is there.
  EXPECT_EQ(copy_store(from, from).events, 0);
}

TEST(Copy, RefusesATargetWithSomethingElse) {
  EventStore from = filled_store();
  EventStore to = memory_store();
  to.append({"order", "1"}, ExpectedVersion::any(), {event_of("Mine")}).or_throw();
  EXPECT_ERROR(copy_store(from, to), ErrorCode::conflict, "order/1");
  EXPECT_EQ(to.stream_version({"order", "1"}), Version(1));
  EventStore less(testing::memory_driver(), {.clearance = Clearance::full});
  EXPECT_ERROR(copy_store(less, to), ErrorCode::permission_denied, "source");
  EXPECT_ERROR(copy_store(from, less), ErrorCode::permission_denied, "target");
}

TEST_F(ArchiveTest, IsCopiedIntoAStore) {
  EventStore from = filled_store();
  write_archive(from, path(), closed_options());
  EventStore archive = open_archive(path());
  EventStore to = memory_store();
  CopyResult result = copy_store(archive, to);
  EXPECT_EQ(result.events, 6);
  EXPECT_EQ(result.commands, 1);
  EXPECT_EQ(result.notes.size(), 2U) << "commands, keys";
  EXPECT_EQ(to.find_command(CommandKey{"default", "till", "r-1"})->type, "copy");
  EXPECT_TRUE(to.verify().ok());
  result = copy_store(archive, to);
  EXPECT_EQ(result.events, 0);
  EXPECT_EQ(result.events_there, 6);
  for (const RecordedEvent& event : archive.read_log()) {
    const RecordedEvent there = to.find_event(event.event_id).value();
    EXPECT_EQ(there.version, event.version);
    EXPECT_EQ(content_text(there), content_text(event));
  }
}

}  // namespace
}  // namespace stele
