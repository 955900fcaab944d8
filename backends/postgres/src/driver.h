// The PostgreSQL driver: a pool of sessions, and what they are used for.
#pragma once

#include "notifier.h"
#include "session.h"
#include "settings.h"
#include "stele/driver/driver.h"
#include "stele_soci/gathered_appends.h"

namespace stele::postgres {

class PostgresDriver final : public driver::Driver, public driver::MigrationStore {
 public:
  /// Connects, to see that the database can be reached.
  explicit PostgresDriver(Settings settings);

  std::string_view name() const noexcept override;
  std::vector<driver::AppendAnswer> append(std::span<const driver::PreparedAppend> appends) override;
  void read_stream(const driver::StreamPageRequest& request, driver::EventPage& page) override;
  void read_log(const driver::LogPageRequest& request, driver::EventPage& page) override;
  std::optional<RecordedEvent> find_event(const Uuid& event_id) override;
  std::optional<StreamInfo> stream_info(const StreamKey& stream) override;
  std::vector<StreamInfo> list_streams(const StreamListOptions& options) override;
  std::optional<CommandRecord> find_command(const CommandKey& key) override;
  std::optional<CommandRecord> find_command(const Uuid& command_id) override;
  std::vector<CommandRecord> list_commands(const StreamKey& stream, std::size_t limit) override;
  StoreStats stats() override;
  std::vector<std::string> list_tenants() override;
  void verify_storage(const VerifyOptions& options, VerifyReport& report) override;
  std::unique_ptr<driver::AppendListener> listen() override;
  driver::ConnectionStats connection_stats() override;
  void grant_roles(const driver::RoleNames& names) override;
  void isolate_tenants(bool on) override;
  driver::MigrationStore* migrations() noexcept override { return this; }

  driver::AppendAnswer append_with_hook(const driver::PreparedAppend& append, const driver::AppendHook& hook) override;
  Position settled_position() override;
  bool save_snapshot(const Snapshot& snapshot) override;
  std::optional<Snapshot> find_snapshot(const StreamKey& stream, Version at_or_below,
                                        std::optional<std::int32_t> schema_version) override;
  std::vector<SnapshotInfo> list_snapshots(const SnapshotListOptions& options) override;
  std::int64_t delete_snapshots(const SnapshotDeletion& which) override;
  driver::ProjectionState open_projection(const driver::ProjectionKey& key, std::int32_t parts, Position start,
                                          driver::ProjectionKind kind) override;
  bool change_kind(const driver::ProjectionKey& key, driver::ProjectionKind from, driver::ProjectionKind to) override;
  std::optional<driver::ProjectionState> find_projection(const driver::ProjectionKey& key) override;
  std::vector<driver::ProjectionState> list_projections() override;
  std::int32_t add_generation(const driver::ProjectionKey& key) override;
  void remove_generation(const driver::ProjectionKey& key, std::int32_t generation) override;
  void remove_projection(const driver::ProjectionKey& key) override;
  std::optional<driver::Lease> acquire_lease(const driver::PartKey& key, const std::string& holder,
                                             std::chrono::milliseconds time) override;
  bool renew_lease(const driver::Lease& lease, std::chrono::milliseconds time) override;
  void release_lease(const driver::Lease& lease) override;
  std::int32_t announce_member(const driver::ProjectionKey& key, const std::string& member,
                               std::chrono::milliseconds time) override;
  std::vector<driver::DeadLetter> list_dead_letters(const driver::ProjectionKey& key, std::size_t limit) override;
  bool remove_dead_letter(const driver::PartKey& key, Position position) override;
  std::unique_ptr<driver::ReadModelTransaction> begin_read_model(std::chrono::milliseconds idle_limit) override;

  std::int64_t event_types_revision(const std::string& tenant) override;
  driver::EventTypes list_event_types(const std::string& tenant) override;
  bool add_schema(const EventSchema& schema) override;
  bool remove_schema(const std::string& tenant, const EventForm& form) override;
  void set_type_rules(const EventTypeRules& rules) override;
  bool add_subject_key(const SubjectKey& key) override;
  std::optional<SubjectKey> find_subject_key(const std::string& tenant, const std::string& subject) override;
  std::vector<SubjectKey> find_subject_keys(const std::string& tenant, std::span<const Uuid> key_ids) override;
  std::vector<SubjectKey> list_subject_keys(const std::string& tenant, const std::optional<Uuid>& after,
                                            std::size_t limit) override;
  std::vector<std::string> list_key_tenants() override;
  bool rewrap_subject_key(const std::string& tenant, const Uuid& key_id, const WrappedKey& from,
                          const WrappedKey& to) override;
  bool destroy_subject_key(const std::string& tenant, const Uuid& key_id) override;
  bool forget_subject(const std::string& tenant, const Uuid& key_id) override;
  bool add_seal(const LogSeal& seal, std::span<const driver::EventHash> hashes) override;
  std::optional<LogSeal> last_seal() override;
  std::vector<LogSeal> list_seals(std::int64_t after, std::size_t limit) override;
  std::vector<driver::EventHash> read_hashes(Position after, Position to, std::size_t limit) override;
  std::vector<std::optional<driver::EventHash>> find_hashes(std::span<const driver::EventPlace> places) override;

  std::span<const driver::Migration> migrations() const noexcept override;
  std::vector<driver::MigrationRecord> history() override;
  bool apply(const driver::MigrationStep& step) override;
  std::string dump_schema() override;

 private:
  SessionPool::Lease lease();
  /// Calls `use` with a session; once more with a new one when the first turns out to be gone: `use` may be repeated.
  template <class Use>
  auto reading(Use use);
  /// For what must not be done twice, even when the first answer was lost.
  template <class Use>
  auto once(Use use);
  std::vector<std::optional<driver::AppendAnswer>> append_gathered(std::span<const driver::PreparedAppend> appends,
                                                                   const std::function<void()>& written);
  std::vector<driver::AppendAnswer> append_each(std::span<const driver::PreparedAppend> appends);

  const Settings settings_;
  SessionPool sessions_;
  soci_backend::GatheredAppends gathered_;
  Notifier notifier_;
};

}  // namespace stele::postgres
