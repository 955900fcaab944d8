// One connection to the database, with its prepared statements and its transactions.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include "native.h"
#include "server.h"
#include "settings.h"
#include "soci_session.h"
#include "statement.h"
#include "stele/error.h"
#include "stele_soci/lease_pool.h"

namespace stele::mssql {

/// `sql` with this for $(schema).
std::string with_schema(std::string_view sql, std::string_view quoted_schema);

/// Used by one thread at a time.
///
/// In every statement, $(schema) stands for the quoted name of the store's schema: "SELECT … FROM $(schema).events".
/// Connections have NOCOUNT ON, XACT_ABORT ON and the URL's LOCK_TIMEOUT: an error rolls the whole transaction back.
class Session {
 public:
  /// Connects, and sets what every statement relies on. Throws cannot_connect, permission_denied, or unsupported for a
  /// server or a database that expect_supported() refuses.
  explicit Session(const Settings& settings);
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;
  ~Session();

  soci::session& soci() noexcept { return connection_.soci(); }
  /// As the server spells it: where case makes no difference, URLs that differ in it name one store, and the names of
  /// its application locks have to be the same.
  const std::string& schema() const noexcept { return schema_; }
  /// What $(schema) stands for.
  const std::string& quoted_schema() const noexcept { return quoted_schema_; }
  std::chrono::milliseconds busy_timeout() const noexcept { return settings_.busy_timeout; }
  bool is_babelfish() const noexcept { return server.babelfish; }

  /// Executes a statement, or several, with parameters; prepared at its first use. All results are drained, and an
  /// error in any of them is thrown. Returns the last one that has columns; NOCOUNT is on, so ask with SELECT
  /// @@ROWCOUNT. An error outside a Transaction leaves nothing behind. `if_lost` is the error's outcome when the
  /// connection broke.
  Result execute(std::string_view sql, const Parameters& parameters = {}, Outcome if_lost = Outcome::not_applied);

  /// Calls a procedure of the store's schema, in one round trip. Afterwards its OUTPUT parameters have their values.
  /// Returns the last result that has columns.
  Result call(std::string_view procedure, const Parameters& parameters, Outcome if_lost = Outcome::not_applied);

  /// The rows of a query as they come: memory does not grow with the result. `row` gets a result of one row and returns
  /// false when it wants no more.
  void for_each_row(std::string_view sql, const Parameters& parameters, const std::function<bool(const Result&)>& row);

  /// Executes a batch without parameters, and without preparing it. Returns the last result that has columns.
  Result run(std::string_view batch, std::string_view doing, Outcome if_lost = Outcome::not_applied);

  /// Executes a batch that begins on this line of a script; errors name their line of it.
  void run_batch(std::string_view batch, const std::string& script, std::size_t first_line);

  /// False when the connection is gone, or is in the middle of something: it must not be lent again.
  bool usable() noexcept;
  /// Whether the server still answers; without asking, whether it has not hung up.
  bool alive(bool ask) noexcept;

  /// Looks how the server spells the schema's name, in case that somebody has made the schema meanwhile.
  void learn_schema();

  /// What the connection was made to.
  Server server;

  /// The last answer of settled_position() on this connection: a restored database begins with new ones.
  std::int64_t known_settled = 0;

  /// Rows that fit well into so many bytes, going by what was read before.
  std::size_t rows_for(std::size_t bytes) const noexcept;
  void learn_row_size(std::size_t rows, std::size_t bytes) noexcept;

 private:
  friend class Transaction;
  friend class LockTimeout;
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const noexcept { return std::hash<std::string_view>()(text); }
  };

  void set_schema(std::string name);
  void set_lock_timeout(std::chrono::milliseconds timeout);
  Statement& prepared(std::string_view sql);
  Statement& direct();
  /// Calls `use` with the statement; turns its Failure into an Error, with what `doing` makes of it in front.
  template <class Doing, class Use>
  void perform(Statement& statement, const Doing& doing, Outcome if_lost, const Use& use);
  template <class Use>
  void perform_prepared(std::string_view sql, Outcome if_lost, const Use& use);
  void recover(Statement& statement) noexcept;
  /// What the failure says of the connection.
  void judge(const Failure& failure) noexcept;

  const Settings settings_;
  std::string schema_;
  std::string quoted_schema_;
  SociSession connection_;
  std::unordered_map<std::string, std::unique_ptr<Statement>, Hash, std::equal_to<>> prepared_;  // By text.
  std::unique_ptr<Statement> direct_;       // For what is not prepared.
  std::chrono::milliseconds lock_timeout_;  // The server's, now.
  bool in_transaction_ = false;             // Transaction's.
  bool in_doubt_ = false;                   // Nobody knows what the server makes of the connection.
  bool outdated_ = false;                   // It works, and is to be made anew.
  std::size_t bytes_per_row_ = 0;
};

/// Whether the connection's shared transaction is still the one that was begun: nobody ended it, and no error did.
bool shared_transaction_is_open(Session& session);

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

/// A transaction that is rolled back unless commit() was reached. After an error of a statement inside it, nothing but
/// its destruction may follow: the server has rolled it back already, and would commit a further statement by itself.
/// In a shared one, nothing is committed by itself: whatever follows an error is rolled back, too.
class Transaction {
 public:
  enum class Kind : std::uint8_t {
    own,     ///< Of Stele's own statements.
    shared,  ///< Others execute statements in it, too, on the SOCI session.
  };

  explicit Transaction(Session& session, Kind kind = Kind::own);
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;
  ~Transaction();

  /// Throws with outcome unknown when the answer to the commit was lost.
  void commit();

 private:
  Session& session_;
  const Kind kind_;
  bool open_ = true;
};

}  // namespace stele::mssql
