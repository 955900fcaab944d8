#include "read_model.h"

#include <libpq-fe.h>
#include <soci/postgresql/soci-postgresql.h>

#include <thread>

#include "append.h"
#include "errors.h"
#include "projections.h"
#include "read.h"
#include "stele_soci/handler_errors.h"
#include "stele_soci/written_events.h"

namespace stele::postgres {
namespace {

using std::chrono::steady_clock;

constexpr int max_attempts = 10;

/// Nothing was committed, whatever happened to the connection.
Error as_not_applied(const Error& error) {
  return Error(error.code(), error.message(),
               {.backend = error.backend(),
                .native_code = 0,
                .sqlstate = error.sqlstate(),
                .retryable = error.code() == ErrorCode::busy || error.code() == ErrorCode::cannot_connect,
                .outcome = Outcome::not_applied});
}

/// The database gave the transaction up, which may go well the next time. Of the store's own statements, or of a
/// handler's.
bool given_up(const std::exception& error) {
  if (const auto* own = dynamic_cast<const Error*>(&error)) return worth_another_try(*own);
  const auto* handlers = dynamic_cast<const soci::postgresql_soci_error*>(&error);
  return handlers != nullptr && (handlers->sqlstate() == "40P01" || handlers->sqlstate() == "40001");
}

/// Its first line: the others may quote the statement.
std::string first_line(const std::string& text) {
  return text.substr(0, text.find('\n'));
}

std::string begin_of(std::chrono::milliseconds idle_limit) {
  std::string begin = "BEGIN; SET LOCAL synchronous_commit = off";
  if (idle_limit.count() > 0) {
    begin += "; SET LOCAL idle_in_transaction_session_timeout = " + std::to_string(idle_limit.count());
  }
  return begin;
}

AppendResult append_inside(Session& session, const driver::PreparedAppend& append) {
  try {
    return append_one(session, append, steady_clock::now());  // One attempt: the transaction is over after an error.
  } catch (const Error& error) {
    throw as_not_applied(error);
  }
}

driver::AppendAnswer attempt(Session& session, const driver::PreparedAppend& append, const driver::AppendHook& hook) {
  Transaction transaction(session, "BEGIN");
  driver::AppendAnswer answer{append_inside(session, append), std::nullopt};
  if (answer.result.status != AppendStatus::appended) return answer;
  const std::vector<RecordedEvent> events = soci_backend::written_events(
      answer.result, [&](const auto& request, auto& page) { read_stream(session, request, page); });
  if (!events.empty()) {
    ReadModel read_model(session);
    hook(read_model, events);
    read_model.require_open();
  }
  transaction.commit();
  return answer;
}

}  // namespace

void ReadModel::require_connection() const {
  if (session_ != nullptr && PQstatus(session_->handle()) != CONNECTION_OK) {
    throw as_not_applied(make_error(session_->handle(), nullptr, "read model"));
  }
}

bool ReadModel::is_inline(const driver::ProjectionKey& projection, std::int32_t generation) {
  return postgres::is_inline(require_open(), projection, generation);
}

std::optional<Error> ReadModel::database_error(const std::exception_ptr& thrown) {
  return soci_backend::first_known(thrown, [](const std::exception& error) -> std::optional<Error> {
    const auto* handlers = dynamic_cast<const soci::postgresql_soci_error*>(&error);
    if (handlers == nullptr || handlers->sqlstate() == "57014") return std::nullopt;  // It took too long.
    return error_of_state(handlers->sqlstate(), "read model: " + first_line(handlers->get_error_message()));
  });
}

Session& ReadModel::require_open() const {
  require_connection();
  switch (session_ == nullptr ? PQTRANS_IDLE : PQtransactionStatus(session_->handle())) {
    case PQTRANS_INTRANS: return *session_;
    case PQTRANS_INERROR:
      throw make_error(ErrorCode::invalid_argument,
                       "a statement in the transaction of the read model failed, and its handler did not pass the "
                       "error on");
    default:
      throw make_error(ErrorCode::invalid_argument,
                       "the transaction of the read model was ended before its time, by its handler");
  }
}

bool ReadModel::move_checkpoint(const driver::Lease& lease, Position to) {
  return postgres::move_checkpoint(require_open(), lease, to);
}

void ReadModel::add_dead_letter(const driver::DeadLetter& letter) {
  postgres::add_dead_letter(require_open(), letter);
}

bool ReadModel::activate(const driver::ProjectionKey& projection, std::int32_t from, std::int32_t generation) {
  return postgres::activate(require_open(), projection, from, generation);
}

void ReadModel::commit() {
  throw make_error(ErrorCode::invalid_argument, "the append commits this transaction, not the one who is called in it");
}

OwnReadModel::Open::Open(SessionPool::Lease leased, std::chrono::milliseconds idle_limit)
    : session(std::move(leased)), transaction(*session, begin_of(idle_limit)) {}

OwnReadModel::OwnReadModel(SessionPool::Lease session, std::chrono::milliseconds idle_limit) : ReadModel(*session) {
  open_.emplace(std::move(session), idle_limit);
}

void OwnReadModel::wait_for_disk() {
  // As an append of this session waits, see Session: for a standby, too, where there is one.
  require_open().execute(
      "SELECT set_config('synchronous_commit', CASE reset_val WHEN 'off' THEN 'on' ELSE reset_val END, true) "
      "FROM pg_settings WHERE name = 'synchronous_commit'");
}

void OwnReadModel::add_dead_letter(const driver::DeadLetter& letter) {
  ReadModel::add_dead_letter(letter);
  wait_for_disk();
}

bool OwnReadModel::activate(const driver::ProjectionKey& projection, std::int32_t from, std::int32_t generation) {
  const bool switched = ReadModel::activate(projection, from, generation);
  if (switched) wait_for_disk();
  return switched;
}

void OwnReadModel::commit() {
  require_open();
  open_->transaction.commit();
  set_over();
  open_.reset();
}

driver::AppendAnswer append_with_hook(SessionPool& sessions, const driver::PreparedAppend& append,
                                      const driver::AppendHook& hook, steady_clock::time_point deadline) {
  for (int tries = 1;; ++tries) {
    try {
      const SessionPool::Lease session = sessions.lease(deadline);
      return attempt(*session, append, hook);
    } catch (const std::exception& error) {
      const auto* own = dynamic_cast<const Error*>(&error);
      if (own != nullptr && own->outcome() != Outcome::not_applied) throw;
      // A connection of the pool may have been lost long ago.
      const bool lost = own != nullptr && own->code() == ErrorCode::cannot_connect && tries == 1;
      if ((!given_up(error) && !lost) || tries == max_attempts || steady_clock::now() >= deadline) throw;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(tries));
  }
}

}  // namespace stele::postgres
