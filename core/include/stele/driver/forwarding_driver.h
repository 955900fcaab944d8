// A driver that passes every call on to another one: the base of decorators that change a little of it.
#pragma once

#include <memory>

#include "stele/driver/driver.h"

namespace stele::driver {

class ForwardingDriver : public Driver {
 public:
  explicit ForwardingDriver(std::shared_ptr<Driver> inner) : inner_(std::move(inner)) {}

  std::string_view name() const noexcept override { return inner_->name(); }
  std::optional<std::string> tenant() const override { return inner_->tenant(); }
  std::vector<AppendAnswer> append(std::span<const PreparedAppend> appends) override { return inner_->append(appends); }
  void read_stream(const StreamPageRequest& request, EventPage& page) override { inner_->read_stream(request, page); }
  void read_log(const LogPageRequest& request, EventPage& page) override { inner_->read_log(request, page); }
  std::optional<RecordedEvent> find_event(const Uuid& event_id) override { return inner_->find_event(event_id); }
  std::optional<StreamInfo> stream_info(const StreamKey& stream) override { return inner_->stream_info(stream); }
  std::vector<StreamInfo> list_streams(const StreamListOptions& options) override {
    return inner_->list_streams(options);
  }
  std::optional<CommandRecord> find_command(const CommandKey& key) override { return inner_->find_command(key); }
  std::optional<CommandRecord> find_command(const Uuid& command_id) override {
    return inner_->find_command(command_id);
  }
  std::vector<CommandRecord> list_commands(const StreamKey& stream, std::size_t limit) override {
    return inner_->list_commands(stream, limit);
  }
  StoreStats stats() override { return inner_->stats(); }
  std::vector<std::string> list_tenants() override { return inner_->list_tenants(); }
  void verify_storage(const VerifyOptions& options, VerifyReport& report) override {
    inner_->verify_storage(options, report);
  }
  MigrationStore* migrations() noexcept override { return inner_->migrations(); }
  ConnectionStats connection_stats() override { return inner_->connection_stats(); }
  void grant_roles(const RoleNames& names) override { inner_->grant_roles(names); }
  void isolate_tenants(bool on) override { inner_->isolate_tenants(on); }
  std::unique_ptr<AppendListener> listen() override { return inner_->listen(); }

  AppendAnswer append_with_hook(const PreparedAppend& append, const AppendHook& hook) override {
    return inner_->append_with_hook(append, hook);
  }
  Position settled_position() override { return inner_->settled_position(); }
  bool save_snapshot(const Snapshot& snapshot) override { return inner_->save_snapshot(snapshot); }
  std::optional<Snapshot> find_snapshot(const StreamKey& stream, Version at_or_below,
                                        std::optional<std::int32_t> schema_version) override {
    return inner_->find_snapshot(stream, at_or_below, schema_version);
  }
  std::vector<SnapshotInfo> list_snapshots(const SnapshotListOptions& options) override {
    return inner_->list_snapshots(options);
  }
  std::int64_t delete_snapshots(const SnapshotDeletion& which) override { return inner_->delete_snapshots(which); }
  ProjectionState open_projection(const ProjectionKey& key, std::int32_t parts, Position start,
                                  ProjectionKind kind) override {
    return inner_->open_projection(key, parts, start, kind);
  }
  bool change_kind(const ProjectionKey& key, ProjectionKind from, ProjectionKind to) override {
    return inner_->change_kind(key, from, to);
  }
  std::optional<ProjectionState> find_projection(const ProjectionKey& key) override {
    return inner_->find_projection(key);
  }
  std::vector<ProjectionState> list_projections() override { return inner_->list_projections(); }
  std::int32_t add_generation(const ProjectionKey& key) override { return inner_->add_generation(key); }
  void remove_generation(const ProjectionKey& key, std::int32_t generation) override {
    inner_->remove_generation(key, generation);
  }
  void remove_projection(const ProjectionKey& key) override { inner_->remove_projection(key); }
  std::optional<Lease> acquire_lease(const PartKey& key, const std::string& holder,
                                     std::chrono::milliseconds time) override {
    return inner_->acquire_lease(key, holder, time);
  }
  bool renew_lease(const Lease& lease, std::chrono::milliseconds time) override {
    return inner_->renew_lease(lease, time);
  }
  void release_lease(const Lease& lease) override { inner_->release_lease(lease); }
  std::int32_t announce_member(const ProjectionKey& key, const std::string& member,
                               std::chrono::milliseconds time) override {
    return inner_->announce_member(key, member, time);
  }
  std::vector<DeadLetter> list_dead_letters(const ProjectionKey& key, std::size_t limit) override {
    return inner_->list_dead_letters(key, limit);
  }
  bool remove_dead_letter(const PartKey& key, Position position) override {
    return inner_->remove_dead_letter(key, position);
  }
  std::unique_ptr<ReadModelTransaction> begin_read_model(std::chrono::milliseconds idle_limit) override {
    return inner_->begin_read_model(idle_limit);
  }

