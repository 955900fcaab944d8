// Transactions in which a handler writes its read model, and the checkpoint moves.
#pragma once

#include <atomic>
#include <thread>

#include "group_commit.h"
#include "session.h"
#include "stele/driver/read_side.h"

namespace stele::sqlite {

/// Which thread is inside a handler that has the writing session. When that thread asks for the session again it would
/// wait for itself.
class HandlerThread {
 public:
  /// Throws invalid_argument in a handler.
  void refuse_inside_handler() const;

 private:
  friend class InHandler;
  std::atomic<std::thread::id> id_;
};

/// This thread is inside a handler while it lives.
class InHandler {
 public:
  explicit InHandler(HandlerThread& thread) noexcept : thread_(thread) { thread_.id_ = std::this_thread::get_id(); }
  InHandler(const InHandler&) = delete;
  InHandler& operator=(const InHandler&) = delete;
  ~InHandler() { thread_.id_ = std::thread::id(); }

 private:
  HandlerThread& thread_;
};

/// Resets all statements when it goes: a query that a handler left in the middle would keep the session at what it saw.
class ResetStatements {
 public:
  explicit ResetStatements(Session& session) noexcept : session_(session) {}
  ResetStatements(const ResetStatements&) = delete;
  ResetStatements& operator=(const ResetStatements&) = delete;
  ~ResetStatements() { session_.reset_statements(); }

 private:
  Session& session_;
};

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

  /// Throws invalid_argument when the transaction was ended behind its owner's back.
  Session& require_open() const;

 protected:
  void set_over() noexcept { session_ = nullptr; }

 private:
  Session* session_;  // Null when it is over.
};

/// A transaction of its own, on the session that writes, until it is over. Its commit waits for the disk only where
/// driver::ReadModelTransaction says so.
class OwnReadModel final : public ReadModel {
 public:
  OwnReadModel(SessionPool::Lease session, HandlerThread& thread);

  void add_dead_letter(const driver::DeadLetter& letter) override;
  bool activate(const driver::ProjectionKey& projection, std::int32_t from, std::int32_t generation) override;
  void commit() override;

 private:
  struct Open {
    Open(SessionPool::Lease leased, HandlerThread& thread);

    SessionPool::Lease session;
    const InHandler in_handler;
    const RelaxedDurability relaxed;
    Transaction transaction;
    const ResetStatements reset;
  };
  std::optional<Open> open_;
  bool waits_for_disk_ = false;
};

}  // namespace stele::sqlite
