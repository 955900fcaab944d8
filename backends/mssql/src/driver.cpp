#include "driver.h"

#include "append.h"
#include "commands.h"
#include "errors.h"
#include "log_query.h"
#include "migrate.h"
#include "read.h"
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
  const SessionPool::Lease session = lease();
  mssql::verify_storage(*session, options, report);
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

std::span<const driver::Migration> MssqlDriver::migrations() const noexcept {
  return embedded_migrations();
}

std::vector<driver::MigrationRecord> MssqlDriver::history() {
  return reading([](Session& session) { return migration_history(session); });
}

bool MssqlDriver::apply(const driver::MigrationStep& step) {
  const SessionPool::Lease session = lease();
  return apply_migration(*session, step);
}

std::string MssqlDriver::dump_schema() {
  return reading([](Session& session) { return mssql::dump_schema(session); });
}

}  // namespace stele::mssql
