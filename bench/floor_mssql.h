// The floor on SQL Server: what a good engineer would write by hand on bare ODBC for this schema. A procedure of its
// own for one event, INSERTs of several rows for a batch, prepared statements, and columns that are bound once.
#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sample_events.h"
#include "stele/event_store.h"

namespace stele::bench {

/// STELE_BENCH_MSSQL_URL, else STELE_TEST_MSSQL_URL; empty when neither names a server.
std::string mssql_url();
/// The URL of a store in this schema. It has a connection for each of the benchmarks' threads.
std::string mssql_store_url(const std::string& schema);

/// A connection. Whatever fails ends the program: a floor that fails measures nothing.
class FloorOdbc {
 public:
  FloorOdbc();
  FloorOdbc(const FloorOdbc&) = delete;
  FloorOdbc& operator=(const FloorOdbc&) = delete;
  ~FloorOdbc();

  void run(const std::string& batch) const;
  /// The first column of each row, as text; NULL is empty.
  std::vector<std::string> column(const std::string& query) const;
  void* handle() const noexcept { return connection_; }

 private:
  void* environment_ = nullptr;
  void* connection_ = nullptr;
};

/// A new, migrated schema; dropped by the destructor.
class MssqlScratch {
 public:
  MssqlScratch();
  MssqlScratch(const MssqlScratch&) = delete;
  MssqlScratch& operator=(const MssqlScratch&) = delete;
  ~MssqlScratch();

  const std::string& name() const noexcept { return name_; }
  EventStore open_store() const;

 private:
  const std::string name_;
};

/// A prepared statement whose parameters were bound once; their values are set before each execution.
class FloorOdbcStatement {
 public:
  FloorOdbcStatement(const FloorOdbc& connection, const std::string& sql);
  FloorOdbcStatement(const FloorOdbcStatement&) = delete;
  FloorOdbcStatement& operator=(const FloorOdbcStatement&) = delete;
  ~FloorOdbcStatement();

  /// Called in the order of the parameters; the first row of calls binds them.
  FloorOdbcStatement& text(std::string_view value);
  FloorOdbcStatement& json(std::string_view value);
  FloorOdbcStatement& bytes(std::string_view value);
  FloorOdbcStatement& number(std::int64_t value);
  FloorOdbcStatement& time(std::int64_t micros);
  FloorOdbcStatement& id(const Uuid& value);

  /// Executes and drains.
  void execute();
  /// Executes, and leaves the results to be fetched.
  void open();
  void close();
  void* handle() const noexcept { return statement_; }

 private:
  struct Slot;
  Slot& slot(short c_type, short sql_type, std::size_t column_size, short digits, std::size_t bytes);

  void* statement_ = nullptr;
  bool freetds_;
  std::list<Slot> slots_;
  std::list<Slot>::iterator next_;
};

/// Writes the rows that the store writes for events without a command, into the store's own tables with their triggers;
/// it looks nothing up, checks no version and announces no position.
class FloorMssqlWriter {
 public:
  /// Rows of one INSERT in a batch, as the store's.
  static constexpr std::size_t rows_at_once = 32;

  explicit FloorMssqlWriter(const std::string& schema);
  /// Makes the procedure, once for each schema.
  static void prepare_schema(const std::string& schema);

  void append_one(std::string_view stream_id, const SampleEvent& event);
  /// One transaction.
  void append(std::string_view stream_id, std::span<const SampleEvent> events);

 private:
  const std::string schema_;
  FloorOdbc connection_;
  std::unique_ptr<FloorOdbcStatement> call_, head_;
  std::vector<std::unique_ptr<FloorOdbcStatement>> inserts_;  // By the logarithm of their rows.
};

/// Reads the same columns in pages as large as the store's, each going on behind the last event of the one before.
class FloorMssqlReader {
 public:
  static constexpr std::int64_t first_page = 64;  // Doubled from page to page.
  static constexpr std::int64_t largest_page = 512;

  explicit FloorMssqlReader(const std::string& schema);

  using Consume = std::function<void(std::string_view data, std::int64_t position)>;
  std::size_t read_stream(std::string_view stream_id, const Consume& consume);
  std::size_t read_log(const Consume& consume);

 private:
  struct Row;
  template <class Set>
  std::size_t read(FloorOdbcStatement& page, const Set& set, bool by_version, const Consume& consume);

  FloorOdbc connection_;
  std::unique_ptr<FloorOdbcStatement> stream_, log_;
};

}  // namespace stele::bench