  std::int64_t event_types_revision(const std::string& tenant) override { return inner_->event_types_revision(tenant); }
  EventTypes list_event_types(const std::string& tenant) override { return inner_->list_event_types(tenant); }
  bool add_schema(const EventSchema& schema) override { return inner_->add_schema(schema); }
  bool remove_schema(const std::string& tenant, const EventForm& form) override {
    return inner_->remove_schema(tenant, form);
  }
  void set_type_rules(const EventTypeRules& rules) override { inner_->set_type_rules(rules); }
  bool add_subject_key(const SubjectKey& key) override { return inner_->add_subject_key(key); }
  std::optional<SubjectKey> find_subject_key(const std::string& tenant, const std::string& subject) override {
    return inner_->find_subject_key(tenant, subject);
  }
  std::vector<SubjectKey> find_subject_keys(const std::string& tenant, std::span<const Uuid> key_ids) override {
    return inner_->find_subject_keys(tenant, key_ids);
  }
  std::vector<SubjectKey> list_subject_keys(const std::string& tenant, const std::optional<Uuid>& after,
                                            std::size_t limit) override {
    return inner_->list_subject_keys(tenant, after, limit);
  }
  std::vector<std::string> list_key_tenants() override { return inner_->list_key_tenants(); }
  bool rewrap_subject_key(const std::string& tenant, const Uuid& key_id, const WrappedKey& from,
                          const WrappedKey& to) override {
    return inner_->rewrap_subject_key(tenant, key_id, from, to);
  }
  bool destroy_subject_key(const std::string& tenant, const Uuid& key_id) override {
    return inner_->destroy_subject_key(tenant, key_id);
  }
  bool forget_subject(const std::string& tenant, const Uuid& key_id) override {
    return inner_->forget_subject(tenant, key_id);
  }
  bool add_seal(const LogSeal& seal, std::span<const EventHash> hashes) override {
    return inner_->add_seal(seal, hashes);
  }
  std::optional<LogSeal> last_seal() override { return inner_->last_seal(); }
  std::vector<LogSeal> list_seals(std::int64_t after, std::size_t limit) override {
    return inner_->list_seals(after, limit);
  }
  std::vector<EventHash> read_hashes(Position after, Position to, std::size_t limit) override {
    return inner_->read_hashes(after, to, limit);
  }
  std::vector<std::optional<EventHash>> find_hashes(std::span<const EventPlace> places) override {
    return inner_->find_hashes(places);
  }

 protected:
  Driver& inner() noexcept { return *inner_; }

 private:
  std::shared_ptr<Driver> inner_;
};

/// The same for a transaction of a read model.
class ForwardingTransaction : public ReadModelTransaction {
 public:
  explicit ForwardingTransaction(std::unique_ptr<ReadModelTransaction> inner) : inner_(std::move(inner)) {}

  void* soci_session() noexcept override { return inner_->soci_session(); }
  void on_commit(std::function<void()> change) override { inner_->on_commit(std::move(change)); }
  bool move_checkpoint(const Lease& lease, Position to) override { return inner_->move_checkpoint(lease, to); }
  void add_dead_letter(const DeadLetter& letter) override { inner_->add_dead_letter(letter); }
  bool activate(const ProjectionKey& projection, std::int32_t from, std::int32_t generation) override {
    return inner_->activate(projection, from, generation);
  }
  bool is_inline(const ProjectionKey& projection, std::int32_t generation) override {
    return inner_->is_inline(projection, generation);
  }
  std::optional<Error> database_error(const std::exception_ptr& thrown) override {
    return inner_->database_error(thrown);
  }
  void commit() override { inner_->commit(); }

 protected:
  ReadModelTransaction& inner() noexcept { return *inner_; }

 private:
  std::unique_ptr<ReadModelTransaction> inner_;
};

}  // namespace stele::driver
