#include "read_model.h"

#include <soci/odbc/soci-odbc.h>

#include <thread>

#include "append.h"
#include "errors.h"
#include "projections.h"
#include "read.h"
#include "stele_soci/handler_errors.h"
#include "stele_soci/written_events.h"

namespace stele::mssql {
namespace {

using std::chrono::steady_clock;

constexpr int max_attempts = 10;

/// What a handler was told by the database, as the driver would throw it.
std::optional<Error> of_handler(const std::exception& error) {
  const auto* handlers = dynamic_cast<const soci::odbc_soci_error*>(&error);
  if (handlers == nullptr) return std::nullopt;
  return make_error(diagnostic_of(*handlers), false, "read model", Outcome::not_applied);
}

/// The database gave the transaction up, which may go well the next time. Of the store's own statements, or of a
/// handler's, whose duplicate keys are its own affair.
bool given_up(const std::exception& error) {
  if (const auto* own = dynamic_cast<const Error*>(&error)) return worth_another_try(*own);
  const std::optional<Error> same = of_handler(error);
  return same && worth_another_try(*same) && !is_duplicate_key(*same);
}

driver::AppendAnswer attempt(Session& session, const driver::PreparedAppend& append, const driver::AppendHook& hook) {
  Transaction transaction(session, Transaction::Kind::shared);
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

bool ReadModel::is_inline(const driver::ProjectionKey& projection, std::int32_t generation) {
  return mssql::is_inline(require_open(), projection, generation);
}

std::optional<Error> ReadModel::database_error(const std::exception_ptr& thrown) {
  return soci_backend::first_known(thrown, of_handler);
}

Session& ReadModel::require_open() const {
  if (session_ != nullptr && shared_transaction_is_open(*session_)) return *session_;
  throw make_error(ErrorCode::invalid_argument,
                   "the transaction of the read model was ended before its time: by its handler, or by an error that "
                   "the handler did not pass on");
}

bool ReadModel::move_checkpoint(const driver::Lease& lease, Position to) {
  return mssql::move_checkpoint(require_open(), lease, to);
}

void ReadModel::add_dead_letter(const driver::DeadLetter& letter) {
  mssql::add_dead_letter(require_open(), letter);
}

bool ReadModel::activate(const driver::ProjectionKey& projection, std::int32_t from, std::int32_t generation) {
  return mssql::activate(require_open(), projection, from, generation);
}

void ReadModel::commit() {
  throw make_error(ErrorCode::invalid_argument, "the append commits this transaction, not the one who is called in it");
}

OwnReadModel::Open::Open(SessionPool::Lease leased)
    : session(std::move(leased)), transaction(*session, Transaction::Kind::shared) {}

OwnReadModel::OwnReadModel(SessionPool::Lease session) : ReadModel(*session) {
  open_.emplace(std::move(session));
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

}  // namespace stele::mssql
