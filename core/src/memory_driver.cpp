// The reference driver: the guarantees in the plainest form, a mutex around vectors and maps.

#include <algorithm>
#include <atomic>
#include <map>
#include <mutex>
#include <thread>
#include <unordered_map>

#include "log_filter.h"
#include "memory_governance.h"
#include "memory_read_side.h"
#include "stele/driver/driver.h"
#include "stele/driver/replay.h"
#include "stele/error.h"
#include "stele/registry.h"

namespace stele {
namespace {

using driver::AppendAnswer;
using driver::ExistingEvent;
using driver::PreparedAppend;
using driver::PreparedEvent;
using driver::PreparedStream;

std::size_t json_bytes(const RecordedEvent& event) {
  std::size_t bytes = event.data.text().size();
  for (const std::optional<Json>* json :
       {&event.metadata, &event.policy_context, &event.model_context, &event.display}) {
    if (*json) bytes += (*json)->text().size();
  }
  return bytes;
}

class MemoryDriver final : public driver::Driver {
 public:
  std::string_view name() const noexcept override { return "memory"; }

  std::vector<AppendAnswer> append(std::span<const PreparedAppend> appends) override {
    const Writer writer(*this);
    std::vector<AppendAnswer> answers;
    answers.reserve(appends.size());
    for (const PreparedAppend& append : appends) answers.push_back({append_one(append, nullptr), std::nullopt});
    return answers;
  }

  AppendAnswer append_with_hook(const PreparedAppend& append, const driver::AppendHook& hook) override {
    const Writer writer(*this);
    return {append_one(append, &hook), std::nullopt};
  }

  void read_stream(const driver::StreamPageRequest& request, driver::EventPage& page) override {
    const std::lock_guard lock(mutex_);
    const auto found = streams_.find(*request.stream);
    if (found == streams_.end()) return;
    const std::vector<std::size_t>& stream = found->second;
    const auto size = static_cast<std::int64_t>(stream.size());
    const std::int64_t low = request.from.value();
    const std::int64_t high = std::min(request.to.value(), size);
    const bool forwards = request.direction == Direction::forwards;
    for (std::int64_t i = 0; i <= high - low; ++i) {
      const std::int64_t version = forwards ? low + i : high - i;
      const RecordedEvent& event = log_[stream[static_cast<std::size_t>(version - 1)]];
      if (request.as_of && event.recorded_at > *request.as_of) continue;
      if (request.valid_at && !detail::is_valid_at(event, *request.valid_at)) continue;
      if (!give(event, request.limits, page)) return;
    }
  }

  void read_log(const driver::LogPageRequest& request, driver::EventPage& page) override {
    const std::lock_guard lock(mutex_);
    const auto size = static_cast<std::int64_t>(log_.size());
    const std::int64_t low = request.after.value() + 1;
    const std::int64_t high = std::min(request.before.value() - 1, size);
    const bool forwards = request.direction == Direction::forwards;
    for (std::int64_t i = 0; i <= high - low; ++i) {
      const std::int64_t position = forwards ? low + i : high - i;
      const RecordedEvent& event = log_[static_cast<std::size_t>(position - 1)];
      if (request.as_of && event.recorded_at > *request.as_of) continue;
      if (!detail::matches(*request.filter, event)) continue;
      if (!give(event, request.limits, page)) {
        page.scanned_to = page[page.size() - 1].position;
        return;
      }
    }
    page.scanned_to = Position(std::max(high, request.after.value()));
  }

  std::optional<RecordedEvent> find_event(const Uuid& event_id) override {
    const std::lock_guard lock(mutex_);
    const auto found = by_id_.find(event_id);
    if (found == by_id_.end()) return std::nullopt;
    return log_[found->second];
  }

  std::optional<StreamInfo> stream_info(const StreamKey& stream) override {
    const std::lock_guard lock(mutex_);
    const auto found = streams_.find(stream);
    if (found == streams_.end()) return std::nullopt;
    return info(found->first, found->second);
  }

  std::vector<StreamInfo> list_streams(const StreamListOptions& options) override {
    const std::lock_guard lock(mutex_);
    std::vector<StreamInfo> list;
    for (const auto& [key, events] : streams_) {
      if (key.tenant != options.tenant || (options.type && key.type != *options.type)) continue;
      if (!key.id.starts_with(options.id_prefix)) continue;
      if (options.after && key <= StreamKey(options.tenant, options.after->type, options.after->id)) continue;
      list.push_back(info(key, events));
      if (list.size() == options.limit) break;
    }
    return list;
  }

