// Archives and copies of what a backend stores.
#include <cstdlib>
#include <filesystem>

#include "support.h"

namespace stele::testing {
namespace {

/// A file in a directory of its own, which goes with it.
class ArchiveFile {
 public:
  ArchiveFile() {
    std::string name = (std::filesystem::temp_directory_path() / "stele-archive-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("no temporary directory");
    directory_ = name;
  }
  ArchiveFile(const ArchiveFile&) = delete;
  ArchiveFile& operator=(const ArchiveFile&) = delete;
  ~ArchiveFile() {
    std::error_code ignored;
    std::filesystem::remove_all(directory_, ignored);
  }
  std::string path() const { return (directory_ / "archive.gz").string(); }

 private:
  std::filesystem::path directory_;
};

EventStore open_archive(const ArchiveFile& file) {
  Registry registry;
  register_archive_driver(registry);
  return EventStore::open(registry, "archive:" + file.path());
}

ArchiveOptions everything() {
  ArchiveOptions options;
  options.before = Timestamp::parse("9999-01-01T00:00:00Z");
  return options;
}

/// Streams of two tenants that lie mixed in the log, with every field, and requests over several streams.
void fill_mixed(EventStore& store) {
  const StreamKey elsewhere("acme", "thing", "a");
  for (int number = 1; number <= 12; ++number) {
    const StreamKey key = number % 4 == 0 ? elsewhere : thing(number % 2 == 0 ? "b" : "a");
    store.append(key, ExpectedVersion::any(), {full_event(number)}).or_throw();
  }
  for (int number = 1; number <= 5; ++number) {
    AppendRequest both = request(command("r-" + std::to_string(number)), thing("c"), ExpectedVersion::any(), events(3));
    both.streams.push_back({thing("a"), ExpectedVersion::any(), events(2)});
    both.streams.push_back({thing("only-checked"), ExpectedVersion::no_stream(), {}});
    store.append(both).or_throw();
  }
}

void an_archive_has_every_field(Harness& harness) {
  EventStore store = open_store(harness);
  fill_mixed(store);
  const ArchiveFile file;
  const std::vector<std::string> log = describe(log_events(store));
  const ArchiveInfo written = write_archive(store, file.path(), everything());
  EXPECT_EQ(written.events, static_cast<std::int64_t>(log.size()));
  EXPECT_EQ(written.streams, 4);
  EXPECT_EQ(verify_archive(file.path()).sha256, written.sha256);
  const ArchiveComparison compared = compare_archive(store, file.path());
  EXPECT_TRUE(compared.ok()) << compared.differences.front().what;
  EventStore archive = open_archive(file);
  EXPECT_EQ(describe(log_events(archive)), log);
  EXPECT_EQ(archive.list_streams(), store.list_streams());
  EXPECT_EQ(describe(log_events(store)), log) << "nothing is gone";
}

void an_archive_has_what_is_closed(Harness& harness) {
  EventStore store = open_store(harness);
  store.append(thing("a"), ExpectedVersion::any(), {event("opened"), event("closed")}).or_throw();
  store.append(thing("b"), ExpectedVersion::any(), {event("closed"), event("opened")}).or_throw();
  const ArchiveFile file;
  ArchiveOptions options = everything();
  options.closing_types = {"closed"};
  EXPECT_EQ(write_archive(store, file.path(), options).streams, 1);
  EventStore archive = open_archive(file);
  EXPECT_EQ(stream_events(archive, thing("a")).size(), 2U);
  options.before = store.stream_info(thing("a")).value().last_recorded_at;
  EXPECT_EQ(write_archive(store, file.path(), options).streams, 0) << "before is exclusive";
}

/// All but what a store gives an event: position and time.
std::vector<std::string> contents_of_log(EventStore& store) {
  std::vector<std::string> texts;
  for (const RecordedEvent& event : store.read_log()) {
    texts.push_back(std::to_string(event.version.value()) + " " + content_text(event));
  }
  return texts;
}

void a_copy_has_everything(Harness& harness) {
  EventStore store = open_store(harness);
  fill_mixed(store);
  const std::unique_ptr<Harness> other = another_harness();
  EventStore target = open_store(*other);
  CopyResult result = copy_store(store, target);
  EXPECT_EQ(contents_of_log(target), contents_of_log(store));
  EXPECT_EQ(result.events, 37);
  EXPECT_EQ(result.commands, 5);
  for (int number = 1; number <= 5; ++number) {
    const CommandRecord original = store.find_command(command("r-" + std::to_string(number)).key).value();
    const CommandRecord copied = target.find_command(original.key).value();
    EXPECT_EQ(copied.command_id, original.command_id);
    EXPECT_EQ(copied.outcome.size(), original.outcome.size());
  }
  result = copy_store(store, target);
  EXPECT_EQ(result.events, 0);
  EXPECT_EQ(result.events_there, 37);
  EXPECT_EQ(result.commands_there, 5);
  EXPECT_TRUE(target.verify().ok());
}

/// Where appends run side by side, events of others lie between those of one command.
void a_copy_of_what_was_appended_at_once(Harness& harness) {
  EventStore store = open_store(harness);
  in_threads(4, [&](int thread) {
    for (int number = 0; number < rounds(25, 10); ++number) {
      const std::string name = std::to_string(thread) + "-" + std::to_string(number);
      AppendRequest many =
          request(command("r-" + name), thing("s-" + std::to_string(number % 3)), ExpectedVersion::any(), events(4));
      many.streams.push_back({thing("t-" + std::to_string(thread)), ExpectedVersion::any(), events(3)});
      store.append(many).or_throw();
    }
  });
  const std::unique_ptr<Harness> other = another_harness();
  EventStore target = open_store(*other);
  const CopyResult result = copy_store(store, target);
  EXPECT_EQ(result.commands, 4 * rounds(25, 10));
  for (const StreamInfo& info : store.list_streams()) {
    std::vector<std::string> original;
    std::vector<std::string> copied;
    for (const RecordedEvent& event : store.read_stream(info.stream)) original.push_back(content_text(event));
    for (const RecordedEvent& event : target.read_stream(info.stream)) copied.push_back(content_text(event));
    EXPECT_EQ(copied, original) << info.stream.to_string();
  }
  EXPECT_EQ(copy_store(store, target).events, 0);
  EXPECT_TRUE(target.verify().ok());
}

constexpr Case all_archive_cases[] = {
    {"API", "an_archive_has_every_field", an_archive_has_every_field},
    {"API", "an_archive_has_what_is_closed", an_archive_has_what_is_closed},
    {"API", "a_copy_has_everything", a_copy_has_everything},
    {"API", "a_copy_of_what_was_appended_at_once", a_copy_of_what_was_appended_at_once},
};

}  // namespace

std::span<const Case> archive_cases() {
  return all_archive_cases;
}

}  // namespace stele::testing
