// The floor on PostgreSQL: what a good engineer would write by hand on bare libpq for this schema. Prepared statements,
// binary parameters and results, one round trip for each append, the server's durability as it is.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "floor_sqlite.h"
#include "sample_events.h"

struct pg_conn;
struct pg_result;

namespace stele::bench {

/// The parameters of one statement in binary format, $1 first, ready to be sent.
class FloorParameters {
 public:
  FloorParameters& null(unsigned type);
  FloorParameters& text(std::string_view value);
  FloorParameters& int4(std::int32_t value);
  FloorParameters& int8(std::int64_t value);
  /// An array of `count` elements; `element(i, out)` appends the bytes of one and returns false for NULL.
  FloorParameters& array(unsigned element_type, std::size_t count,
                         const std::function<bool(std::size_t, std::string&)>& element);

  const std::vector<unsigned>& types() const noexcept { return types_; }
  const std::vector<std::string>& values() const noexcept { return values_; }
  const std::vector<bool>& nulls() const noexcept { return nulls_; }

 private:
  FloorParameters& add(unsigned type, std::string value, bool null);

  std::vector<unsigned> types_;
  std::vector<std::string> values_;
  std::vector<bool> nulls_;
};

/// A connection with a schema as its search path. Whatever fails ends the program: a floor that fails measures nothing.
class FloorPostgres {
 public:
  explicit FloorPostgres(const std::string& schema);

  void run(const std::string& script) const;
  std::string value(const std::string& query) const;

  struct Clear {
    void operator()(pg_result* result) const noexcept;
  };
  using Rows = std::unique_ptr<pg_result, Clear>;

  void prepare(const char* name, const std::string& sql, const std::vector<unsigned>& types) const;
  Rows execute(const char* name, const FloorParameters& parameters) const;

 private:
  struct Close {
    void operator()(pg_conn* connection) const noexcept;
  };
  std::unique_ptr<pg_conn, Close> connection_;
};

/// Calls of the database's function append(), which the store calls too: what is left for the store to lose is the time
/// of its own checks, of its parameters, and of its pool.
class FloorCalls {
 public:
  explicit FloorCalls(const std::string& schema);

  /// Made beforehand, as pgbench's script is.
  static FloorParameters parameters(std::string_view stream_id, std::span<const SampleEvent> events);
  void append(const FloorParameters& parameters) const;

 private:
  FloorPostgres connection_;
};

/// What the rows themselves cost: one statement that moves the stream's head and inserts the events with unnest. Its
/// parameters are made as it goes, as the store's are.
class FloorInserts {
 public:
  enum class Table {
    bare,    ///< The columns, checks, defaults and indexes of `events`; neither triggers nor foreign keys.
    events,  ///< The store's own.
  };
  FloorInserts(const std::string& schema, Table table);

  void append(std::string_view stream_id, std::span<const SampleEvent> events);

 private:
  FloorPostgres connection_;
};

/// Reads pages as large as the store's, each going on behind the last event of the one before.
class FloorPages {
 public:
  static constexpr std::int64_t first_page = 64;  // Doubled from page to page.
  static constexpr std::int64_t largest_page = 512;

  explicit FloorPages(const std::string& schema, const std::string& table = "events");

  using Consume = std::function<void(const FloorEvent&)>;
  std::size_t read_stream(std::string_view stream_id, const Consume& consume);
  std::size_t read_log(const Consume& consume);

 private:
  FloorPostgres connection_;
};

}  // namespace stele::bench
