// Transactions in which a handler writes its read model, and the checkpoint moves.
#pragma once

#include "session.h"
#include "stele/driver/driver.h"

namespace stele::postgres {

/// What a handler may do inside of a transaction that somebody else ends.
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

  /// Throws what is in the way of a commit: the connection is lost, the transaction was ended behind its owner's back,
  /// or a statement of it failed.
  Session& require_open() const;

 protected:
  void set_over() noexcept { session_ = nullptr; }

 private:
  void require_connection() const;

  Session* session_;  // Null when it is over.
};

/// A transaction of its own. Its commit waits for the disk only where driver::ReadModelTransaction says so: what it
/// writes can be made again from the log, and a crash that takes it back takes the checkpoint back, too.
class OwnReadModel final : public ReadModel {
 public:
  OwnReadModel(SessionPool::Lease session, std::chrono::milliseconds idle_limit);
  void add_dead_letter(const driver::DeadLetter& letter) override;
  bool activate(const driver::ProjectionKey& projection, std::int32_t from, std::int32_t generation) override;
  void commit() override;

 private:
  void wait_for_disk();

  struct Open {
    Open(SessionPool::Lease leased, std::chrono::milliseconds idle_limit);
    SessionPool::Lease session;
    Transaction transaction;
  };
  std::optional<Open> open_;
};

/// One append whose hook is called in its transaction; see driver::Driver. Makes several attempts until the deadline
/// when the database gave one up.
driver::AppendAnswer append_with_hook(SessionPool& sessions, const driver::PreparedAppend& append,
                                      const driver::AppendHook& hook, std::chrono::steady_clock::time_point deadline);

}  // namespace stele::postgres
