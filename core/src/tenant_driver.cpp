#include <algorithm>
#include <utility>

#include "stele/driver/driver.h"

namespace stele::driver {
namespace {

/// Lets nothing through that is another tenant's, in either direction.
class TenantDriver final : public Driver {
 public:
  TenantDriver(std::unique_ptr<Driver> inner, std::string tenant)
      : inner_(std::move(inner)), tenant_(std::move(tenant)) {}

  std::optional<std::string> tenant() const override { return tenant_; }
  std::string_view name() const noexcept override { return inner_->name(); }

  std::vector<AppendAnswer> append(std::span<const PreparedAppend> appends) override {
    for (const PreparedAppend& append : appends) check(append);
    return inner_->append(appends);
  }
  AppendAnswer append_with_hook(const PreparedAppend& append, const AppendHook& hook) override {
    check(append);
    if (!hook) return inner_->append_with_hook(append, hook);
    return inner_->append_with_hook(append, [&](ReadModelTransaction& transaction, auto events) {
      Transaction checked(*this, transaction);
      hook(checked, events);
    });
  }

  void read_stream(const StreamPageRequest& request, EventPage& page) override {
    check(request.stream->tenant);
    inner_->read_stream(request, page);
  }
  void read_log(const LogPageRequest& request, EventPage& page) override {
    if (request.filter->tenant) {
      check(*request.filter->tenant);
      inner_->read_log(request, page);
      return;
    }
    LogFilter filter = *request.filter;
    filter.tenant = tenant_;
    LogPageRequest of_tenant = request;
    of_tenant.filter = &filter;
    inner_->read_log(of_tenant, page);
  }
  std::optional<RecordedEvent> find_event(const Uuid& event_id) override {
    std::optional<RecordedEvent> event = inner_->find_event(event_id);
    if (event && event->stream.tenant != tenant_) event.reset();
    return event;
  }
  std::optional<StreamInfo> stream_info(const StreamKey& stream) override {
    check(stream.tenant);
    return inner_->stream_info(stream);
  }
  std::vector<StreamInfo> list_streams(const StreamListOptions& options) override {
    check(options.tenant);
    if (options.after) check(options.after->tenant);
    return inner_->list_streams(options);
  }

  std::optional<CommandRecord> find_command(const CommandKey& key) override {
    check(key.tenant);
    return inner_->find_command(key);
  }
  std::optional<CommandRecord> find_command(const Uuid& command_id) override {
    std::optional<CommandRecord> command = inner_->find_command(command_id);
    if (command && command->key.tenant != tenant_) command.reset();
    return command;
  }
  std::vector<CommandRecord> list_commands(const StreamKey& stream, std::size_t limit) override {
    check(stream.tenant);
    return inner_->list_commands(stream, limit);
  }

  StoreStats stats() override { refuse("statistics"); }
  std::vector<std::string> list_tenants() override { return {tenant_}; }
  void verify_storage(const VerifyOptions&, VerifyReport&) override { refuse("verify"); }
  void grant_roles(const RoleNames&) override { refuse("roles"); }
  void isolate_tenants(bool) override { refuse("tenants"); }
  std::unique_ptr<AppendListener> listen() override { return inner_->listen(); }
  ConnectionStats connection_stats() override { return inner_->connection_stats(); }

  Position settled_position() override { return inner_->settled_position(); }
  bool save_snapshot(const Snapshot& snapshot) override {
    check(snapshot.stream.tenant);
    return inner_->save_snapshot(snapshot);
  }
  std::optional<Snapshot> find_snapshot(const StreamKey& stream, Version at_or_below,
                                        std::optional<std::int32_t> schema_version) override {
    check(stream.tenant);
    return inner_->find_snapshot(stream, at_or_below, schema_version);
  }
  std::vector<SnapshotInfo> list_snapshots(const SnapshotListOptions& options) override {
    check(options.tenant);
    return inner_->list_snapshots(options);
  }
  std::int64_t delete_snapshots(const SnapshotDeletion& which) override {
    check(which.tenant);
    return inner_->delete_snapshots(which);
  }

  ProjectionState open_projection(const ProjectionKey& key, std::int32_t parts, Position start,
                                  ProjectionKind kind) override {
    check(key);
    return inner_->open_projection(key, parts, start, kind);
  }
  bool change_kind(const ProjectionKey& key, ProjectionKind from, ProjectionKind to) override {
    check(key);
    return inner_->change_kind(key, from, to);
  }
  std::optional<ProjectionState> find_projection(const ProjectionKey& key) override {
    check(key);
    return inner_->find_projection(key);
  }
  std::vector<ProjectionState> list_projections() override {
    std::vector<ProjectionState> all = inner_->list_projections();
    std::erase_if(all, [this](const ProjectionState& state) { return state.key.tenant != tenant_; });
    return all;
  }
  std::int32_t add_generation(const ProjectionKey& key) override {
    check(key);
    return inner_->add_generation(key);
  }
  void remove_generation(const ProjectionKey& key, std::int32_t generation) override {
    check(key);
    inner_->remove_generation(key, generation);
  }
  void remove_projection(const ProjectionKey& key) override {
    check(key);
    inner_->remove_projection(key);
  }
  std::optional<Lease> acquire_lease(const PartKey& key, const std::string& holder,
                                     std::chrono::milliseconds time) override {
    check(key.projection);
    return inner_->acquire_lease(key, holder, time);
  }
  bool renew_lease(const Lease& lease, std::chrono::milliseconds time) override {
    check(lease.key.projection);
    return inner_->renew_lease(lease, time);
  }
  void release_lease(const Lease& lease) override {
    check(lease.key.projection);
    inner_->release_lease(lease);
  }
  std::int32_t announce_member(const ProjectionKey& key, const std::string& member,
                               std::chrono::milliseconds time) override {
    check(key);
    return inner_->announce_member(key, member, time);
  }
  std::vector<DeadLetter> list_dead_letters(const ProjectionKey& key, std::size_t limit) override {
    check(key);
    return inner_->list_dead_letters(key, limit);
  }
  bool remove_dead_letter(const PartKey& key, Position position) override {
    check(key.projection);
    return inner_->remove_dead_letter(key, position);
  }
  std::unique_ptr<ReadModelTransaction> begin_read_model(std::chrono::milliseconds idle_limit) override {
    return std::make_unique<Transaction>(*this, inner_->begin_read_model(idle_limit));
  }

