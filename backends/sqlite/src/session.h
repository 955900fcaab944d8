// One connection to the database, with its statements, its names and its transactions.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include "names.h"
#include "native.h"
#include "settings.h"
#include "soci_session.h"

namespace stele::sqlite {

enum class Role : std::uint8_t { reader, writer };

/// Used by one thread at a time.
class Session {
 public:
  /// Throws cannot_connect, permission_denied, corrupt or busy.
  Session(const Settings& settings, Role role);

  soci::session& soci() noexcept { return connection_.soci(); }
  sqlite3* handle() const noexcept { return connection_.handle(); }
  Names& names() noexcept { return names_; }

  /// The prepared statement for this text, prepared at its first use.
  Use use(std::string_view sql);

  /// Waits for locks end at this time.
  void wait_until(std::chrono::steady_clock::time_point deadline) noexcept { deadline_ = deadline; }
  /// Waits for locks from now on end at busy_timeout.
  void restart_deadline() noexcept { wait_until(std::chrono::steady_clock::now() + busy_timeout_); }

  /// False when a transaction could not be ended: the session must not be lent again.
  bool usable() const noexcept;

  /// Ends whatever query a handler left in the middle. None of this backend's own may be.
  void reset_statements() noexcept;

  /// Waits for the disk as a commit of this session does, for who has committed with RelaxedDurability. Throws with
  /// outcome unknown: it is committed, and a crash may take it back.
  void sync();

  /// Drops caches if somebody migrated the database since the last call. Inside a transaction.
  void notice_schema_change();

 private:
  friend class RelaxedDurability;
  static int wait_for_lock(void* session, int tries);
  void switch_to_wal();

  const bool in_memory_;
  const std::chrono::milliseconds busy_timeout_;
  std::chrono::steady_clock::time_point deadline_;
  SociSession connection_;  // Before the statements: they have to be gone before it closes.
  struct TextHash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const noexcept { return std::hash<std::string_view>{}(text); }
  };
  std::unordered_map<std::string, Statement, TextHash, std::equal_to<>> statements_;
  Names names_;
  std::int64_t schema_version_ = -1;
  const std::string synchronous_;
  bool damaged_ = false;  // Its settings are no longer as they were made.
};

/// While it lives, commits do not wait for the disk. For what can be made again from the log: a crash of the machine
/// may take such a commit back, and never one before it without it. Outside of transactions.
class RelaxedDurability {
 public:
  explicit RelaxedDurability(Session& session);
  RelaxedDurability(const RelaxedDurability&) = delete;
  RelaxedDurability& operator=(const RelaxedDurability&) = delete;
  ~RelaxedDurability();

 private:
  Session& session_;
  const bool needed_;
};

/// A transaction that is rolled back unless commit() was reached.
class Transaction {
 public:
  enum class Kind : std::uint8_t { read, write };

  /// A write transaction takes the write lock at once (BEGIN IMMEDIATE): what it reads cannot change under it.
  Transaction(Session& session, Kind kind);
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;
  ~Transaction();

  /// Throws with outcome unknown when it cannot be said whether the commit will survive.
  void commit();

 private:
  Session& session_;
  Kind kind_;
  bool open_ = true;
};

}  // namespace stele::sqlite