  std::optional<CommandRecord> find_command(const CommandKey& key) override {
    const std::lock_guard lock(mutex_);
    const auto found = commands_.find(key);
    if (found == commands_.end()) return std::nullopt;
    return found->second.record;
  }

  std::optional<CommandRecord> find_command(const Uuid& command_id) override {
    const std::lock_guard lock(mutex_);
    const auto found = command_ids_.find(command_id);
    if (found == command_ids_.end()) return std::nullopt;
    return commands_.at(found->second).record;
  }

  std::vector<CommandRecord> list_commands(const StreamKey& stream, std::size_t limit) override {
    const std::lock_guard lock(mutex_);
    std::vector<CommandRecord> list;
    for (auto key = command_order_.rbegin(); key != command_order_.rend() && list.size() < limit; ++key) {
      const CommandRecord& record = commands_.at(*key).record;
      if (record.stream == stream) list.push_back(record);
    }
    return list;
  }

  StoreStats stats() override {
    const std::lock_guard lock(mutex_);
    StoreStats stats;
    stats.events = static_cast<std::int64_t>(log_.size());
    stats.streams = static_cast<std::int64_t>(streams_.size());
    stats.commands = static_cast<std::int64_t>(commands_.size());
    stats.last_position = Position(stats.events);
    std::map<std::string, std::int64_t> counts;
    for (const RecordedEvent& event : log_) {
      ++counts[event.type];
      if (!stats.first_recorded_at) stats.first_recorded_at = event.recorded_at;
      stats.last_recorded_at = event.recorded_at;
    }
    stats.events_by_type.assign(counts.begin(), counts.end());
    std::stable_sort(stats.events_by_type.begin(), stats.events_by_type.end(),
                     [](const auto& a, const auto& b) { return a.second > b.second; });
    return stats;
  }

  std::vector<std::string> list_tenants() override {
    const std::lock_guard lock(mutex_);
    std::vector<std::string> tenants;
    for (const auto& [key, events] : streams_) tenants.push_back(key.tenant);
    for (const auto& [key, command] : commands_) tenants.push_back(key.tenant);
    std::sort(tenants.begin(), tenants.end());
    tenants.erase(std::unique(tenants.begin(), tenants.end()), tenants.end());
    return tenants;
  }

  void verify_storage(const VerifyOptions&, VerifyReport& report) override {
    const std::lock_guard lock(mutex_);
    report.checks.emplace_back("every event is found by its id");
    for (const RecordedEvent& event : log_) {
      const auto found = by_id_.find(event.event_id);
      if (found == by_id_.end() || log_[found->second].position != event.position) {
        report.violations.push_back(
            {"G6", "position " + std::to_string(event.position.value()), "is not found by its id"});
      }
    }
  }

  Position settled_position() override {
    const std::lock_guard lock(mutex_);
    return Position(static_cast<std::int64_t>(log_.size()));
  }

  bool save_snapshot(const Snapshot& snapshot) override {
    return read_side_.save(snapshot, locked_version_of(snapshot.stream));
  }
  std::optional<Snapshot> find_snapshot(const StreamKey& stream, Version at_or_below,
                                        std::optional<std::int32_t> schema_version) override {
    return read_side_.find(stream, std::min(at_or_below, locked_version_of(stream)), schema_version);
  }
  std::vector<SnapshotInfo> list_snapshots(const SnapshotListOptions& options) override {
    return read_side_.list(options);
  }
  std::int64_t delete_snapshots(const SnapshotDeletion& which) override { return read_side_.remove(which); }

