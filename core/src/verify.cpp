#include <algorithm>
#include <optional>

#include "prepare.h"
#include "stele/limits.h"
#include "verify_store.h"

namespace stele::detail {
namespace {

constexpr std::int64_t progress_interval = 1000;

class Verification {
 public:
  Verification(EventStore& store, driver::Driver& driver, const VerifyOptions& options)
      : store_(store), driver_(driver), options_(options) {}

  VerifyReport run() {
    driver_.verify_storage(options_, report_);
    report_.checks.emplace_back("each stream has versions 1, 2, 3 … and positions that rise with them (G2, G7)");
    report_.checks.emplace_back("recorded times never fall within a stream (G10)");
    report_.checks.emplace_back("every event is within the limits and its JSON is valid (G1, G9, G11)");
    report_.checks.emplace_back("the log has every stream's events once, in rising positions (G4, G7)");
    guarded([this] {
      const StoreStats stats = store_.stats();
      total_ = stats.events * 2;
      report_.commands = stats.commands;  // The driver's own checks look at all of them.
    });
    guarded([this] { check_streams(); });
    guarded([this] { check_log(); });
    if (has_commands_) report_.checks.emplace_back("every command's outcome names its events (G5)");
    return std::move(report_);
  }

 private:
  bool full() const { return report_.violations.size() >= options_.max_violations; }

  void violation(std::string guarantee, std::string where, std::string what) {
    if (!full()) report_.violations.push_back({std::move(guarantee), std::move(where), std::move(what)});
  }

  /// What cannot be read because it is damaged is a finding; what cannot be reached is an error.
  template <class Body>
  void guarded(Body body) {
    try {
      body();
    } catch (const Error& error) {
      if (error.code() != ErrorCode::corrupt && error.code() != ErrorCode::internal) throw;
      violation("storage", "log", "cannot be read: " + error.message());
    }
  }

  void progress() {
    if (options_.on_progress && ++done_ % progress_interval == 0) options_.on_progress(done_, total_);
  }

  void check_streams() {
    for (const std::string& tenant : driver_.list_tenants()) {
      StreamListOptions list;
      list.tenant = tenant;
      list.limit = 1000;
      for (;;) {
        const std::vector<StreamInfo> page = driver_.list_streams(list);
        for (const StreamInfo& info : page) {
          if (full()) return;
          check_stream(info);
        }
        if (page.size() < list.limit) break;
        list.after = page.back().stream;
      }
    }
  }

  void check_stream(const StreamInfo& info) {
    ++report_.streams;
    const std::string where = info.stream.to_string();
    Version version;
    Position position;
    std::optional<Timestamp> recorded;
    // Appends may go on meanwhile: what the head says is a lower bound taken before the events were read.
    for (const RecordedEvent& event : store_.read_stream(info.stream, {.as_stored = true})) {
      progress();
      if (event.version.value() != version.value() + 1) {
        violation(
            "G2", where,
            "version " + std::to_string(event.version.value()) + " follows version " + std::to_string(version.value()));
      }
      if (event.position <= position) {
        violation("G7", where,
                  "version " + std::to_string(event.version.value()) + " is at position " +
                      std::to_string(event.position.value()) + ", the one before at " +
                      std::to_string(position.value()));
      }
      if (recorded && event.recorded_at < *recorded) {
        violation("G10", where,
                  "version " + std::to_string(event.version.value()) + " was recorded before its predecessor");
      }
      if (version == Version(0) && event.recorded_at != info.created_at) {
        violation("G10", where, "the stream's created_at is not its first event's recorded_at");
      }
      version = event.version;
      position = event.position;
      recorded = event.recorded_at;
      ++stream_events_;
      if (full()) return;
    }
    if (version < info.version) {
      violation("G2", where,
                "the stream's head is at version " + std::to_string(info.version.value()) + ", its last event at " +
                    std::to_string(version.value()));
    } else if (version > info.version) {
      const auto now = driver_.stream_info(info.stream);
      if (!now || now->version < version) {
        violation("G2", where,
                  "the last event is at version " + std::to_string(version.value()) + ", behind the stream's head");
      }
    }
  }

