// A driver that passes every call on to another one: the base of decorators that change a little of it.
#pragma once

#include <memory>

#include "stele/driver/driver.h"

namespace stele::testing {

class ForwardingDriver : public driver::Driver {
 public:
  explicit ForwardingDriver(std::shared_ptr<driver::Driver> inner) : inner_(std::move(inner)) {}

  std::string_view name() const noexcept override { return inner_->name(); }
  std::optional<std::string> tenant() const override { return inner_->tenant(); }
  std::vector<driver::AppendAnswer> append(std::span<const driver::PreparedAppend> appends) override {
    return inner_->append(appends);
  }
  void read_stream(const driver::StreamPageRequest& request, driver::EventPage& page) override {
    inner_->read_stream(request, page);
  }
  void read_log(const driver::LogPageRequest& request, driver::EventPage& page) override {
    inner_->read_log(request, page);
  }
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
  driver::MigrationStore* migrations() noexcept override { return inner_->migrations(); }
  std::unique_ptr<driver::AppendListener> listen() override { return inner_->listen(); }

  driver::AppendAnswer append_with_hook(const driver::PreparedAppend& append, const driver::AppendHook& hook) override {
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
  driver::ProjectionState open_projection(const driver::ProjectionKey& key, std::int32_t parts,
                                          Position start) override {
    return inner_->open_projection(key, parts, start);
  }
  std::optional<driver::ProjectionState> find_projection(const driver::ProjectionKey& key) override {
    return inner_->find_projection(key);
  }
  std::vector<driver::ProjectionState> list_projections() override { return inner_->list_projections(); }
  std::int32_t add_generation(const driver::ProjectionKey& key) override { return inner_->add_generation(key); }
  void remove_generation(const driver::ProjectionKey& key, std::int32_t generation) override {
    inner_->remove_generation(key, generation);
  }
  void remove_projection(const driver::ProjectionKey& key) override { inner_->remove_projection(key); }
  std::optional<driver::Lease> acquire_lease(const driver::PartKey& key, const std::string& holder,
                                             std::chrono::milliseconds time) override {
    return inner_->acquire_lease(key, holder, time);
  }
  bool renew_lease(const driver::Lease& lease, std::chrono::milliseconds time) override {
    return inner_->renew_lease(lease, time);
  }
  void release_lease(const driver::Lease& lease) override { inner_->release_lease(lease); }
  std::int32_t announce_member(const driver::ProjectionKey& key, const std::string& member,
                               std::chrono::milliseconds time) override {
    return inner_->announce_member(key, member, time);
  }
  std::vector<driver::DeadLetter> list_dead_letters(const driver::ProjectionKey& key, std::size_t limit) override {
    return inner_->list_dead_letters(key, limit);
  }
  bool remove_dead_letter(const driver::PartKey& key, Position position) override {
    return inner_->remove_dead_letter(key, position);
  }
  std::unique_ptr<driver::ReadModelTransaction> begin_read_model() override { return inner_->begin_read_model(); }

 protected:
  driver::Driver& inner() noexcept { return *inner_; }

 private:
  std::shared_ptr<driver::Driver> inner_;
};

/// The same for a transaction of a read model.
class ForwardingTransaction : public driver::ReadModelTransaction {
 public:
  explicit ForwardingTransaction(std::unique_ptr<driver::ReadModelTransaction> inner) : inner_(std::move(inner)) {}

  void* soci_session() noexcept override { return inner_->soci_session(); }
  void on_commit(std::function<void()> change) override { inner_->on_commit(std::move(change)); }
  bool move_checkpoint(const driver::Lease& lease, Position to) override { return inner_->move_checkpoint(lease, to); }
  void add_dead_letter(const driver::DeadLetter& letter) override { inner_->add_dead_letter(letter); }
  bool activate(const driver::ProjectionKey& projection, std::int32_t from, std::int32_t generation) override {
    return inner_->activate(projection, from, generation);
  }
  void check_connection() override { inner_->check_connection(); }
  void commit() override { inner_->commit(); }

 protected:
  driver::ReadModelTransaction& inner() noexcept { return *inner_; }

 private:
  std::unique_ptr<driver::ReadModelTransaction> inner_;
};

}  // namespace stele::testing