  driver::ProjectionState open_projection(const driver::ProjectionKey& key, std::int32_t parts,
                                          Position start) override {
    return read_side_.open(key, parts, start);
  }
  std::optional<driver::ProjectionState> find_projection(const driver::ProjectionKey& key) override {
    return read_side_.find(key);
  }
  std::vector<driver::ProjectionState> list_projections() override { return read_side_.list(); }
  std::int32_t add_generation(const driver::ProjectionKey& key) override { return read_side_.add_generation(key); }
  void remove_generation(const driver::ProjectionKey& key, std::int32_t generation) override {
    read_side_.remove_generation(key, generation);
  }
  void remove_projection(const driver::ProjectionKey& key) override { read_side_.remove(key); }
  std::optional<driver::Lease> acquire_lease(const driver::PartKey& key, const std::string& holder,
                                             std::chrono::milliseconds time) override {
    return read_side_.acquire(key, holder, time);
  }
  bool renew_lease(const driver::Lease& lease, std::chrono::milliseconds time) override {
    return read_side_.renew(lease, time);
  }
  void release_lease(const driver::Lease& lease) override { read_side_.release(lease); }
  std::int32_t announce_member(const driver::ProjectionKey& key, const std::string& member,
                               std::chrono::milliseconds time) override {
    return read_side_.announce(key, member, time);
  }
  std::vector<driver::DeadLetter> list_dead_letters(const driver::ProjectionKey& key, std::size_t limit) override {
    return read_side_.list_dead_letters(key, limit);
  }
  bool remove_dead_letter(const driver::PartKey& key, Position position) override {
    return read_side_.remove_dead_letter(key, position);
  }
  std::unique_ptr<driver::ReadModelTransaction> begin_read_model() override {
    return std::make_unique<detail::MemoryTransaction>(read_side_, false);
  }

  std::int64_t event_types_revision(const std::string& tenant) override { return governance_.revision(tenant); }
  driver::EventTypes list_event_types(const std::string& tenant) override { return governance_.event_types(tenant); }
  bool add_schema(const EventSchema& schema) override { return governance_.add(schema); }
  bool remove_schema(const std::string& tenant, const EventForm& form) override {
    const std::lock_guard lock(mutex_);
    const bool in_use = std::any_of(log_.begin(), log_.end(), [&](const RecordedEvent& event) {
      return event.stream.tenant == tenant && event.type == form.type && event.event_version == form.event_version;
    });
    return governance_.remove_schema(tenant, form, in_use);
  }
  void set_type_rules(const EventTypeRules& rules) override { governance_.set(rules); }
  bool add_subject_key(const SubjectKey& key) override { return governance_.add(key); }
  std::optional<SubjectKey> find_subject_key(const std::string& tenant, const std::string& subject) override {
    return governance_.find_key(tenant, subject);
  }
  std::vector<SubjectKey> find_subject_keys(const std::string& tenant, std::span<const Uuid> key_ids) override {
    return governance_.find_keys(tenant, key_ids);
  }
  std::vector<SubjectKey> list_subject_keys(const std::string& tenant, const std::optional<Uuid>& after,
                                            std::size_t limit) override {
    return governance_.list_keys(tenant, after, limit);
  }
  bool rewrap_subject_key(const std::string& tenant, const Uuid& key_id, const WrappedKey& from,
                          const WrappedKey& to) override {
    return governance_.rewrap(tenant, key_id, from, to);
  }
  bool destroy_subject_key(const std::string& tenant, const Uuid& key_id) override {
    return governance_.destroy(tenant, key_id);
  }
  bool forget_subject(const std::string& tenant, const Uuid& key_id) override {
    return governance_.forget(tenant, key_id);
  }
  bool add_seal(const LogSeal& seal, std::span<const driver::EventHash> hashes) override {
    return governance_.add(seal, hashes);
  }
  std::optional<LogSeal> last_seal() override { return governance_.last_seal(); }
  std::vector<LogSeal> list_seals(std::int64_t after, std::size_t limit) override {
    return governance_.list_seals(after, limit);
  }
  std::vector<driver::EventHash> read_hashes(Position after, Position to, std::size_t limit) override {
    return governance_.read_hashes(after, to, limit);
  }
  std::optional<driver::EventHash> find_hash(const StreamKey& stream, Version version) override {
    const std::lock_guard lock(mutex_);
    const auto found = streams_.find(stream);
    const std::int64_t number = version.value();
    if (found == streams_.end() || number < 1 || number > static_cast<std::int64_t>(found->second.size())) {
      return std::nullopt;
    }
    return governance_.find_hash(log_[found->second[static_cast<std::size_t>(number - 1)]].position);
  }

 private:
  struct StoredCommand {
    CommandRecord record;
    driver::Fingerprint fingerprint;
  };

