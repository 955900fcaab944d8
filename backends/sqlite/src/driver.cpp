#include "driver.h"

#include <sqlite3.h>

#include "append.h"
#include "commands.h"
#include "errors.h"
#include "governance.h"
#include "log_query.h"
#include "migrate.h"
#include "projections.h"
#include "read.h"
#include "snapshots.h"
#include "stele/migrate.h"
#include "stele_soci/written_events.h"
#include "streams.h"
#include "verify.h"

namespace stele::sqlite {

using std::chrono::steady_clock;

SessionPool::Lease SqliteDriver::lease_reader() {
  if (settings_.in_memory()) return lease_writer();
  SessionPool::Lease session = readers_.lease(steady_clock::now() + settings_.busy_timeout);
  session->restart_deadline();
  return session;
}

SessionPool::Lease SqliteDriver::lease_writer() {
  handler_thread_.refuse_inside_handler();
  const auto deadline = steady_clock::now() + settings_.busy_timeout;
  SessionPool::Lease session = writers_.lease(deadline);
  session->wait_until(deadline);
  return session;
}

template <class Read>
auto SqliteDriver::in_read_transaction(Read read) {
  SessionPool::Lease session = lease_reader();
  try {
    const Transaction transaction(*session, Transaction::Kind::read);
    return read(*session);
  } catch (const Error& error) {
    if (error.code() == ErrorCode::internal && error.native_code() == SQLITE_ERROR) {
      // Most likely a table that is missing: somebody migrated the database down while it was open.
      const Transaction transaction(*session, Transaction::Kind::read);
      if (driver::current_migration(migration_history(*session)) != static_cast<int>(embedded_migrations().size())) {
        throw make_error(ErrorCode::schema_outdated, "the database was migrated by another program while it was open");
      }
    }
    throw;
  }
}

template <class Write>
auto SqliteDriver::in_write_transaction(Write write) {
  const SessionPool::Lease session = lease_writer();
  Transaction transaction(*session, Transaction::Kind::write);
  auto result = write(*session);
  transaction.commit();
  return result;
}

SqliteDriver::SqliteDriver(Settings settings)
    : settings_(std::move(settings)),
      writers_(backend_name, {.max_sessions = 1},
               [this] { return std::make_unique<Session>(settings_, Role::writer); }),
      readers_(backend_name, {.max_sessions = settings_.readers},
               [this] { return std::make_unique<Session>(settings_, Role::reader); }),
      group_commit_(writers_, settings_.busy_timeout),
      watcher_(settings_) {
  in_read_transaction([](Session&) { return 0; });
}

std::string_view SqliteDriver::name() const noexcept {
  return backend_name;
}

std::vector<driver::AppendAnswer> SqliteDriver::append(std::span<const driver::PreparedAppend> appends) {
  handler_thread_.refuse_inside_handler();
  return group_commit_.append(appends);
}

driver::AppendAnswer SqliteDriver::append_with_hook(const driver::PreparedAppend& append,
                                                    const driver::AppendHook& hook) {
  const SessionPool::Lease session = lease_writer();
  Transaction transaction(*session, Transaction::Kind::write);
  LogEnd log_end(*session);
  driver::AppendAnswer answer{append_in_transaction(*session, log_end, append), std::nullopt};
  if (answer.result.status != AppendStatus::appended) return answer;
  const std::vector<RecordedEvent> events = soci_backend::written_events(
      answer.result, [&](const auto& request, auto& page) { sqlite::read_stream(*session, request, page); });
  if (!events.empty()) {
    const InHandler in_handler(handler_thread_);
    const ResetStatements reset(*session);
    ReadModel read_model(*session);
    hook(read_model, events);
    read_model.require_open();
  }
  transaction.commit();
  return answer;
}

void SqliteDriver::read_stream(const driver::StreamPageRequest& request, driver::EventPage& page) {
  in_read_transaction([&](Session& session) {
    sqlite::read_stream(session, request, page);
    return 0;
  });
}

void SqliteDriver::read_log(const driver::LogPageRequest& request, driver::EventPage& page) {
  in_read_transaction([&](Session& session) {
    sqlite::read_log(session, request, page);
    return 0;
  });
}

std::optional<RecordedEvent> SqliteDriver::find_event(const Uuid& event_id) {
  return in_read_transaction([&](Session& session) { return sqlite::find_event(session, event_id); });
}

std::optional<StreamInfo> SqliteDriver::stream_info(const StreamKey& stream) {
  return in_read_transaction([&](Session& session) { return sqlite::stream_info(session, stream); });
}

std::vector<StreamInfo> SqliteDriver::list_streams(const StreamListOptions& options) {
  return in_read_transaction([&](Session& session) { return sqlite::list_streams(session, options); });
}

std::optional<CommandRecord> SqliteDriver::find_command(const CommandKey& key) {
  return in_read_transaction([&](Session& session) { return sqlite::find_command(session, key); });
}

std::optional<CommandRecord> SqliteDriver::find_command(const Uuid& command_id) {
  return in_read_transaction([&](Session& session) { return sqlite::find_command(session, command_id); });
}

std::vector<CommandRecord> SqliteDriver::list_commands(const StreamKey& stream, std::size_t limit) {
  return in_read_transaction([&](Session& session) { return sqlite::list_commands(session, stream, limit); });
}

StoreStats SqliteDriver::stats() {
  return in_read_transaction([](Session& session) { return sqlite::stats(session); });
}

std::vector<std::string> SqliteDriver::list_tenants() {
  return in_read_transaction([](Session& session) { return sqlite::list_tenants(session); });
}

void SqliteDriver::verify_storage(const VerifyOptions& options, VerifyReport& report) {
  in_read_transaction([&](Session& session) {
    sqlite::verify_storage(session, options, report);
    return 0;
  });
}

std::unique_ptr<driver::AppendListener> SqliteDriver::listen() {
  if (settings_.in_memory()) return Driver::listen();  // No other process has it.
  return watcher_.listen();
}

Position SqliteDriver::settled_position() {
  // One writer at a time: what a reader sees is all that there is going to be.
  return in_read_transaction([](Session& session) {
    const Use query = session.use("SELECT global_position FROM events ORDER BY global_position DESC LIMIT 1");
    return Position(query->step() ? query->int64(0) : 0);
  });
}

bool SqliteDriver::save_snapshot(const Snapshot& snapshot) {
  return in_write_transaction([&](Session& session) { return sqlite::save_snapshot(session, snapshot); });
}

std::optional<Snapshot> SqliteDriver::find_snapshot(const StreamKey& stream, Version at_or_below,
                                                    std::optional<std::int32_t> schema_version) {
  return in_read_transaction(
      [&](Session& session) { return sqlite::find_snapshot(session, stream, at_or_below, schema_version); });
}

std::vector<SnapshotInfo> SqliteDriver::list_snapshots(const SnapshotListOptions& options) {
  return in_read_transaction([&](Session& session) { return sqlite::list_snapshots(session, options); });
}

std::int64_t SqliteDriver::delete_snapshots(const SnapshotDeletion& which) {
  return in_write_transaction([&](Session& session) { return sqlite::delete_snapshots(session, which); });
}

driver::ProjectionState SqliteDriver::open_projection(const driver::ProjectionKey& key, std::int32_t parts,
                                                      Position start, driver::ProjectionKind kind) {
  std::optional<driver::ProjectionState> state = find_projection(key);
  if (!state || !state->kind) {
    state = in_write_transaction(
        [&](Session& session) { return sqlite::open_projection(session, key, parts, start, kind); });
  }
  driver::expect_same_use(*state, parts, kind);
  return std::move(*state);
}

bool SqliteDriver::change_kind(const driver::ProjectionKey& key, driver::ProjectionKind from,
                               driver::ProjectionKind to) {
  return in_write_transaction([&](Session& session) { return sqlite::change_kind(session, key, from, to); });
}

std::optional<driver::ProjectionState> SqliteDriver::find_projection(const driver::ProjectionKey& key) {
  return in_read_transaction([&](Session& session) { return sqlite::find_projection(session, key); });
}

std::vector<driver::ProjectionState> SqliteDriver::list_projections() {
  return in_read_transaction([](Session& session) { return sqlite::list_projections(session); });
}

std::int32_t SqliteDriver::add_generation(const driver::ProjectionKey& key) {
  return in_write_transaction([&](Session& session) { return sqlite::add_generation(session, key); });
}

void SqliteDriver::remove_generation(const driver::ProjectionKey& key, std::int32_t generation) {
  in_write_transaction([&](Session& session) {
    sqlite::remove_generation(session, key, generation);
    return 0;
  });
}

void SqliteDriver::remove_projection(const driver::ProjectionKey& key) {
  in_write_transaction([&](Session& session) {
    sqlite::remove_projection(session, key);
    return 0;
  });
}

std::optional<driver::Lease> SqliteDriver::acquire_lease(const driver::PartKey& key, const std::string& holder,
                                                         std::chrono::milliseconds time) {
  // Who waits for a lease asks often: that must not hold writers up.
  if (!in_read_transaction([&](Session& session) { return is_lease_free(session, key, holder); })) return std::nullopt;
  return in_write_transaction([&](Session& session) { return sqlite::acquire_lease(session, key, holder, time); });
}

bool SqliteDriver::renew_lease(const driver::Lease& lease, std::chrono::milliseconds time) {
  return in_write_transaction([&](Session& session) { return sqlite::renew_lease(session, lease, time); });
}

void SqliteDriver::release_lease(const driver::Lease& lease) {
  in_write_transaction([&](Session& session) {
    sqlite::release_lease(session, lease);
    return 0;
  });
}

std::int32_t SqliteDriver::announce_member(const driver::ProjectionKey& key, const std::string& member,
                                           std::chrono::milliseconds time) {
  return in_write_transaction([&](Session& session) { return sqlite::announce_member(session, key, member, time); });
}

std::vector<driver::DeadLetter> SqliteDriver::list_dead_letters(const driver::ProjectionKey& key, std::size_t limit) {
  return in_read_transaction([&](Session& session) { return sqlite::list_dead_letters(session, key, limit); });
}

bool SqliteDriver::remove_dead_letter(const driver::PartKey& key, Position position) {
  return in_write_transaction([&](Session& session) { return sqlite::remove_dead_letter(session, key, position); });
}

std::unique_ptr<driver::ReadModelTransaction> SqliteDriver::begin_read_model(std::chrono::milliseconds /*idle_limit*/) {
  return std::make_unique<OwnReadModel>(lease_writer(), handler_thread_);
}

std::int64_t SqliteDriver::event_types_revision(const std::string& tenant) {
  return in_read_transaction([&](Session& session) { return sqlite::event_types_revision(session, tenant); });
}

driver::EventTypes SqliteDriver::list_event_types(const std::string& tenant) {
  return in_read_transaction([&](Session& session) { return sqlite::list_event_types(session, tenant); });
}

bool SqliteDriver::add_schema(const EventSchema& schema) {
  return in_write_transaction([&](Session& session) { return sqlite::add_schema(session, schema); });
}

bool SqliteDriver::remove_schema(const std::string& tenant, const EventForm& form) {
  return in_write_transaction([&](Session& session) { return sqlite::remove_schema(session, tenant, form); });
}

void SqliteDriver::set_type_rules(const EventTypeRules& rules) {
  in_write_transaction([&](Session& session) {
    sqlite::set_type_rules(session, rules);
    return 0;
  });
}

bool SqliteDriver::add_subject_key(const SubjectKey& key) {
  return in_write_transaction([&](Session& session) { return sqlite::add_subject_key(session, key); });
}

std::optional<SubjectKey> SqliteDriver::find_subject_key(const std::string& tenant, const std::string& subject) {
  return in_read_transaction([&](Session& session) { return sqlite::find_subject_key(session, tenant, subject); });
}

std::vector<SubjectKey> SqliteDriver::find_subject_keys(const std::string& tenant, std::span<const Uuid> key_ids) {
  return in_read_transaction([&](Session& session) { return sqlite::find_subject_keys(session, tenant, key_ids); });
}

std::vector<SubjectKey> SqliteDriver::list_subject_keys(const std::string& tenant, const std::optional<Uuid>& after,
                                                        std::size_t limit) {
  return in_read_transaction(
      [&](Session& session) { return sqlite::list_subject_keys(session, tenant, after, limit); });
}

std::vector<std::string> SqliteDriver::list_key_tenants() {
  return in_read_transaction([](Session& session) { return sqlite::list_key_tenants(session); });
}

bool SqliteDriver::rewrap_subject_key(const std::string& tenant, const Uuid& key_id, const WrappedKey& from,
                                      const WrappedKey& to) {
  return in_write_transaction(
      [&](Session& session) { return sqlite::rewrap_subject_key(session, tenant, key_id, from, to); });
}

bool SqliteDriver::destroy_subject_key(const std::string& tenant, const Uuid& key_id) {
  return in_write_transaction([&](Session& session) { return sqlite::destroy_subject_key(session, tenant, key_id); });
}

bool SqliteDriver::forget_subject(const std::string& tenant, const Uuid& key_id) {
  return in_write_transaction([&](Session& session) { return sqlite::forget_subject(session, tenant, key_id); });
}

bool SqliteDriver::add_seal(const LogSeal& seal, std::span<const driver::EventHash> hashes) {
  return in_write_transaction([&](Session& session) { return sqlite::add_seal(session, seal, hashes); });
}

std::optional<LogSeal> SqliteDriver::last_seal() {
  return in_read_transaction([](Session& session) { return sqlite::last_seal(session); });
}

std::vector<LogSeal> SqliteDriver::list_seals(std::int64_t after, std::size_t limit) {
  return in_read_transaction([&](Session& session) { return sqlite::list_seals(session, after, limit); });
}

std::vector<driver::EventHash> SqliteDriver::read_hashes(Position after, Position to, std::size_t limit) {
  return in_read_transaction([&](Session& session) { return sqlite::read_hashes(session, after, to, limit); });
}

std::vector<std::optional<driver::EventHash>> SqliteDriver::find_hashes(std::span<const driver::EventPlace> places) {
  return in_read_transaction([&](Session& session) { return sqlite::find_hashes(session, places); });
}

std::span<const driver::Migration> SqliteDriver::migrations() const noexcept {
  return embedded_migrations();
}

std::vector<driver::MigrationRecord> SqliteDriver::history() {
  return in_read_transaction([](Session& session) { return migration_history(session); });
}

bool SqliteDriver::apply(const driver::MigrationStep& step) {
  SessionPool::Lease session = writers_.lease(steady_clock::now() + settings_.busy_timeout);
  return apply_migration(*session, step);
}

std::string SqliteDriver::dump_schema() {
  return in_read_transaction([](Session& session) { return sqlite::dump_schema(session); });
}

}  // namespace stele::sqlite