  void check_log() {
    Position position;
    for (const RecordedEvent& event : store_.read_log({.as_stored = true})) {
      if (full()) return;
      progress();
      ++report_.events;
      if (event.position <= position) {
        violation("G7", "position " + std::to_string(event.position.value()),
                  "follows position " + std::to_string(position.value()));
      }
      position = event.position;
      check_event(event);
      check_command(event);
    }
    if (report_.events < stream_events_ && !full()) {
      violation(
          "G4", "log",
          "has " + std::to_string(report_.events) + " events, its streams have " + std::to_string(stream_events_));
    }
    if (report_.events > stream_events_ && !full()) explain_surplus();
  }

  // More events in the log than in the streams: appended meanwhile, or in no stream.
  void explain_surplus() {
    std::int64_t now = 0;
    for (const std::string& tenant : driver_.list_tenants()) {
      StreamListOptions list;
      list.tenant = tenant;
      list.limit = 1000;
      for (;;) {
        const std::vector<StreamInfo> page = driver_.list_streams(list);
        for (const StreamInfo& info : page) now += info.version.value();
        if (page.size() < list.limit) break;
        list.after = page.back().stream;
      }
    }
    if (report_.events > now) {
      violation("G2", "log",
                "has " + std::to_string(report_.events) + " events, more than the streams' versions add up to (" +
                    std::to_string(now) + ")");
    }
  }

  void check_event(const RecordedEvent& event) {
    const std::string where = "position " + std::to_string(event.position.value());
    try {
      AppendRequest request;
      NewEvent& copy =
          request.streams.emplace_back(StreamAppend{event.stream, ExpectedVersion::any(), {}}).events.emplace_back();
      static_cast<EventFields&>(copy) = event;
      copy.event_id = event.event_id;
      copy.as_stored = true;
      copy.data = Json(event.data.text());
      for (std::optional<Json>* json : {&copy.metadata, &copy.policy_context, &copy.model_context, &copy.display}) {
        if (*json) *json = Json((*json)->text());
      }
      check_append(request);
    } catch (const Error& error) {
      violation("G9", where, error.message());
    }
  }

  void check_command(const RecordedEvent& event) {
    if (!event.command || !has_commands_) return;
    if (!last_command_ || last_command_->key != *event.command) {
      try {
        last_command_ = driver_.find_command(*event.command);
      } catch (const Error& error) {
        if (error.code() != ErrorCode::unsupported) throw;
        has_commands_ = false;  // An archive: events alone.
        return;
      }
    }
    const std::string where = "position " + std::to_string(event.position.value());
    if (!last_command_) {
      violation("G5", where,
                "its command " + event.command->source + ":" + event.command->request_id + " is not recorded");
      return;
    }
    const bool named =
        std::any_of(last_command_->outcome.begin(), last_command_->outcome.end(), [&](const StreamOutcome& outcome) {
          return outcome.stream == event.stream && outcome.first_version <= event.version &&
                 event.version <= outcome.last_version && outcome.first_position <= event.position &&
                 event.position <= outcome.last_position;
        });
    if (!named) {
      violation("G5", where,
                "the outcome of its command " + event.command->source + ":" + event.command->request_id +
                    " does not name it");
    }
  }

  EventStore& store_;
  driver::Driver& driver_;
  const VerifyOptions& options_;
  VerifyReport report_;
  std::int64_t stream_events_ = 0;
  std::int64_t done_ = 0;
  std::int64_t total_ = 0;
  std::optional<CommandRecord> last_command_;
  bool has_commands_ = true;
};

}  // namespace

VerifyReport verify_store(EventStore& store, driver::Driver& driver, const VerifyOptions& options) {
  return Verification(store, driver, options).run();
}

}  // namespace stele::detail