  /// Appends one after the other, while readers go on: a hook takes its time.
  class Writer {
   public:
    explicit Writer(MemoryDriver& driver) : driver_(driver) {
      if (driver.writing_thread_ == std::this_thread::get_id()) {
        throw Error(ErrorCode::invalid_argument, "an append from inside an append's own transaction waits for itself");
      }
      driver.write_mutex_.lock();
      driver.writing_thread_ = std::this_thread::get_id();
    }
    Writer(const Writer&) = delete;
    Writer& operator=(const Writer&) = delete;
    ~Writer() {
      driver_.writing_thread_ = std::thread::id();
      driver_.write_mutex_.unlock();
    }

   private:
    MemoryDriver& driver_;
  };

  /// What an append is going to write.
  struct Written {
    AppendResult result;
    std::vector<RecordedEvent> events;
    Timestamp now = Timestamp::now();
  };

  /// Adds the event unless the page is full; then there is more.
  static bool give(const RecordedEvent& event, const driver::PageLimits& limits, driver::EventPage& page) {
    const std::size_t bytes = json_bytes(event);
    if (page.size() >= limits.max_events || (page.size() > 0 && page.bytes() + bytes > limits.max_bytes)) {
      page.end = false;
      return false;
    }
    page.add() = event;
    page.count_bytes(bytes);
    return true;
  }

  StreamInfo info(const StreamKey& key, const std::vector<std::size_t>& events) const {
    return {key, Version(static_cast<std::int64_t>(events.size())), log_[events.front()].recorded_at,
            log_[events.back()].recorded_at};
  }

  Version version_of(const StreamKey& key) const {
    const auto found = streams_.find(key);
    return found == streams_.end() ? Version(0) : Version(static_cast<std::int64_t>(found->second.size()));
  }

  Version locked_version_of(const StreamKey& key) {
    const std::lock_guard lock(mutex_);
    return version_of(key);
  }

  AppendResult append_one(const PreparedAppend& append, const driver::AppendHook* hook) {
    std::unique_lock lock(mutex_);
    if (append.command) {
      if (auto known = find_known_command(*append.command)) return std::move(*known);
    }
    if (const auto found = find_existing(append); !found.empty()) {
      return driver::decide_replay(append, found, [this](const StreamKey& key) { return version_of(key); });
    }
    if (auto conflict = find_conflict(append)) return std::move(*conflict);
    Written written = prepare(append);
    if (hook == nullptr || written.events.empty()) return write(append, std::move(written));
    lock.unlock();
    detail::MemoryTransaction transaction(read_side_, true);
    (*hook)(transaction, written.events);
    lock.lock();
    transaction.apply();
    return write(append, std::move(written));
  }

  std::optional<AppendResult> find_known_command(const driver::PreparedCommand& command) const {
    AppendResult result;
    if (const auto found = commands_.find(command.command->key); found != commands_.end()) {
      if (found->second.fingerprint == command.fingerprint) {
        result.status = AppendStatus::replayed;
        result.streams = found->second.record.outcome;
      } else {
        result.status = AppendStatus::request_id_reused;
        result.detail = "request " + command.command->key.source + ":" + command.command->key.request_id +
                        " was made before with another content";
      }
      return result;
    }
    if (command_ids_.contains(command.command_id)) {
      result.status = AppendStatus::request_id_reused;
      result.detail = "command id " + command.command_id.to_string() + " belongs to another request";
      return result;
    }
    return std::nullopt;
  }

  std::vector<ExistingEvent> find_existing(const PreparedAppend& append) const {
    std::vector<ExistingEvent> found;
    for (std::size_t s = 0; s < append.streams.size(); ++s) {
      const PreparedStream& stream = append.streams[s];
      for (std::size_t e = 0; e < stream.events.size(); ++e) {
        const PreparedEvent& event = stream.events[e];
        ExistingEvent existing{s, e, nullptr, nullptr};
        if (const auto id = by_id_.find(event.event_id); id != by_id_.end()) existing.by_id = &log_[id->second];
        if (event.event->idempotency_key) {
          const auto key = by_key_.find({*stream.key, *event.event->idempotency_key});
          if (key != by_key_.end()) existing.by_key = &log_[key->second];
        }
        if (existing.by_id != nullptr || existing.by_key != nullptr) found.push_back(existing);
      }
    }
    return found;
  }

