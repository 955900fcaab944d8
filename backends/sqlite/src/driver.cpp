#include "driver.h"

#include <sqlite3.h>

#include "commands.h"
#include "errors.h"
#include "log_query.h"
#include "migrate.h"
#include "read.h"
#include "stele/migrate.h"
#include "streams.h"
#include "verify.h"

namespace stele::sqlite {

using std::chrono::steady_clock;

SessionPool::Lease SqliteDriver::lease_reader() {
  SessionPool& pool = settings_.in_memory() ? writers_ : readers_;
  SessionPool::Lease session = pool.lease(steady_clock::now() + settings_.busy_timeout);
  session->restart_deadline();
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

SqliteDriver::SqliteDriver(Settings settings)
    : settings_(std::move(settings)),
      writers_(backend_name, {.max_sessions = 1},
               [this] { return std::make_unique<Session>(settings_, Role::writer); }),
      readers_(backend_name, {.max_sessions = settings_.readers},
               [this] { return std::make_unique<Session>(settings_, Role::reader); }),
      group_commit_(writers_, settings_.busy_timeout) {
  in_read_transaction([](Session&) { return 0; });
}

std::string_view SqliteDriver::name() const noexcept {
  return backend_name;
}

std::vector<driver::AppendAnswer> SqliteDriver::append(std::span<const driver::PreparedAppend> appends) {
  return group_commit_.append(appends);
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