  std::int64_t event_types_revision(const std::string& tenant) override {
    check(tenant);
    return inner_->event_types_revision(tenant);
  }
  EventTypes list_event_types(const std::string& tenant) override {
    check(tenant);
    return inner_->list_event_types(tenant);
  }
  bool add_schema(const EventSchema& schema) override {
    check(schema.tenant);
    return inner_->add_schema(schema);
  }
  bool remove_schema(const std::string& tenant, const EventForm& form) override {
    check(tenant);
    return inner_->remove_schema(tenant, form);
  }
  void set_type_rules(const EventTypeRules& rules) override {
    check(rules.tenant);
    inner_->set_type_rules(rules);
  }
  bool add_subject_key(const SubjectKey& key) override {
    check(key.tenant);
    return inner_->add_subject_key(key);
  }
  std::optional<SubjectKey> find_subject_key(const std::string& tenant, const std::string& subject) override {
    check(tenant);
    return inner_->find_subject_key(tenant, subject);
  }
  std::vector<SubjectKey> find_subject_keys(const std::string& tenant, std::span<const Uuid> key_ids) override {
    check(tenant);
    return inner_->find_subject_keys(tenant, key_ids);
  }
  std::vector<SubjectKey> list_subject_keys(const std::string& tenant, const std::optional<Uuid>& after,
                                            std::size_t limit) override {
    check(tenant);
    return inner_->list_subject_keys(tenant, after, limit);
  }
  std::vector<std::string> list_key_tenants() override { return {tenant_}; }
  bool rewrap_subject_key(const std::string& tenant, const Uuid& key_id, const WrappedKey& from,
                          const WrappedKey& to) override {
    check(tenant);
    return inner_->rewrap_subject_key(tenant, key_id, from, to);
  }
  bool destroy_subject_key(const std::string& tenant, const Uuid& key_id) override {
    check(tenant);
    return inner_->destroy_subject_key(tenant, key_id);
  }
  bool forget_subject(const std::string& tenant, const Uuid& key_id) override {
    check(tenant);
    return inner_->forget_subject(tenant, key_id);
  }
  bool add_seal(const LogSeal&, std::span<const EventHash>) override { refuse("seals"); }
  std::optional<LogSeal> last_seal() override { refuse("seals"); }
  std::vector<LogSeal> list_seals(std::int64_t, std::size_t) override { refuse("seals"); }
  std::vector<EventHash> read_hashes(Position, Position, std::size_t) override { refuse("seals"); }
  std::vector<std::optional<EventHash>> find_hashes(std::span<const driver::EventPlace>) override { refuse("seals"); }

 private:
  class Transaction final : public ReadModelTransaction {
   public:
    Transaction(const TenantDriver& driver, std::unique_ptr<ReadModelTransaction> inner)
        : driver_(driver), owned_(std::move(inner)), inner_(*owned_) {}
    Transaction(const TenantDriver& driver, ReadModelTransaction& inner) : driver_(driver), inner_(inner) {}

    void* soci_session() noexcept override { return inner_.soci_session(); }
    void on_commit(std::function<void()> change) override { inner_.on_commit(std::move(change)); }
    bool move_checkpoint(const Lease& lease, Position to) override {
      driver_.check(lease.key.projection);
      return inner_.move_checkpoint(lease, to);
    }
    void add_dead_letter(const DeadLetter& letter) override {
      driver_.check(letter.key.projection);
      inner_.add_dead_letter(letter);
    }
    bool activate(const ProjectionKey& projection, std::int32_t from, std::int32_t generation) override {
      driver_.check(projection);
      return inner_.activate(projection, from, generation);
    }
    bool is_inline(const ProjectionKey& projection, std::int32_t generation) override {
      driver_.check(projection);
      return inner_.is_inline(projection, generation);
    }
    std::optional<Error> database_error(const std::exception_ptr& thrown) override {
      return inner_.database_error(thrown);
    }
    void commit() override { inner_.commit(); }

   private:
    const TenantDriver& driver_;
    const std::unique_ptr<ReadModelTransaction> owned_;
    ReadModelTransaction& inner_;
  };

  void check(std::string_view tenant) const {
    if (tenant == tenant_) return;
    throw Error(ErrorCode::permission_denied, "tenant_id: this store is open for tenant '" + tenant_ + "' alone");
  }
  void check(const PreparedAppend& append) const {
    // Core lets no append through whose keys are of several tenants.
    check(append.tenant);
  }
  void check(const ProjectionKey& key) const { check(key.tenant); }

  [[noreturn]] void refuse(const char* what) const {
    throw Error(ErrorCode::permission_denied,
                std::string(what) + ": of the whole store, and this one is open for tenant '" + tenant_ + "' alone");
  }

  const std::unique_ptr<Driver> inner_;
  const std::string tenant_;
};

}  // namespace

std::unique_ptr<Driver> for_tenant(std::unique_ptr<Driver> driver, std::string tenant) {
  return std::make_unique<TenantDriver>(std::move(driver), std::move(tenant));
}

}  // namespace stele::driver
