#include "driver.h"

#include <algorithm>

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
#include "tenants.h"
#include "verify.h"

namespace stele::postgres {
namespace {

using driver::AppendAnswer;
using driver::PreparedAppend;
using std::chrono::steady_clock;

constexpr std::chrono::seconds check_after_idle{30};
// For a lock that another process holds: long for an append, short for those that wait with one that has to wait
// longer.
constexpr std::chrono::milliseconds patience_in_company{20};

/// With fewer connections than calls, the calls would wait for connections instead of for each other.
std::size_t calls_at_once(const Settings& settings) {
  return std::min(soci_backend::GatheringOptions().calls_at_once, settings.connections);
}

bool wrote_events(const AppendAnswer& answer) {
  if (answer.error || answer.result.status != AppendStatus::appended) return false;
  return std::any_of(answer.result.streams.begin(), answer.result.streams.end(),
                     [](const StreamOutcome& stream) { return stream.last_position > Position(0); });
}

}  // namespace

PostgresDriver::PostgresDriver(Settings settings)
    : settings_(std::move(settings)),
      sessions_(backend_name,
                {.max_sessions = settings_.connections,
                 .check_after_idle = check_after_idle,
                 .max_lifetime = settings_.max_lifetime},
                [this] { return std::make_unique<Session>(settings_); }),
      gathered_(
          {.calls_at_once = calls_at_once(settings_)},
          [this](auto appends, const auto& written) { return append_gathered(appends, written); },
          [this](auto appends) { return append_each(appends); }),
      notifier_(sessions_) {
  lease();
}

SessionPool::Lease PostgresDriver::lease() {
  return sessions_.lease(steady_clock::now() + settings_.busy_timeout);
}

template <class Use>
auto PostgresDriver::reading(Use use) {
  return soci_backend::read_with_new_try(
      backend_name, embedded_migrations(), [this] { return lease(); }, use,
      [](Session& session) { return migration_history(session); });
}

template <class Use>
auto PostgresDriver::once(Use use) {
  const SessionPool::Lease session = lease();
  return use(*session);
}

std::string_view PostgresDriver::name() const noexcept {
  return backend_name;
}

std::vector<std::optional<AppendAnswer>> PostgresDriver::append_gathered(std::span<const PreparedAppend> appends,
                                                                         const std::function<void()>& written) {
  std::optional<SessionPool::Lease> session;
  try {
    session.emplace(lease());
  } catch (const Error& error) {  // They have waited for it as long as each alone would.
    return std::vector<std::optional<AppendAnswer>>(appends.size(), AppendAnswer{{}, error});
  }
  return append_in_company(**session, appends, patience_in_company, written);
}

std::vector<AppendAnswer> PostgresDriver::append_each(std::span<const PreparedAppend> appends) {
  return soci_backend::append_in_groups<LockTimeout>(sessions_, settings_.busy_timeout, appends, append_together,
                                                     append_one);
}

std::vector<AppendAnswer> PostgresDriver::append(std::span<const PreparedAppend> appends) {
  std::vector<AppendAnswer> answers = gathered_.append(appends);
  if (std::any_of(answers.begin(), answers.end(), wrote_events)) notifier_.appended();
  return answers;
}

void PostgresDriver::read_stream(const driver::StreamPageRequest& request, driver::EventPage& page) {
  reading([&](Session& session) {
    page.clear();
    postgres::read_stream(session, request, page);
  });
}

void PostgresDriver::read_log(const driver::LogPageRequest& request, driver::EventPage& page) {
  reading([&](Session& session) {
    page.clear();
    postgres::read_log(session, request, page);
  });
}

std::optional<RecordedEvent> PostgresDriver::find_event(const Uuid& event_id) {
  return reading([&](Session& session) { return postgres::find_event(session, event_id); });
}

std::optional<StreamInfo> PostgresDriver::stream_info(const StreamKey& stream) {
  return reading([&](Session& session) { return postgres::stream_info(session, stream); });
}

std::vector<StreamInfo> PostgresDriver::list_streams(const StreamListOptions& options) {
  return reading([&](Session& session) { return postgres::list_streams(session, options); });
}

std::optional<CommandRecord> PostgresDriver::find_command(const CommandKey& key) {
  return reading([&](Session& session) { return postgres::find_command(session, key); });
}

std::optional<CommandRecord> PostgresDriver::find_command(const Uuid& command_id) {
  return reading([&](Session& session) { return postgres::find_command(session, command_id); });
}

std::vector<CommandRecord> PostgresDriver::list_commands(const StreamKey& stream, std::size_t limit) {
  return reading([&](Session& session) { return postgres::list_commands(session, stream, limit); });
}

StoreStats PostgresDriver::stats() {
  return reading([](Session& session) { return postgres::stats(session); });
}

std::vector<std::string> PostgresDriver::list_tenants() {
  return reading([](Session& session) { return postgres::list_tenants(session); });
}

void PostgresDriver::verify_storage(const VerifyOptions& options, VerifyReport& report) {
  const VerifyReport before = report;
  reading([&](Session& session) {
    report = before;
    postgres::verify_storage(session, options, report);
  });
}

std::unique_ptr<driver::AppendListener> PostgresDriver::listen() {
  return std::make_unique<Listener>(settings_);
}

driver::ConnectionStats PostgresDriver::connection_stats() {
  return sessions_.stats();
}

void PostgresDriver::grant_roles(const driver::RoleNames& names) {
  const SessionPool::Lease session = lease();
  session->execute(
      "SELECT grant_roles($1, $2, $3)",
      Parameters().add(Type::text, names.reader).add(Type::text, names.writer).add(Type::text, names.admin));
}

void PostgresDriver::isolate_tenants(bool on) {
  const SessionPool::Lease session = lease();
  postgres::isolate_tenants(*session, on);
}

AppendAnswer PostgresDriver::append_with_hook(const PreparedAppend& append, const driver::AppendHook& hook) {
  AppendAnswer answer =
      postgres::append_with_hook(sessions_, append, hook, steady_clock::now() + settings_.busy_timeout);
  if (wrote_events(answer)) notifier_.appended();
  return answer;
}

Position PostgresDriver::settled_position() {
  return reading([](Session& session) { return postgres::settled_position(session); });
}

bool PostgresDriver::save_snapshot(const Snapshot& snapshot) {
  return reading([&](Session& session) { return postgres::save_snapshot(session, snapshot); });
}

std::optional<Snapshot> PostgresDriver::find_snapshot(const StreamKey& stream, Version at_or_below,
                                                      std::optional<std::int32_t> schema_version) {
  return reading(
      [&](Session& session) { return postgres::find_snapshot(session, stream, at_or_below, schema_version); });
}

std::vector<SnapshotInfo> PostgresDriver::list_snapshots(const SnapshotListOptions& options) {
  return reading([&](Session& session) { return postgres::list_snapshots(session, options); });
}

std::int64_t PostgresDriver::delete_snapshots(const SnapshotDeletion& which) {
  return reading([&](Session& session) { return postgres::delete_snapshots(session, which); });
}

driver::ProjectionState PostgresDriver::open_projection(const driver::ProjectionKey& key, std::int32_t parts,
                                                        Position start, driver::ProjectionKind kind) {
  return reading([&](Session& session) { return postgres::open_projection(session, key, parts, start, kind); });
}

bool PostgresDriver::change_kind(const driver::ProjectionKey& key, driver::ProjectionKind from,
                                 driver::ProjectionKind to) {
  return reading([&](Session& session) { return postgres::change_kind(session, key, from, to); });
}

std::optional<driver::ProjectionState> PostgresDriver::find_projection(const driver::ProjectionKey& key) {
  return reading([&](Session& session) { return postgres::find_projection(session, key); });
}

std::vector<driver::ProjectionState> PostgresDriver::list_projections() {
  return reading([](Session& session) { return postgres::list_projections(session); });
}

std::int32_t PostgresDriver::add_generation(const driver::ProjectionKey& key) {
  return reading([&](Session& session) { return postgres::add_generation(session, key); });
}

void PostgresDriver::remove_generation(const driver::ProjectionKey& key, std::int32_t generation) {
  reading([&](Session& session) { postgres::remove_generation(session, key, generation); });
}

void PostgresDriver::remove_projection(const driver::ProjectionKey& key) {
  reading([&](Session& session) { postgres::remove_projection(session, key); });
}

std::optional<driver::Lease> PostgresDriver::acquire_lease(const driver::PartKey& key, const std::string& holder,
                                                           std::chrono::milliseconds time) {
  return reading([&](Session& session) { return postgres::acquire_lease(session, key, holder, time); });
}

bool PostgresDriver::renew_lease(const driver::Lease& lease, std::chrono::milliseconds time) {
  return reading([&](Session& session) { return postgres::renew_lease(session, lease, time); });
}

void PostgresDriver::release_lease(const driver::Lease& lease) {
  reading([&](Session& session) { postgres::release_lease(session, lease); });
}

std::int32_t PostgresDriver::announce_member(const driver::ProjectionKey& key, const std::string& member,
                                             std::chrono::milliseconds time) {
  return reading([&](Session& session) { return postgres::announce_member(session, key, member, time); });
}

std::vector<driver::DeadLetter> PostgresDriver::list_dead_letters(const driver::ProjectionKey& key, std::size_t limit) {
  return reading([&](Session& session) { return postgres::list_dead_letters(session, key, limit); });
}

bool PostgresDriver::remove_dead_letter(const driver::PartKey& key, Position position) {
  return reading([&](Session& session) { return postgres::remove_dead_letter(session, key, position); });
}

std::unique_ptr<driver::ReadModelTransaction> PostgresDriver::begin_read_model(std::chrono::milliseconds idle_limit) {
  for (bool again = true;; again = false) {
    try {
      return std::make_unique<OwnReadModel>(lease(), idle_limit);
    } catch (const Error& error) {  // A connection of the pool may have been lost long ago.
      if (error.code() != ErrorCode::cannot_connect || !again) throw;
    }
  }
}

std::int64_t PostgresDriver::event_types_revision(const std::string& tenant) {
  return reading([&](Session& session) { return postgres::event_types_revision(session, tenant); });
}

driver::EventTypes PostgresDriver::list_event_types(const std::string& tenant) {
  return reading([&](Session& session) { return postgres::list_event_types(session, tenant); });
}

bool PostgresDriver::add_schema(const EventSchema& schema) {
  return once([&](Session& session) { return postgres::add_schema(session, schema); });
}

bool PostgresDriver::remove_schema(const std::string& tenant, const EventForm& form) {
  return once([&](Session& session) { return postgres::remove_schema(session, tenant, form); });
}

void PostgresDriver::set_type_rules(const EventTypeRules& rules) {
  once([&](Session& session) { postgres::set_type_rules(session, rules); });
}

bool PostgresDriver::add_subject_key(const SubjectKey& key) {
  return once([&](Session& session) { return postgres::add_subject_key(session, key); });
}

std::optional<SubjectKey> PostgresDriver::find_subject_key(const std::string& tenant, const std::string& subject) {
  return reading([&](Session& session) { return postgres::find_subject_key(session, tenant, subject); });
}

std::vector<SubjectKey> PostgresDriver::find_subject_keys(const std::string& tenant, std::span<const Uuid> key_ids) {
  return reading([&](Session& session) { return postgres::find_subject_keys(session, tenant, key_ids); });
}

std::vector<SubjectKey> PostgresDriver::list_subject_keys(const std::string& tenant, const std::optional<Uuid>& after,
                                                          std::size_t limit) {
  return reading([&](Session& session) { return postgres::list_subject_keys(session, tenant, after, limit); });
}

std::vector<std::string> PostgresDriver::list_key_tenants() {
  return reading([](Session& session) { return postgres::list_key_tenants(session); });
}

bool PostgresDriver::rewrap_subject_key(const std::string& tenant, const Uuid& key_id, const WrappedKey& from,
                                        const WrappedKey& to) {
  return once([&](Session& session) { return postgres::rewrap_subject_key(session, tenant, key_id, from, to); });
}

bool PostgresDriver::destroy_subject_key(const std::string& tenant, const Uuid& key_id) {
  return once([&](Session& session) { return postgres::destroy_subject_key(session, tenant, key_id); });
}

bool PostgresDriver::forget_subject(const std::string& tenant, const Uuid& key_id) {
  return once([&](Session& session) { return postgres::forget_subject(session, tenant, key_id); });
}

bool PostgresDriver::add_seal(const LogSeal& seal, std::span<const driver::EventHash> hashes) {
  return once([&](Session& session) { return postgres::add_seal(session, seal, hashes); });
}

std::optional<LogSeal> PostgresDriver::last_seal() {
  return reading([](Session& session) { return postgres::last_seal(session); });
}

std::vector<LogSeal> PostgresDriver::list_seals(std::int64_t after, std::size_t limit) {
  return reading([&](Session& session) { return postgres::list_seals(session, after, limit); });
}

std::vector<driver::EventHash> PostgresDriver::read_hashes(Position after, Position to, std::size_t limit) {
  return reading([&](Session& session) { return postgres::read_hashes(session, after, to, limit); });
}

std::vector<std::optional<driver::EventHash>> PostgresDriver::find_hashes(std::span<const driver::EventPlace> places) {
  return reading([&](Session& session) { return postgres::find_hashes(session, places); });
}

std::span<const driver::Migration> PostgresDriver::migrations() const noexcept {
  return embedded_migrations();
}

std::vector<driver::MigrationRecord> PostgresDriver::history() {
  return reading([](Session& session) { return migration_history(session); });
}

bool PostgresDriver::apply(const driver::MigrationStep& step) {
  const SessionPool::Lease session = lease();
  return apply_migration(*session, step);
}

std::string PostgresDriver::dump_schema() {
  return reading([](Session& session) { return postgres::dump_schema(session); });
}

}  // namespace stele::postgres
