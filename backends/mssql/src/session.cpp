#include "session.h"

#include <sql.h>
#include <sqlext.h>

#include <algorithm>

#include "errors.h"

namespace stele::mssql {
namespace {

// unixODBC looks a handle up in a list of all of them, so they are not kept without end.
constexpr std::size_t max_prepared = 100;
constexpr std::chrono::milliseconds shortest_timeout{1};
constexpr std::string_view schema_variable = "$(schema)";

/// As the server spells it; NULL when there is no such schema.
std::string name_of_schema(std::string_view name) {
  return "SCHEMA_NAME(SCHEMA_ID(" + quoted_text(name) + "))";
}

}  // namespace

Session::Session(const Settings& settings)
    : settings_(settings),
      schema_(settings.schema),
      quoted_schema_(quoted_identifier(schema_)),
      connection_(settings),
      lock_timeout_(std::max(settings.busy_timeout, shortest_timeout)) {
  // NOCOUNT: otherwise each statement of a batch has a result. XACT_ABORT: an error rolls the whole transaction back.
  // The ANSI settings are what filtered indexes ask for; TEXTSIZE: long texts come whole.
  run("SET NOCOUNT ON; SET XACT_ABORT ON; SET IMPLICIT_TRANSACTIONS OFF; SET QUOTED_IDENTIFIER ON; SET ANSI_NULLS ON; "
      "SET ANSI_PADDING ON; SET ANSI_WARNINGS ON; SET ARITHABORT ON; SET CONCAT_NULL_YIELDS_NULL ON; "
      "SET NUMERIC_ROUNDABORT OFF; SET TEXTSIZE 2147483647; SET TRANSACTION ISOLATION LEVEL READ COMMITTED; "
      "SET LOCK_TIMEOUT " +
          std::to_string(lock_timeout_.count()),
      "connect");
  const std::string of_database = " FROM sys.databases WHERE name = DB_NAME())";
  const Result row =
      run("SELECT CAST(SERVERPROPERTY('BabelfishVersion') AS NVARCHAR(128)), "
          "CAST(PARSENAME(CAST(SERVERPROPERTY('ProductVersion') AS NVARCHAR(128)), 4) AS INT), "
          "CAST(SERVERPROPERTY('EngineEdition') AS INT), DB_NAME(), "
          "(SELECT CAST(is_read_committed_snapshot_on AS INT)" +
              of_database + ", (SELECT CAST(delayed_durability AS INT)" + of_database + ", " + name_of_schema(schema_),
          "connect");
  server = {.babelfish = !row.is_null(0, 0),
            .version = row.is_null(0, 1) ? 0 : row.integer(0, 1),
            .edition = row.integer(0, 2),
            .database = std::string(row.text(0, 3)),
            .read_committed_snapshot = {},
            .delayed_durability = {}};
  if (!row.is_null(0, 4)) server.read_committed_snapshot = row.integer(0, 4);
  if (!row.is_null(0, 5)) server.delayed_durability = row.integer(0, 5);
  if (!row.is_null(0, 6)) set_schema(std::string(row.text(0, 6)));
  expect_supported(server);
  // As SQL Server's commits wait for the disk, whatever the configuration of its PostgreSQL says.
  if (server.babelfish) {
    run("SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'",
        "connect");
  }
}

Session::~Session() = default;

void Session::set_schema(std::string name) {
  if (name == schema_) return;
  schema_ = std::move(name);
  quoted_schema_ = quoted_identifier(schema_);
  prepared_.clear();  // They have the other spelling.
}

void Session::learn_schema() {
  const Result row = run("SELECT " + name_of_schema(schema_), "connect");
  if (!row.is_null(0, 0)) set_schema(std::string(row.text(0, 0)));
}

std::string with_schema(std::string_view sql, std::string_view quoted_schema) {
  std::string text;
  text.reserve(sql.size() + 64);
  for (;;) {
    const std::size_t at = sql.find(schema_variable);
    text += sql.substr(0, at);
    if (at == std::string_view::npos) return text;
    text += quoted_schema;
    sql.remove_prefix(at + schema_variable.size());
  }
}

Statement& Session::direct() {
  if (direct_ == nullptr) direct_ = std::make_unique<Statement>(connection_.handle(), connection_.is_freetds());
  return *direct_;
}

void Session::recover(Statement& statement) noexcept {
  if (!statement.close()) in_doubt_ = true;
  if (in_doubt_ || in_transaction_) return;
  // XACT_ABORT has rolled back what a procedure began, as a rule.
  try {
    direct().execute_directly("IF @@TRANCOUNT > 0 ROLLBACK TRANSACTION");
    while (direct().next_result()) {
    }
    if (!direct().close()) in_doubt_ = true;
  } catch (const std::exception&) {
    in_doubt_ = true;
  } catch (const Failure&) {
    in_doubt_ = true;
  }
}

void Session::judge(const Failure& failure) noexcept {
  if (leaves_in_doubt(failure.diagnostic, failure.dead)) in_doubt_ = true;
  if (is_on_wrong_server(failure.diagnostic)) outdated_ = true;
}

template <class Doing, class Use>
void Session::perform(Statement& statement, const Doing& doing, Outcome if_lost, const Use& use) {
  try {
    use(statement);
    if (!statement.close()) in_doubt_ = true;
  } catch (const Failure& failure) {
    judge(failure);
    const Error error = make_error(failure.diagnostic, failure.dead, doing(failure.diagnostic), if_lost);
    recover(statement);
    throw error;
  } catch (...) {
    recover(statement);
    throw;
  }
}

template <class Use>
void Session::perform_prepared(std::string_view sql, Outcome if_lost, const Use& use) {
  const auto doing = [](const Diagnostic&) { return backend_name; };
  Statement* statement = nullptr;
  try {
    statement = &prepared(sql);
  } catch (const Failure& failure) {
    judge(failure);
    throw make_error(failure.diagnostic, failure.dead, backend_name, Outcome::not_applied);
  }
  try {
    perform(*statement, doing, if_lost, use);
  } catch (...) {
    // Whether the server still has it, FreeTDS does not say.
    if (const auto found = prepared_.find(sql); found != prepared_.end()) prepared_.erase(found);
    throw;
  }
}

Statement& Session::prepared(std::string_view sql) {
  const auto found = prepared_.find(sql);
  if (found != prepared_.end()) return *found->second;
  if (prepared_.size() == max_prepared) prepared_.clear();
  auto statement = std::make_unique<Statement>(connection_.handle(), connection_.is_freetds());
  statement->prepare(with_schema(sql, quoted_schema_));
  return *prepared_.emplace(std::string(sql), std::move(statement)).first->second;
}

namespace {

/// All results of a statement that was executed: the rows of the last one with columns.
Result take_results(Statement& statement) {
  Result rows;
  do {
    if (!statement.has_columns()) continue;
    rows = {};
    while (statement.fetch(rows)) {
    }
  } while (statement.next_result());
  return rows;
}

}  // namespace

Result Session::execute(std::string_view sql, const Parameters& parameters, Outcome if_lost) {
  Result rows;
  perform_prepared(sql, if_lost, [&](Statement& statement) {
    statement.bind(parameters);
    statement.execute();
    rows = take_results(statement);
    statement.take_outputs(parameters);
  });
  return rows;
}

Result Session::call(std::string_view procedure, const Parameters& parameters, Outcome if_lost) {
  std::string sql = "{call $(schema).";
  sql += procedure;
  for (std::size_t i = 0; i < parameters.size(); ++i) sql += i == 0 ? "(?" : ",?";
  sql += parameters.size() == 0 ? "}" : ")}";
  return execute(sql, parameters, if_lost);
}

void Session::for_each_row(std::string_view sql, const Parameters& parameters,
                           const std::function<bool(const Result&)>& row) {
  perform_prepared(sql, Outcome::not_applied, [&](Statement& statement) {
    statement.bind(parameters);
    statement.execute();
    Result one;
    do {
      if (!statement.has_columns()) continue;
      bool wanted = true;
      while (wanted) {
        one.clear();
        if (!statement.fetch(one)) break;
        wanted = row(one);
      }
      if (wanted) continue;
      while (statement.skip_row()) {
      }
    } while (statement.next_result());
  });
}

Result Session::run(std::string_view batch, std::string_view doing, Outcome if_lost) {
  Result rows;
  perform(
      direct(), [&](const Diagnostic&) { return doing; }, if_lost,
      [&](Statement& statement) {
        statement.execute_directly(with_schema(batch, quoted_schema_));
        rows = take_results(statement);
      });
  return rows;
}

void Session::run_batch(std::string_view batch, const std::string& script, std::size_t first_line) {
  const auto lines = static_cast<std::size_t>(std::count(batch.begin(), batch.end(), '\n')) + 1;
  const auto doing = [&](const Diagnostic& diagnostic) {
    const auto line = static_cast<std::size_t>(std::max(diagnostic.line, 1));
    return script + ", line " + std::to_string(first_line + (line <= lines ? line - 1 : 0));
  };
  perform(direct(), doing, Outcome::not_applied, [&](Statement& statement) {
    statement.execute_directly(with_schema(batch, quoted_schema_));
    take_results(statement);
  });
}

bool Session::usable() noexcept {
  if (in_doubt_ || outdated_ || in_transaction_) return false;
  SQLUINTEGER dead = SQL_CD_FALSE;
  SQLGetConnectAttr(connection_.handle(), SQL_ATTR_CONNECTION_DEAD, &dead, 0, nullptr);
  return dead != SQL_CD_TRUE;
}

bool Session::alive(bool ask) noexcept {
  if (!usable()) return false;
  if (!ask) return true;
  try {
    run("SELECT 1", "ask");
    return usable();
  } catch (const std::exception&) {
    return false;
  }
}

std::size_t Session::rows_for(std::size_t bytes) const noexcept {
  return bytes_per_row_ == 0 ? bytes : std::max<std::size_t>(2 * bytes / bytes_per_row_, 8);
}

void Session::learn_row_size(std::size_t rows, std::size_t bytes) noexcept {
  if (rows > 0) bytes_per_row_ = std::max<std::size_t>(bytes / rows, 1);
}

void Session::set_lock_timeout(std::chrono::milliseconds timeout) {
  timeout = std::max(timeout, shortest_timeout);
  if (timeout == lock_timeout_) return;
  run("SET LOCK_TIMEOUT " + std::to_string(timeout.count()), "mssql");
  lock_timeout_ = timeout;
}

LockTimeout::~LockTimeout() {
  if (!session_.usable()) return;
  try {
    session_.set_lock_timeout(session_.settings_.busy_timeout);
  } catch (...) {
    session_.in_doubt_ = true;
  }
}

// A shared transaction. Implicit transactions: when an error has rolled it back and somebody goes on, what follows is
// in a transaction that is not committed either. It is begun more than once, so that it is told from such a one, and
// one COMMIT too many does not end it. (By itself, BEGIN counts once or twice in this mode, depending on the server.)
constexpr std::string_view begin_shared =
    "SET IMPLICIT_TRANSACTIONS ON; BEGIN TRANSACTION; WHILE @@TRANCOUNT < 3 BEGIN TRANSACTION";
constexpr std::string_view roll_back_shared = "SET IMPLICIT_TRANSACTIONS OFF; IF @@TRANCOUNT > 0 ROLLBACK TRANSACTION";
constexpr std::string_view commit_shared = "SET IMPLICIT_TRANSACTIONS OFF; WHILE @@TRANCOUNT > 0 COMMIT TRANSACTION";

bool shared_transaction_is_open(Session& session) {
  const Result row =
      session.run("SELECT CASE WHEN @@TRANCOUNT = 3 AND XACT_STATE() = 1 THEN 1 ELSE 0 END", "transaction");
  return row.integer(0, 0) == 1;
}

Transaction::Transaction(Session& session, Kind kind) : session_(session), kind_(kind) {
  session_.run(kind_ == Kind::shared ? begin_shared : "BEGIN TRANSACTION", "begin");
  session_.in_transaction_ = true;
}

Transaction::~Transaction() {
  if (!open_) return;
  if (session_.in_doubt_) return;
  session_.in_transaction_ = false;
  try {
    session_.run(kind_ == Kind::shared ? roll_back_shared : "IF @@TRANCOUNT > 0 ROLLBACK TRANSACTION", "roll back");
  } catch (const std::exception&) {
    session_.in_doubt_ = true;
  }
}

void Transaction::commit() {
  open_ = false;
  session_.in_transaction_ = false;
  session_.run(kind_ == Kind::shared ? commit_shared : "COMMIT TRANSACTION", "commit", Outcome::unknown);
}

}  // namespace stele::mssql
