#include "driver.h"

#include "append.h"
#include "commands.h"
#include "errors.h"
#include "governance.h"
#include "listener.h"
#include "log_query.h"
#include "migrate.h"
#include "projections.h"
#include "read.h"
#include "read_model.h"
#include "snapshots.h"
#include "stele_soci/append_groups.h"
#include "stele_soci/reading.h"
#include "streams.h"
#include "verify.h"

namespace stele::mssql {
namespace {

using driver::AppendAnswer;
using driver::PreparedAppend;
using std::chrono::steady_clock;

// ODBC has no way to see that the server has hung up, short of asking it.
constexpr std::chrono::seconds check_after_idle{2};

}  // namespace

MssqlDriver::MssqlDriver(Settings settings)
    : settings_(std::move(settings)),
      sessions_(backend_name,
                {.max_sessions = settings_.connections,
                 .check_after_idle = check_after_idle,
                 .max_lifetime = settings_.max_lifetime},
                [this] { return std::make_unique<Session>(settings_); }) {
  lease();
}

SessionPool::Lease MssqlDriver::lease() {
  return sessions_.lease(steady_clock::now() + settings_.busy_timeout);
}

template <class Use>
auto MssqlDriver::reading(Use use) {
  return soci_backend::read_with_new_try(
      backend_name, embedded_migrations(), [this] { return lease(); }, use,
      [](Session& session) { return migration_history(session); });
}

template <class Use>
auto MssqlDriver::once(Use use) {
  const SessionPool::Lease session = lease();
  return use(*session);
}

std::string_view MssqlDriver::name() const noexcept {
  return backend_name;
}

std::vector<AppendAnswer> MssqlDriver::append(std::span<const PreparedAppend> appends) {
  return soci_backend::append_in_groups<LockTimeout>(sessions_, settings_.busy_timeout, appends, append_together,
                                                     append_one);
}

void MssqlDriver::read_stream(const driver::StreamPageRequest& request, driver::EventPage& page) {
  reading([&](Session& session) {
    page.clear();
    mssql::read_stream(session, request, page);
  });
}

void MssqlDriver::read_log(const driver::LogPageRequest& request, driver::EventPage& page) {
  reading([&](Session& session) {
    page.clear();
    mssql::read_log(session, request, page);
  });
}

std::optional<RecordedEvent> MssqlDriver::find_event(const Uuid& event_id) {
  return reading([&](Session& session) { return mssql::find_event(session, event_id); });
}

std::optional<StreamInfo> MssqlDriver::stream_info(const StreamKey& stream) {
  return reading([&](Session& session) { return mssql::stream_info(session, stream); });
}

std::vector<StreamInfo> MssqlDriver::list_streams(const StreamListOptions& options) {
  return reading([&](Session& session) { return mssql::list_streams(session, options); });
}

std::optional<CommandRecord> MssqlDriver::find_command(const CommandKey& key) {
  return reading([&](Session& session) { return mssql::find_command(session, key); });
}

std::optional<CommandRecord> MssqlDriver::find_command(const Uuid& command_id) {
  return reading([&](Session& session) { return mssql::find_command(session, command_id); });
}

std::vector<CommandRecord> MssqlDriver::list_commands(const StreamKey& stream, std::size_t limit) {
  return reading([&](Session& session) { return mssql::list_commands(session, stream, limit); });
}

StoreStats MssqlDriver::stats() {
  return reading([](Session& session) { return mssql::stats(session); });
}

std::vector<std::string> MssqlDriver::list_tenants() {
  return reading([](Session& session) { return mssql::list_tenants(session); });
}

void MssqlDriver::verify_storage(const VerifyOptions& options, VerifyReport& report) {
  const VerifyReport before = report;
  reading([&](Session& session) {
    report = before;
    mssql::verify_storage(session, options, report);
  });
}

std::unique_ptr<driver::AppendListener> MssqlDriver::listen() {
  return std::make_unique<Listener>(settings_);
}

driver::ConnectionStats MssqlDriver::connection_stats() {
  return sessions_.stats();
}

void MssqlDriver::grant_roles(const driver::RoleNames& names) {
  const SessionPool::Lease session = lease();
  Transaction transaction(*session);
  session->call("grant_roles",
                Parameters().add(Type::text, names.reader).add(Type::text, names.writer).add(Type::text, names.admin));
  transaction.commit();
}

AppendAnswer MssqlDriver::append_with_hook(const PreparedAppend& append, const driver::AppendHook& hook) {
  return mssql::append_with_hook(sessions_, append, hook, steady_clock::now() + settings_.busy_timeout);
}

Position MssqlDriver::settled_position() {
  return reading([](Session& session) { return mssql::settled_position(session); });
}

bool MssqlDriver::save_snapshot(const Snapshot& snapshot) {
  return reading([&](Session& session) { return mssql::save_snapshot(session, snapshot); });
}

std::optional<Snapshot> MssqlDriver::find_snapshot(const StreamKey& stream, Version at_or_below,
                                                   std::optional<std::int32_t> schema_version) {
  return reading([&](Session& session) { return mssql::find_snapshot(session, stream, at_or_below, schema_version); });
}

std::vector<SnapshotInfo> MssqlDriver::list_snapshots(const SnapshotListOptions& options) {
  return reading([&](Session& session) { return mssql::list_snapshots(session, options); });
}

std::int64_t MssqlDriver::delete_snapshots(const SnapshotDeletion& which) {
  return reading([&](Session& session) { return mssql::delete_snapshots(session, which); });
}

driver::ProjectionState MssqlDriver::open_projection(const driver::ProjectionKey& key, std::int32_t parts,
                                                     Position start, driver::ProjectionKind kind) {
  return reading([&](Session& session) { return mssql::open_projection(session, key, parts, start, kind); });
}

bool MssqlDriver::change_kind(const driver::ProjectionKey& key, driver::ProjectionKind from,
                              driver::ProjectionKind to) {
  return reading([&](Session& session) { return mssql::change_kind(session, key, from, to); });
}

std::optional<driver::ProjectionState> MssqlDriver::find_projection(const driver::ProjectionKey& key) {
  return reading([&](Session& session) { return mssql::find_projection(session, key); });
}

std::vector<driver::ProjectionState> MssqlDriver::list_projections() {
  return reading([](Session& session) { return mssql::list_projections(session); });
}

std::int32_t MssqlDriver::add_generation(const driver::ProjectionKey& key) {
  return reading([&](Session& session) { return mssql::add_generation(session, key); });
}

void MssqlDriver::remove_generation(const driver::ProjectionKey& key, std::int32_t generation) {
  reading([&](Session& session) { mssql::remove_generation(session, key, generation); });
}

void MssqlDriver::remove_projection(const driver::ProjectionKey& key) {
  reading([&](Session& session) { mssql::remove_projection(session, key); });
}

std::optional<driver::Lease> MssqlDriver::acquire_lease(const driver::PartKey& key, const std::string& holder,
                                                        std::chrono::milliseconds time) {
  return reading([&](Session& session) { return mssql::acquire_lease(session, key, holder, time); });
}

bool MssqlDriver::renew_lease(const driver::Lease& lease, std::chrono::milliseconds time) {
  return reading([&](Session& session) { return mssql::renew_lease(session, lease, time); });
}

void MssqlDriver::release_lease(const driver::Lease& lease) {
  reading([&](Session& session) { mssql::release_lease(session, lease); });
}

std::int32_t MssqlDriver::announce_member(const driver::ProjectionKey& key, const std::string& member,
                                          std::chrono::milliseconds time) {
  return reading([&](Session& session) { return mssql::announce_member(session, key, member, time); });
}

std::vector<driver::DeadLetter> MssqlDriver::list_dead_letters(const driver::ProjectionKey& key, std::size_t limit) {
  return reading([&](Session& session) { return mssql::list_dead_letters(session, key, limit); });
}

bool MssqlDriver::remove_dead_letter(const driver::PartKey& key, Position position) {
  return reading([&](Session& session) { return mssql::remove_dead_letter(session, key, position); });
}

std::unique_ptr<driver::ReadModelTransaction> MssqlDriver::begin_read_model(std::chrono::milliseconds /*idle_limit*/) {
  for (bool again = true;; again = false) {
    try {
      return std::make_unique<OwnReadModel>(lease());
    } catch (const Error& error) {  // A connection of the pool may have been lost long ago.
      if (error.code() != ErrorCode::cannot_connect || !again) throw;
    }
  }
}

std::int64_t MssqlDriver::event_types_revision(const std::string& tenant) {
  return reading([&](Session& session) { return mssql::event_types_revision(session, tenant); });
}

driver::EventTypes MssqlDriver::list_event_types(const std::string& tenant) {
  return reading([&](Session& session) { return mssql::list_event_types(session, tenant); });
}

bool MssqlDriver::add_schema(const EventSchema& schema) {
  return once([&](Session& session) { return mssql::add_schema(session, schema); });
}

bool MssqlDriver::remove_schema(const std::string& tenant, const EventForm& form) {
  return once([&](Session& session) { return mssql::remove_schema(session, tenant, form); });
}

void MssqlDriver::set_type_rules(const EventTypeRules& rules) {
  once([&](Session& session) { mssql::set_type_rules(session, rules); });
}

bool MssqlDriver::add_subject_key(const SubjectKey& key) {
  return once([&](Session& session) { return mssql::add_subject_key(session, key); });
}

std::optional<SubjectKey> MssqlDriver::find_subject_key(const std::string& tenant, const std::string& subject) {
  return reading([&](Session& session) { return mssql::find_subject_key(session, tenant, subject); });
}

std::vector<SubjectKey> MssqlDriver::find_subject_keys(const std::string& tenant, std::span<const Uuid> key_ids) {
  return reading([&](Session& session) { return mssql::find_subject_keys(session, tenant, key_ids); });
}

std::vector<SubjectKey> MssqlDriver::list_subject_keys(const std::string& tenant, const std::optional<Uuid>& after,
                                                       std::size_t limit) {
  return reading([&](Session& session) { return mssql::list_subject_keys(session, tenant, after, limit); });
}

std::vector<std::string> MssqlDriver::list_key_tenants() {
  return reading([](Session& session) { return mssql::list_key_tenants(session); });
}

bool MssqlDriver::rewrap_subject_key(const std::string& tenant, const Uuid& key_id, const WrappedKey& from,
                                     const WrappedKey& to) {
  return once([&](Session& session) { return mssql::rewrap_subject_key(session, tenant, key_id, from, to); });
}

bool MssqlDriver::destroy_subject_key(const std::string& tenant, const Uuid& key_id) {
  return once([&](Session& session) { return mssql::destroy_subject_key(session, tenant, key_id); });
}

bool MssqlDriver::forget_subject(const std::string& tenant, const Uuid& key_id) {
  return once([&](Session& session) { return mssql::forget_subject(session, tenant, key_id); });
}

bool MssqlDriver::add_seal(const LogSeal& seal, std::span<const driver::EventHash> hashes) {
  return once([&](Session& session) { return mssql::add_seal(session, seal, hashes); });
}

std::optional<LogSeal> MssqlDriver::last_seal() {
  return reading([](Session& session) { return mssql::last_seal(session); });
}

std::vector<LogSeal> MssqlDriver::list_seals(std::int64_t after, std::size_t limit) {
  return reading([&](Session& session) { return mssql::list_seals(session, after, limit); });
}

std::vector<driver::EventHash> MssqlDriver::read_hashes(Position after, Position to, std::size_t limit) {
  return reading([&](Session& session) { return mssql::read_hashes(session, after, to, limit); });
}

std::vector<std::optional<driver::EventHash>> MssqlDriver::find_hashes(std::span<const driver::EventPlace> places) {
  return reading([&](Session& session) { return mssql::find_hashes(session, places); });
}

std::span<const driver::Migration> MssqlDriver::migrations() const noexcept {
  return embedded_migrations();
}

std::vector<driver::MigrationRecord> MssqlDriver::history() {
  return despite_lock_conflicts(
      [this] { return reading([](Session& session) { return migration_history(session); }); });
}

bool MssqlDriver::apply(const driver::MigrationStep& step) {
  return despite_lock_conflicts([&] { return once([&](Session& session) { return apply_migration(session, step); }); });
}

std::string MssqlDriver::dump_schema() {
  return reading([](Session& session) { return mssql::dump_schema(session); });
}

}  // namespace stele::mssql
