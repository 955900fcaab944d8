#include "driver.h"

#include <algorithm>

#include "append.h"
#include "commands.h"
#include "errors.h"
#include "log_query.h"
#include "migrate.h"
#include "read.h"
#include "streams.h"
#include "verify.h"

namespace stele::mssql {
namespace {

using driver::AppendAnswer;
using driver::PreparedAppend;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

// Appends that share a transaction: each holds its locks until the common commit, so neither too many nor too large.
constexpr std::size_t max_together = 100;
constexpr std::size_t max_events_together = 5'000;

// ODBC has no way to see that the server has hung up, short of asking it.
constexpr std::chrono::seconds check_after_idle{2};

std::size_t events_of(const PreparedAppend& append) {
  std::size_t events = 0;
  for (const driver::PreparedStream& stream : append.streams) events += stream.events.size();
  return events;
}

/// How many of the appends, from the first, go into one transaction.
std::size_t size_of_transaction(std::span<const PreparedAppend> appends) {
  std::size_t size = 0;
  std::size_t events = 0;
  while (size < std::min(appends.size(), max_together)) {
    events += events_of(appends[size]);
    if (size > 0 && events > max_events_together) break;
    ++size;
  }
  return size;
}

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

namespace {

/// Something of the schema is missing. Either it is of another version, or somebody removed it.
void explain_missing(Session& session, const Error& error) {
  if (!session.usable()) return;
  const int current = driver::current_migration(migration_history(session));
  if (current != static_cast<int>(embedded_migrations().size())) return;
  throw Error(ErrorCode::corrupt, "the schema is damaged: " + error.message(),
              {.backend = std::string(backend_name),
               .native_code = 0,
               .sqlstate = error.sqlstate(),
               .retryable = false,
               .outcome = Outcome::not_applied});
}

}  // namespace

template <class Use>
auto MssqlDriver::reading(Use use) {
  for (bool again = true;; again = false) {
    SessionPool::Lease session = lease();
    try {
      return use(*session);
    } catch (const Error& error) {
      if (error.code() == ErrorCode::schema_outdated) explain_missing(*session, error);
      // The server had hung up: a new connection may do.
      if (session->usable() || !again) throw;
    }
  }
}

std::string_view MssqlDriver::name() const noexcept {
  return backend_name;
}

/// How long the appends of one call wait for locks and connections that others hold: all together for the busy timeout,
/// and then each for its share of another one. So the call ends in time however many they are, and one that has to wait
/// for a moment only, or for nothing, still succeeds behind one that has waited in vain.
class Patience {
 public:
  Patience(milliseconds in_all, std::size_t appends)
      : left_(in_all), share_(std::max(in_all / static_cast<std::int64_t>(appends), milliseconds(1))) {}

  milliseconds next() const { return std::max(left_, share_); }
  void spend_since(steady_clock::time_point started) {
    left_ -= std::chrono::ceil<milliseconds>(steady_clock::now() - started);
  }

 private:
  milliseconds left_;
  const milliseconds share_;
};

std::vector<AppendAnswer> MssqlDriver::append(std::span<const PreparedAppend> appends) {
  std::vector<AppendAnswer> answers;
  if (appends.empty()) return answers;
  answers.reserve(appends.size());
  Patience patience(settings_.busy_timeout, appends.size());
  while (!appends.empty()) {
    const std::size_t size = size_of_transaction(appends);
    append_each(appends.first(size), patience, answers);
    appends = appends.subspan(size);
  }
  return answers;
}

void MssqlDriver::append_each(std::span<const PreparedAppend> appends, Patience& patience,
                              std::vector<AppendAnswer>& answers) {
  const bool had_failed = appends.size() > 1;
  if (appends.size() > 1) {
    const auto started = steady_clock::now();
    try {
      const SessionPool::Lease session = sessions_.lease(started + patience.next());
      LockTimeout lock_timeout(*session);
      lock_timeout.set(patience.next());
      for (AppendAnswer& answer : append_together(*session, appends)) answers.push_back(std::move(answer));
      return;
    } catch (const Error& error) {
      if (error.outcome() == Outcome::unknown) {
        answers.insert(answers.end(), appends.size(), AppendAnswer{{}, error});
        return;
      }
      // One of them failed, and nothing was applied: each for itself.
    }
    patience.spend_since(started);
  }
  while (!appends.empty()) {
    auto started = steady_clock::now();
    try {
      const SessionPool::Lease session = sessions_.lease(started + patience.next());
      LockTimeout lock_timeout(*session);
      do {
        AppendAnswer& answer = answers.emplace_back();
        try {
          lock_timeout.set(patience.next());
          answer.result = append_one(*session, appends.front(), started + patience.next());
        } catch (const Error& error) {
          answer.error = error;
        }
        // What succeeds at the first go was at work, and not waiting.
        if (had_failed || answer.error) patience.spend_since(started);
        started = steady_clock::now();
        appends = appends.subspan(1);
      } while (!appends.empty() && session->usable());
    } catch (const Error& error) {  // There is no connection, for none of them.
      patience.spend_since(started);
      answers.insert(answers.end(), appends.size(), AppendAnswer{{}, error});
      return;
    }
  }
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
