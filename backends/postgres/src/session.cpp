#include "session.h"

#include <libpq-fe.h>
#include <poll.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "errors.h"

namespace stele::postgres {
namespace {

constexpr std::size_t max_prepared = 200;
constexpr int oldest_version = 150'000;

bool succeeded(const pg_result* result) {
  const ExecStatusType status = PQresultStatus(result);
  return status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK || status == PGRES_EMPTY_QUERY;
}

/// Parameters as libpq takes them.
struct Arguments {
  explicit Arguments(const Parameters& parameters) : formats(parameters.size(), 1) {
    values.reserve(parameters.size());
    lengths.reserve(parameters.size());
    for (const auto& value : parameters.values()) {
      values.push_back(value ? value->data() : nullptr);
      lengths.push_back(value ? static_cast<int>(value->size()) : 0);
    }
  }
  int count() const noexcept { return static_cast<int>(values.size()); }

  std::vector<const char*> values;
  std::vector<int> lengths;
  std::vector<int> formats;
};

/// Takes what is left of a statement's results, so that the next one can be sent.
void drain(pg_conn* connection) {
  while (pg_result* result = PQgetResult(connection)) PQclear(result);
}

/// The plan of a prepared statement is for tables that were migrated meanwhile.
bool is_stale_plan(const Error& error) {
  return error.sqlstate() == "0A000" && error.message().find("cached plan") != std::string::npos;
}

}  // namespace

Session::Session(const Settings& settings)
    : schema_(settings.schema),
      // 0 would mean to wait for ever.
      usual_lock_timeout_(std::max(settings.busy_timeout, std::chrono::milliseconds(1))),
      lock_timeout_(usual_lock_timeout_),
      connection_(settings.conninfo) {
  // libpq prints notices to standard error unless it is told otherwise; what matters comes as an error, too. But for
  // one: a commit whose wait for a standby was broken off succeeds with a warning. Its text depends on the server's
  // language, the function that it comes from does not.
  PQsetNoticeProcessor(
      handle(), [](void*, const char*) {}, nullptr);
  pass_notice_on_ = PQsetNoticeReceiver(
      handle(),
      [](void* to, const PGresult* notice) {
        auto* session = static_cast<Session*>(to);
        const char* from = PQresultErrorField(notice, PG_DIAG_SOURCE_FUNCTION);
        if (from != nullptr && std::string_view(from) == "SyncRepWaitForLSN") session->unreplicated_ = true;
        session->pass_notice_on_(nullptr, notice);
      },
      this);
  if (PQserverVersion(handle()) < oldest_version) {
    throw make_error(ErrorCode::unsupported, "the server is older than PostgreSQL 15");
  }
  // Only names of the store's schema are found; temporary ones come last, so that nobody can put a table in front.
  // A server or role that is set to asynchronous commits would acknowledge what a crash can take back (G12).
  // The server, too, notices within half a minute that this machine is gone, and lets go of what was locked.
  // For row-level security, see tenants.h. Empty is nobody's.
  const std::unique_ptr<char, void (*)(void*)> tenant(
      PQescapeLiteral(handle(), settings.tenant.data(), settings.tenant.size()), PQfreemem);
  if (!tenant) throw make_error(handle(), nullptr, "connect");
  const Result answer = run(
      "SET app.current_tenant_id = " + std::string(tenant.get()) + "; SET search_path = " + quoted_identifier(schema_) +
          ", pg_temp; SET lock_timeout = " + std::to_string(lock_timeout_.count()) +
          "; SET tcp_keepalives_idle = 15; SET tcp_keepalives_interval = 5; SET tcp_keepalives_count = 3; "
          "SET tcp_user_timeout = 30000; SET default_transaction_isolation = 'read committed'; SET client_min_messages "
          "= warning; "
          "SELECT pg_backend_pid(), CASE WHEN current_setting('synchronous_commit') = 'off' "
          "THEN set_config('synchronous_commit', 'on', false) END",
      "connect");
  // A pooler makes up the process number that it gives a client.
  if (!settings.behind_pooler && answer.text(0, 0) != std::to_string(PQbackendPID(handle()))) {
    throw make_error(ErrorCode::unsupported,
                     "there is a connection pooler between this program and PostgreSQL. Stele prepares statements and "
                     "sets up its connections, which works only when each keeps one server connection: connect to the "
                     "server itself (Stele has a pool of its own), or, if the pooler is in session mode, add "
                     "pooler=session to the URL");
  }
}

Error Session::fault(const pg_result* result, std::string_view doing, Outcome outcome) {
  Error error = make_error(handle(), result, doing, outcome);
  // Read-only: a primary that has become a standby. The next connection may find who takes writes now.
  if (error.sqlstate() == "25006") spoiled_ = true;
  return error;
}

void Session::require_replicated() {
  if (!std::exchange(unreplicated_, false)) return;
  throw Error(ErrorCode::io,
              "committed on this server alone: the wait for its synchronous standby was broken off, and a failover may "
              "lose it",
              {.backend = std::string(backend_name),
               .native_code = 0,
               .sqlstate = {},
               .retryable = false,
               .outcome = Outcome::applied});
}

Result Session::checked(pg_result* result) {
  Result answer(result);
  if (!succeeded(result)) throw fault(result, "postgres");
  return answer;
}

const std::string& Session::prepare(std::string_view sql, const Parameters& parameters) {
  const auto found = prepared_.find(sql);
  if (found != prepared_.end()) return found->second;
  if (prepared_.size() == max_prepared) forget_prepared();
  std::string text(sql);
  std::string name = "stele_" + std::to_string(prepared_.size());
  checked(
      PQprepare(handle(), name.c_str(), text.c_str(), static_cast<int>(parameters.size()), parameters.types().data()));
  return prepared_.emplace(std::move(text), std::move(name)).first->second;
}

void Session::forget_prepared() {
  run("DEALLOCATE ALL", "postgres");
  prepared_.clear();
}

Result Session::execute(std::string_view sql, const Parameters& parameters) {
  const Arguments arguments(parameters);
  unreplicated_ = false;
  for (int attempt = 1;; ++attempt) {
    try {
      const std::string& name = prepare(sql, parameters);
      return checked(PQexecPrepared(handle(), name.c_str(), arguments.count(), arguments.values.data(),
                                    arguments.lengths.data(), arguments.formats.data(), 1));
    } catch (const Error& error) {
      if (!is_stale_plan(error) || attempt > 1 || PQtransactionStatus(handle()) != PQTRANS_IDLE) throw;
      forget_prepared();
    }
  }
}

void Session::for_each_row(std::string_view sql, const Parameters& parameters,
                           const std::function<bool(const Result&)>& row, Planning planning) {
  bool given = false;
  try {
    fetch_rows(sql, parameters, row, planning, given);
  } catch (const Error& error) {
    if (!is_stale_plan(error) || given || PQtransactionStatus(handle()) != PQTRANS_IDLE) throw;
    forget_prepared();
    fetch_rows(sql, parameters, row, planning, given);
  }
}

void Session::fetch_rows(std::string_view sql, const Parameters& parameters,
                         const std::function<bool(const Result&)>& row, Planning planning, bool& given) {
  const Arguments arguments(parameters);
  int sent = 0;
  if (planning == Planning::each_time) {
    sent = PQsendQueryParams(handle(), std::string(sql).c_str(), arguments.count(), parameters.types().data(),
                             arguments.values.data(), arguments.lengths.data(), arguments.formats.data(), 1);
  } else {
    sent = PQsendQueryPrepared(handle(), prepare(sql, parameters).c_str(), arguments.count(), arguments.values.data(),
                               arguments.lengths.data(), arguments.formats.data(), 1);
  }
  if (sent == 0) throw fault(nullptr, "postgres");
  PQsetSingleRowMode(handle());
  try {
    bool wanted = true;
    while (pg_result* next = PQgetResult(handle())) {
      const Result result(next);
      if (PQresultStatus(next) == PGRES_SINGLE_TUPLE) {
        given = true;
        wanted = wanted && row(result);
      } else if (!succeeded(next)) {
        throw fault(next, "postgres");
      }
    }
  } catch (...) {
    drain(handle());
    throw;
  }
}

std::vector<Result> Session::execute_together(const std::vector<Call>& calls,
                                              const std::function<void()>& before_commit) {
  std::vector<const std::string*> names;
  names.reserve(calls.size());
  std::vector<Result> results;
  results.reserve(calls.size());  // So that there is no lack of memory between the commit and its answers.
  // Nothing may be forgotten while names are collected.
  if (prepared_.size() + calls.size() > max_prepared) forget_prepared();
  for (const Call& call : calls) names.push_back(&prepare(call.sql, *call.parameters));

  const auto lost = [this](const pg_result* result) {
    return make_error(handle(), result, "postgres", Outcome::unknown);
  };
  unreplicated_ = false;
  if (PQenterPipelineMode(handle()) == 0) throw fault(nullptr, "postgres");
  bool sent = PQsendQueryParams(handle(), "BEGIN", 0, nullptr, nullptr, nullptr, nullptr, 1) != 0;
  for (std::size_t i = 0; i < calls.size() && sent; ++i) {
    const Arguments arguments(*calls[i].parameters);
    sent = PQsendQueryPrepared(handle(), names[i]->c_str(), arguments.count(), arguments.values.data(),
                               arguments.lengths.data(), arguments.formats.data(), 1) != 0;
  }
  // Else the server keeps the results back until it has committed.
  if (before_commit) sent = sent && PQsendFlushRequest(handle()) != 0;
  sent = sent && PQsendQueryParams(handle(), "COMMIT", 0, nullptr, nullptr, nullptr, nullptr, 1) != 0;
  if (!sent || PQpipelineSync(handle()) == 0) throw lost(nullptr);

  // From here on the commit is on its way, whatever happens to its answer.
  std::optional<Error> failure;
  bool committed = false;
  for (;;) {
    pg_result* next = PQgetResult(handle());
    if (next == nullptr) {
      if (!usable_connection()) throw lost(nullptr);
      continue;  // The end of one statement's results.
    }
    Result result(next);
    const ExecStatusType status = PQresultStatus(next);
    if (status == PGRES_PIPELINE_SYNC) break;
    if (status == PGRES_TUPLES_OK) {
      results.push_back(std::move(result));
      if (before_commit && results.size() == calls.size()) before_commit();
    } else if (status == PGRES_COMMAND_OK) {
      committed = std::string_view(PQcmdStatus(next)) == "COMMIT";
    } else if (status != PGRES_PIPELINE_ABORTED && !failure) {
      failure = fault(next, "postgres");
    }
  }
  PQexitPipelineMode(handle());
  if (PQtransactionStatus(handle()) == PQTRANS_INERROR || PQtransactionStatus(handle()) == PQTRANS_INTRANS) {
    const Result ignored(PQexec(handle(), "ROLLBACK"));
  }
  // libpq's own errors say nothing of the transaction: one may stand for the answer to COMMIT, or for that to a call.
  if (failure && !committed && !leaves_commit_open(*failure)) throw *failure;
  if (failure) throw as_unknown(*failure);
  if (!committed) throw make_error(ErrorCode::internal, "the transaction had failed");
  if (results.size() != calls.size()) {
    throw as_unknown(make_error(ErrorCode::internal, "an answer of the transaction is missing"));
  }
  require_replicated();
  return results;
}

Result Session::run(const std::string& script, std::string_view doing) {
  Result answer(PQexec(handle(), script.c_str()));
  if (!succeeded(answer.handle())) throw fault(answer.handle(), doing);
  return answer;
}

bool Session::usable_connection() const noexcept {
  return PQstatus(handle()) == CONNECTION_OK;
}

bool Session::usable() const noexcept {
  return !spoiled_ && !is_lost();
}

bool Session::is_lost() const noexcept {
  return !usable_connection() || PQtransactionStatus(handle()) != PQTRANS_IDLE ||
         PQpipelineStatus(handle()) != PQ_PIPELINE_OFF;
}

bool Session::alive(bool ask) noexcept {
  pollfd socket{PQsocket(handle()), POLLIN, 0};
  if (::poll(&socket, 1, 0) > 0) {
    // Notices and changed settings may come at any time; a closed connection is readable, too.
    if (PQconsumeInput(handle()) == 0 || !usable()) return false;
  }
  if (!ask) return true;
  const Result answer(PQexec(handle(), ""));
  return succeeded(answer.handle()) && usable();
}

void Session::set_lock_timeout(std::chrono::milliseconds timeout) {
  timeout = std::max(timeout, std::chrono::milliseconds(1));
  if (timeout == lock_timeout_) return;
  run("SET lock_timeout = " + std::to_string(timeout.count()), "postgres");
  lock_timeout_ = timeout;
}

std::size_t Session::rows_for(std::size_t bytes) const noexcept {
  return bytes_per_row_ == 0 ? bytes : std::max<std::size_t>(2 * bytes / bytes_per_row_, 8);
}

void Session::learn_row_size(std::size_t rows, std::size_t bytes) noexcept {
  if (rows > 0) bytes_per_row_ = std::max<std::size_t>(bytes / rows, 1);
}

LockTimeout::~LockTimeout() {
  if (!session_.usable_connection()) return;
  try {
    session_.set_lock_timeout(session_.usual_lock_timeout_);
  } catch (...) {
    session_.spoiled_ = true;
  }
}

Transaction::Transaction(Session& session, std::string_view begin) : session_(session) {
  session_.run(std::string(begin), "begin");
}

Transaction::~Transaction() {
  if (!open_ || PQstatus(session_.handle()) != CONNECTION_OK) return;
  const Result ignored(PQexec(session_.handle(), "ROLLBACK"));
}

void Transaction::commit() {
  open_ = false;
  session_.unreplicated_ = false;
  const Result answer(PQexec(session_.handle(), "COMMIT"));
  if (!succeeded(answer.handle())) {
    const Error error = session_.fault(answer.handle(), "commit");
    throw PQstatus(session_.handle()) != CONNECTION_OK || leaves_commit_open(error) ? as_unknown(error) : error;
  }
  // COMMIT of a failed transaction succeeds with the tag ROLLBACK.
  if (std::string_view(PQcmdStatus(answer.handle())) == "COMMIT") return session_.require_replicated();
  throw make_error(ErrorCode::internal, "commit: the transaction had failed");
}

}  // namespace stele::postgres
