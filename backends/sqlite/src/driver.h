// The SQLite driver: sessions, and what they are used for.
#pragma once

#include "group_commit.h"
#include "read_model.h"
#include "session.h"
#include "settings.h"
#include "stele/driver/driver.h"
#include "watcher.h"

namespace stele::sqlite {

/// A file has one writing session and several reading ones (WAL lets them work side by side); a database in memory has
/// one session for everything.
class SqliteDriver final : public driver::Driver, public driver::MigrationStore {
 public:
  /// Opens the database to see that it can be opened.
  explicit SqliteDriver(Settings settings);

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
  driver::MigrationStore* migrations() noexcept override { return this; }
  std::unique_ptr<driver::AppendListener> listen() override;

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
  SessionPool::Lease lease_reader();
  SessionPool::Lease lease_writer();
  template <class Read>
  auto in_read_transaction(Read read);
  template <class Write>
  auto in_write_transaction(Write write);

  const Settings settings_;
  SessionPool writers_;
  SessionPool readers_;
  GroupCommit group_commit_;
  HandlerThread handler_thread_;
  Watcher watcher_;
};

}  // namespace stele::sqlite
