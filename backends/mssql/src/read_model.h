// Transactions in which a handler writes its read model, and the checkpoint moves.
#pragma once

#include "session.h"
#include "stele/driver/driver.h"

namespace stele::mssql {

/// What a handler may do inside of a shared transaction that somebody else ends.
class ReadModel : public driver::ReadModelTransaction {
 public:
  explicit ReadModel(Session& session) noexcept : session_(&session) {}

  void* soci_session() noexcept override { return session_ == nullptr ? nullptr : &session_->soci(); }
  bool move_checkpoint(const driver::Lease& lease, Position to) override;
  void add_dead_letter(const driver::DeadLetter& letter) override;
  bool activate(const driver::ProjectionKey& projection, std::int32_t from, std::int32_t generation) override;
  bool is_inline(const driver::ProjectionKey& projection, std::int32_t generation) override;
  std::optional<Error> database_error(const std::exception_ptr& thrown) override;
  void commit() override;

  /// Throws what is in the way of a commit: the connection is lost, or the transaction was ended behind its owner's
  /// back, be it by a statement of it that failed. Costs a round trip.
  Session& require_open() const;

 protected:
  void set_over() noexcept { session_ = nullptr; }

 private:
  Session* session_;  // Null when it is over.
};

/// A transaction of its own.
class OwnReadModel final : public ReadModel {
 public:
  explicit OwnReadModel(SessionPool::Lease session);
  void commit() override;

 private:
  struct Open {
    explicit Open(SessionPool::Lease leased);
    SessionPool::Lease session;
    Transaction transaction;
  };
  std::optional<Open> open_;
};

/// One append whose hook is called in its transaction; see driver::Driver. Makes several attempts until the deadline
/// when the database gave one up.
driver::AppendAnswer append_with_hook(SessionPool& sessions, const driver::PreparedAppend& append,
                                      const driver::AppendHook& hook, std::chrono::steady_clock::time_point deadline);

}  // namespace stele::mssql
