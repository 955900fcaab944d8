// One connection to the database, with its prepared statements and its transactions.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "native.h"
#include "settings.h"
#include "soci_session.h"
#include "stele_soci/lease_pool.h"

namespace stele::postgres {

/// Used by one thread at a time.
class Session {
 public:
  /// Connects, and sets what every statement relies on: the schema, durable commits, the deadline for locks. Throws
  /// cannot_connect, permission_denied, or unsupported for an old server or a pooler in between.
  explicit Session(const Settings& settings);

  soci::session& soci() noexcept { return connection_.soci(); }
  pg_conn* handle() const noexcept { return connection_.handle(); }
  const std::string& schema() const noexcept { return schema_; }

  /// Executes a statement with parameters, prepared at its first use, and anew when a table has changed meanwhile. An
  /// error outside a transaction leaves nothing.
  Result execute(std::string_view sql, const Parameters& parameters = {});

  /// The same, row by row as they come: memory does not grow with the result. `row` returns false when it wants no
  /// more; the rest is then skipped.
  /// Planning::each_time is for statements whose best plan depends on the values: a filter may fit one event or all.
  enum class Planning : std::uint8_t { once, each_time };
  void for_each_row(std::string_view sql, const Parameters& parameters, const std::function<bool(const Result&)>& row,
                    Planning planning = Planning::once);

  /// Executes these with one round trip, as one transaction. Returns the results in order. Throws what the first one
  /// that failed says, with outcome not_applied only if the server has said that it did not commit.
  /// `before_commit`, if there is one, is called when all of them have succeeded and only the commit is left.
  struct Call {
    std::string_view sql;
    const Parameters* parameters;
  };
  std::vector<Result> execute_together(const std::vector<Call>& calls, const std::function<void()>& before_commit = {});

  /// Executes any number of statements without parameters. Returns the last one's result, in text format.
  Result run(const std::string& script, std::string_view doing);

  /// Throws when the last statement has committed here and its wait for a synchronous standby was broken off: with
  /// outcome applied, and not as durable as was asked for.
  void require_replicated();

  /// False when the connection is gone, is in the middle of something, or leads to a server that takes no writes any
  /// more: it must not be lent again.
  bool usable() const noexcept;
  /// Whether it is gone, or in the middle of something.
  bool is_lost() const noexcept;
  /// Whether the server still answers; without asking, whether it has not hung up.
  bool alive(bool ask) noexcept;

  /// Rows that fit well into so many bytes, going by what was read before.
  std::size_t rows_for(std::size_t bytes) const noexcept;
  void learn_row_size(std::size_t rows, std::size_t bytes) noexcept;

 private:
  friend class LockTimeout;
  friend class Transaction;

  void set_lock_timeout(std::chrono::milliseconds timeout);
  const std::string& prepare(std::string_view sql, const Parameters& parameters);
  void forget_prepared();
  /// Sets `given` when `row` has been called.
  void fetch_rows(std::string_view sql, const Parameters& parameters, const std::function<bool(const Result&)>& row,
                  Planning planning, bool& given);
  Result checked(pg_result* result);
  /// The error of a result; null is the connection's. Notes what it says of the session.
  Error fault(const pg_result* result, std::string_view doing, Outcome outcome = Outcome::not_applied);
  bool usable_connection() const noexcept;

  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const noexcept { return std::hash<std::string_view>()(text); }
  };

  const std::string schema_;
  const std::chrono::milliseconds usual_lock_timeout_;
  std::chrono::milliseconds lock_timeout_;  // The server's, now.
  bool spoiled_ = false;
  bool unreplicated_ = false;                                  // See require_replicated().
  void (*pass_notice_on_)(void*, const pg_result*) = nullptr;  // libpq's own: to the notice processor.
  SociSession connection_;
  std::unordered_map<std::string, std::string, Hash, std::equal_to<>> prepared_;  // By text: the statement's name.
  std::size_t bytes_per_row_ = 0;
};

using SessionPool = soci_backend::LeasePool<Session>;

/// How long a session waits for each lock, until this object is gone; then as usual again. Outside of transactions.
class LockTimeout {
 public:
  explicit LockTimeout(Session& session) noexcept : session_(session) {}
  LockTimeout(const LockTimeout&) = delete;
  LockTimeout& operator=(const LockTimeout&) = delete;
  /// A session that cannot be set back is not usable() any more.
  ~LockTimeout();

  /// Costs a round trip when it is another one than before.
  void set(std::chrono::milliseconds timeout) { session_.set_lock_timeout(timeout); }

 private:
  Session& session_;
};

/// A transaction that is rolled back unless commit() was reached.
class Transaction {
 public:
  /// `begin` is the statement that opens it: "BEGIN", or a kind of it.
  Transaction(Session& session, std::string_view begin);
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;
  ~Transaction();

  /// Throws with outcome unknown when the answer to the commit was lost.
  void commit();

 private:
  Session& session_;
  bool open_ = true;
};

}  // namespace stele::postgres
