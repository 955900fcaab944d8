#include "read_model.h"

#include <sqlite3.h>

#include "errors.h"
#include "projections.h"
#include "stele_soci/handler_errors.h"

namespace stele::sqlite {

void HandlerThread::refuse_inside_handler() const {
  if (id_.load() != std::this_thread::get_id()) return;
  throw make_error(ErrorCode::invalid_argument,
                   "a handler of a projection must not write to the store, nor append to it: it would wait for its own "
                   "transaction");
}

Session& ReadModel::require_open() const {
  if (session_ != nullptr && sqlite3_get_autocommit(session_->handle()) == 0) return *session_;
  throw make_error(ErrorCode::invalid_argument,
                   "the transaction of the read model was ended before its time: by its handler, or by an error that "
                   "the handler did not pass on");
}

bool ReadModel::move_checkpoint(const driver::Lease& lease, Position to) {
  return sqlite::move_checkpoint(require_open(), lease, to);
}

void ReadModel::add_dead_letter(const driver::DeadLetter& letter) {
  sqlite::add_dead_letter(require_open(), letter);
}

bool ReadModel::activate(const driver::ProjectionKey& projection, std::int32_t from, std::int32_t generation) {
  return sqlite::activate(require_open(), projection, from, generation);
}

bool ReadModel::is_inline(const driver::ProjectionKey& projection, std::int32_t generation) {
  return sqlite::is_inline(require_open(), projection, generation);
}

std::optional<Error> ReadModel::database_error(const std::exception_ptr& thrown) {
  return soci_backend::first_known(thrown, [](const std::exception& error) -> std::optional<Error> {
    const std::optional<int> code = result_code_of(error);
    return code ? std::optional(make_error(*code, "read model")) : std::nullopt;
  });
}

void ReadModel::commit() {
  throw make_error(ErrorCode::invalid_argument, "the append commits this transaction, not the one who is called in it");
}

OwnReadModel::Open::Open(SessionPool::Lease leased, HandlerThread& thread)
    : session(std::move(leased)),
      in_handler(thread),
      relaxed(*session),
      transaction(*session, Transaction::Kind::write),
      reset(*session) {}

OwnReadModel::OwnReadModel(SessionPool::Lease session, HandlerThread& thread) : ReadModel(*session) {
  open_.emplace(std::move(session), thread);
}

void OwnReadModel::add_dead_letter(const driver::DeadLetter& letter) {
  ReadModel::add_dead_letter(letter);
  waits_for_disk_ = true;
}

bool OwnReadModel::activate(const driver::ProjectionKey& projection, std::int32_t from, std::int32_t generation) {
  const bool switched = ReadModel::activate(projection, from, generation);
  waits_for_disk_ = waits_for_disk_ || switched;
  return switched;
}

void OwnReadModel::commit() {
  require_open().reset_statements();
  open_->transaction.commit();
  set_over();
  if (waits_for_disk_) open_->session->sync();  // SQLite changes no durability inside of a transaction.
  open_.reset();
}

}  // namespace stele::sqlite
