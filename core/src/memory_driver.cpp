// The reference driver: the guarantees in the plainest form, a mutex around vectors and maps.

#include <algorithm>
#include <atomic>
#include <map>
#include <mutex>
#include <set>
#include <thread>
#include <unordered_map>

#include "memory_governance.h"
#include "memory_log.h"
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
    log_.read_stream(request, page);
  }

  void read_log(const driver::LogPageRequest& request, driver::EventPage& page) override {
    const std::lock_guard lock(mutex_);
    log_.read_log(request, page);
  }

  std::optional<RecordedEvent> find_event(const Uuid& event_id) override {
    const std::lock_guard lock(mutex_);
    const RecordedEvent* const found = log_.find(event_id);
    return found == nullptr ? std::nullopt : std::optional(*found);
  }

  std::optional<StreamInfo> stream_info(const StreamKey& stream) override {
    const std::lock_guard lock(mutex_);
    return log_.stream_info(stream);
  }

  std::vector<StreamInfo> list_streams(const StreamListOptions& options) override {
    const std::lock_guard lock(mutex_);
    return log_.list_streams(options);
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
    StoreStats stats = log_.stats();
    stats.commands = static_cast<std::int64_t>(commands_.size());
    return stats;
  }

  std::vector<std::string> list_tenants() override {
    const std::lock_guard lock(mutex_);
    std::set<std::string> tenants = log_.tenants();
    for (const auto& [key, command] : commands_) tenants.insert(key.tenant);
    return {tenants.begin(), tenants.end()};
  }

  void verify_storage(const VerifyOptions&, VerifyReport& report) override {
    const std::lock_guard lock(mutex_);
    log_.verify(report);
  }

  Position settled_position() override {
    const std::lock_guard lock(mutex_);
    return log_.last_position();
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

  driver::ProjectionState open_projection(const driver::ProjectionKey& key, std::int32_t parts, Position start,
                                          driver::ProjectionKind kind) override {
    return read_side_.open(key, parts, start, kind);
  }
  bool change_kind(const driver::ProjectionKey& key, driver::ProjectionKind from, driver::ProjectionKind to) override {
    return read_side_.change_kind(key, from, to);
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
  std::unique_ptr<driver::ReadModelTransaction> begin_read_model(std::chrono::milliseconds /*idle_limit*/) override {
    return std::make_unique<detail::MemoryTransaction>(read_side_, false);
  }

  std::int64_t event_types_revision(const std::string& tenant) override { return governance_.revision(tenant); }
  driver::EventTypes list_event_types(const std::string& tenant) override { return governance_.event_types(tenant); }
  bool add_schema(const EventSchema& schema) override { return governance_.add(schema); }
  bool remove_schema(const std::string& tenant, const EventForm& form) override {
    const std::lock_guard lock(mutex_);
    const bool in_use = std::any_of(log_.events().begin(), log_.events().end(), [&](const RecordedEvent& event) {
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
  std::vector<std::string> list_key_tenants() override { return governance_.list_key_tenants(); }
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
  std::vector<std::optional<driver::EventHash>> find_hashes(std::span<const driver::EventPlace> places) override {
    const std::lock_guard lock(mutex_);
    std::vector<std::optional<driver::EventHash>> found;
    for (const driver::EventPlace& place : places) {
      const RecordedEvent* const event = log_.find(place.stream, place.version);
      found.push_back(event == nullptr ? std::nullopt : governance_.find_hash(event->position));
    }
    return found;
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

  Version locked_version_of(const StreamKey& key) {
    const std::lock_guard lock(mutex_);
    return log_.version_of(key);
  }

  AppendResult append_one(const PreparedAppend& append, const driver::AppendHook* hook) {
    std::unique_lock lock(mutex_);
    if (append.command) {
      if (auto known = find_known_command(*append.command)) return std::move(*known);
    }
    if (const auto found = find_existing(append); !found.empty()) {
      return driver::decide_replay(append, found, [this](const StreamKey& key) { return log_.version_of(key); });
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
        ExistingEvent existing{s, e, log_.find(event.event_id), nullptr};
        if (event.event->idempotency_key) existing.by_key = log_.find(*stream.key, *event.event->idempotency_key);
        if (existing.by_id != nullptr || existing.by_key != nullptr) found.push_back(existing);
      }
    }
    return found;
  }

  std::optional<AppendResult> find_conflict(const PreparedAppend& append) const {
    AppendResult result;
    result.status = AppendStatus::conflict;
    const auto check = [&](const StreamKey& key, ExpectedVersion expected) {
      const Version actual = log_.version_of(key);
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
      outcome.last_version = log_.version_of(*prepared.key);
      outcome.first_version = Version(outcome.last_version.value() + 1);
      if (prepared.events.empty()) continue;
      const RecordedEvent* const last = log_.last_of(*prepared.key);
      const Timestamp recorded_at = last == nullptr ? written.now : std::max(written.now, last->recorded_at);
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
    return Position(log_.last_position().value() + static_cast<std::int64_t>(written.events.size()) + 1);
  }

  AppendResult write(const PreparedAppend& append, Written written) {
    for (RecordedEvent& event : written.events) log_.add(std::move(event));
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
  detail::MemoryLog log_;  // Positions without gaps.
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