  std::optional<AppendResult> find_conflict(const PreparedAppend& append) const {
    AppendResult result;
    result.status = AppendStatus::conflict;
    const auto check = [&](const StreamKey& key, ExpectedVersion expected) {
      const Version actual = version_of(key);
      if (expected.holds_for(actual)) return true;
      result.conflict = VersionConflict{key, expected, actual};
      return false;
    };
    for (const PreparedStream& stream : append.streams) {
      if (!check(*stream.key, stream.expected)) return result;
    }
    for (const StreamCondition& condition : append.conditions) {
      if (!check(condition.stream, condition.expected)) return result;
    }
    return std::nullopt;
  }

  Written prepare(const PreparedAppend& append) const {
    Written written;
    for (const PreparedStream& prepared : append.streams) {
      StreamOutcome& outcome = written.result.streams.emplace_back();
      outcome.stream = *prepared.key;
      outcome.last_version = version_of(*prepared.key);
      outcome.first_version = Version(outcome.last_version.value() + 1);
      if (prepared.events.empty()) continue;
      const auto stream = streams_.find(*prepared.key);
      const Timestamp recorded_at =
          stream == streams_.end() ? written.now : std::max(written.now, log_[stream->second.back()].recorded_at);
      outcome.first_position = next_position(written);
      for (const PreparedEvent& event : prepared.events) {
        const Position position = next_position(written);
        RecordedEvent& stored = written.events.emplace_back();
        static_cast<EventFields&>(stored) = *event.event;
        stored.position = position;
        stored.stream = *prepared.key;
        stored.version = outcome.last_version = Version(outcome.last_version.value() + 1);
        stored.event_id = event.event_id;
        stored.occurred_at = event.occurred_at;
        stored.recorded_at = recorded_at;
        stored.source = event.source != nullptr ? std::optional(*event.source) : std::nullopt;
        stored.channel = event.channel;
        stored.causation_id = event.causation_id;
        if (append.command) stored.command = append.command->command->key;
        outcome.last_position = position;
      }
    }
    return written;
  }

  Position next_position(const Written& written) const {
    return Position(static_cast<std::int64_t>(log_.size() + written.events.size()) + 1);
  }

  AppendResult write(const PreparedAppend& append, Written written) {
    for (RecordedEvent& event : written.events) {
      const std::size_t index = log_.size();
      by_id_.emplace(event.event_id, index);
      if (event.idempotency_key) by_key_.emplace(std::pair(event.stream, *event.idempotency_key), index);
      streams_[event.stream].push_back(index);
      log_.push_back(std::move(event));
    }
    if (append.command) record(*append.command, written.result.streams, written.now);
    return std::move(written.result);
  }

  void record(const driver::PreparedCommand& prepared, const std::vector<StreamOutcome>& outcome, Timestamp now) {
    const Command& command = *prepared.command;
    CommandRecord record;
    record.key = command.key;
    record.command_id = prepared.command_id;
    record.type = command.type;
    if (prepared.stream != nullptr) record.stream = *prepared.stream;
    record.actor = command.actor;
    record.channel = command.channel;
    record.data = command.data;
    record.recorded_at = now;
    record.outcome = outcome;
    command_ids_.emplace(prepared.command_id, command.key);
    command_order_.push_back(command.key);
    commands_.emplace(command.key, StoredCommand{std::move(record), prepared.fingerprint});
  }

  std::mutex write_mutex_;  // Taken before the other one.
  std::atomic<std::thread::id> writing_thread_;
  std::mutex mutex_;
  detail::MemoryReadSide read_side_;
  detail::MemoryGovernance governance_;
  std::vector<RecordedEvent> log_;  // Index + 1 is the position.
  std::map<StreamKey, std::vector<std::size_t>> streams_;
  std::unordered_map<Uuid, std::size_t> by_id_;
  std::map<std::pair<StreamKey, std::string>, std::size_t> by_key_;
  std::map<CommandKey, StoredCommand> commands_;
  std::unordered_map<Uuid, CommandKey> command_ids_;
  std::vector<CommandKey> command_order_;
};

}  // namespace

void register_memory_driver(Registry& registry) {
  registry.add("memory", [](const Url& url, const DriverOptions&) {
    url.allow_params({});
    if (!url.path.empty()) throw Error(ErrorCode::invalid_argument, "memory: takes no path");
    return std::make_unique<MemoryDriver>();
  });
}

}  // namespace stele
