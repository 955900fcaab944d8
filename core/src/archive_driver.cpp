// An archive as a store that can only be read.

#include <algorithm>
#include <filesystem>

#include "archive_reader.h"
#include "memory_log.h"
#include "stele/driver/driver.h"
#include "stele/registry.h"

namespace stele {
namespace {

[[noreturn]] void refuse(ErrorCode code, const std::string& why) {
  Error::Details details;
  details.backend = "archive";
  throw Error(code, why, std::move(details));
}

/// By position, as a log is; the file has stream behind stream.
detail::MemoryLog read_all(const std::string& path) {
  std::vector<RecordedEvent> events;
  detail::ArchiveReader archive(path);
  while (std::optional<RecordedEvent> event = archive.next()) events.push_back(std::move(*event));
  std::sort(events.begin(), events.end(),
            [](const RecordedEvent& a, const RecordedEvent& b) { return a.position < b.position; });
  detail::MemoryLog log;
  for (RecordedEvent& event : events) {
    if (event.position == log.last_position()) {
      refuse(ErrorCode::corrupt,
             path + ": position " + std::to_string(event.position.value()) + " comes twice, in different streams");
    }
    if (log.find(event.event_id) != nullptr) {
      refuse(ErrorCode::corrupt, path + ": event id " + event.event_id.to_string() + " comes twice");
    }
    log.add(std::move(event));
  }
  return log;
}

/// Never changes, so it needs no lock.
class ArchiveDriver final : public driver::Driver {
 public:
  explicit ArchiveDriver(std::string path) : path_(std::move(path)), log_(read_all(path_)) {}

  std::string_view name() const noexcept override { return "archive"; }

  std::vector<driver::AppendAnswer> append(std::span<const driver::PreparedAppend>) override { read_only(); }
  driver::AppendAnswer append_with_hook(const driver::PreparedAppend&, const driver::AppendHook&) override {
    read_only();
  }

  void read_stream(const driver::StreamPageRequest& request, driver::EventPage& page) override {
    log_.read_stream(request, page);
  }
  void read_log(const driver::LogPageRequest& request, driver::EventPage& page) override {
    log_.read_log(request, page);
  }
  std::optional<RecordedEvent> find_event(const Uuid& event_id) override {
    const RecordedEvent* const found = log_.find(event_id);
    return found == nullptr ? std::nullopt : std::optional(*found);
  }
  std::optional<StreamInfo> stream_info(const StreamKey& stream) override { return log_.stream_info(stream); }
  std::vector<StreamInfo> list_streams(const StreamListOptions& options) override { return log_.list_streams(options); }

  std::optional<CommandRecord> find_command(const CommandKey&) override { no_commands(); }
  std::optional<CommandRecord> find_command(const Uuid&) override { no_commands(); }
  std::vector<CommandRecord> list_commands(const StreamKey&, std::size_t) override { no_commands(); }

  StoreStats stats() override {
    StoreStats stats = log_.stats();
    std::error_code error;
    const std::uintmax_t bytes = std::filesystem::file_size(path_, error);
    if (!error) stats.bytes = static_cast<std::int64_t>(bytes);
    return stats;
  }

  std::vector<std::string> list_tenants() override {
    const std::set<std::string> tenants = log_.tenants();
    return {tenants.begin(), tenants.end()};
  }

  void verify_storage(const VerifyOptions&, VerifyReport& report) override {
    report.checks.emplace_back("the archive's file is whole: its checksum, its counts, every line");
    try {
      verify_archive(path_);
    } catch (const Error& error) {
      if (error.code() != ErrorCode::corrupt) throw;
      report.violations.push_back({"storage", "archive", error.message()});
    }
    log_.verify(report);
  }

  Position settled_position() override { return log_.last_position(); }

  bool add_schema(const EventSchema&) override { read_only(); }
  bool remove_schema(const std::string&, const EventForm&) override { read_only(); }
  void set_type_rules(const EventTypeRules&) override { read_only(); }
  bool add_subject_key(const SubjectKey&) override { read_only(); }
  bool destroy_subject_key(const std::string&, const Uuid&) override { read_only(); }
  std::vector<SubjectKey> find_subject_keys(const std::string&, std::span<const Uuid>) override {
    refuse(ErrorCode::key_unavailable,
           "an archive has no keys: read it without a key provider, and what is encrypted is given as it is stored");
  }
  std::optional<SubjectKey> find_subject_key(const std::string&, const std::string&) override { no_keys(); }
  std::vector<SubjectKey> list_subject_keys(const std::string&, const std::optional<Uuid>&, std::size_t) override {
    no_keys();
  }

  bool save_snapshot(const Snapshot&) override { read_only(); }
  /// So that aggregates load: from their first event on.
  std::optional<Snapshot> find_snapshot(const StreamKey&, Version, std::optional<std::int32_t>) override {
    return std::nullopt;
  }

 private:
  [[noreturn]] static void read_only() { refuse(ErrorCode::unsupported, "an archive can only be read"); }
  [[noreturn]] static void no_commands() {
    refuse(ErrorCode::unsupported, "an archive holds events, and not the commands that they were appended under");
  }
  [[noreturn]] static void no_keys() { refuse(ErrorCode::unsupported, "an archive has no subjects' keys"); }

  std::string path_;
  const detail::MemoryLog log_;
};

}  // namespace

void register_archive_driver(Registry& registry) {
  registry.add("archive", [](const Url& url, const DriverOptions&) {
    url.allow_params({});
    if (url.path.empty()) throw Error(ErrorCode::invalid_argument, "archive: names no file");
    return std::make_unique<ArchiveDriver>(url.path);
  });
}

}  // namespace stele
