// The floor: what a good engineer would write by hand on the bare sqlite3 API for this schema, without a library above
// it. Same file, schema, triggers, pragmas and durability as the store; same rows.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sample_events.h"

struct sqlite3;
struct sqlite3_stmt;

namespace stele::bench {

/// A prepared statement that lives as long as its connection.
class FloorStatement {
 public:
  FloorStatement(sqlite3* db, const std::string& sql);
  FloorStatement(FloorStatement&& other) noexcept;
  FloorStatement& operator=(FloorStatement&&) = delete;
  ~FloorStatement();
  sqlite3_stmt* get() const noexcept { return statement_; }

 private:
  sqlite3_stmt* statement_ = nullptr;
};

enum class FloorRole { writer, reader };

/// Opens a migrated database with the pragmas that the store uses in this role.
class FloorConnection {
 public:
  FloorConnection(const std::filesystem::path& path, FloorRole role);
  FloorConnection(const FloorConnection&) = delete;
  FloorConnection& operator=(const FloorConnection&) = delete;
  ~FloorConnection();
  sqlite3* get() const noexcept { return db_; }

 private:
  sqlite3* db_ = nullptr;
};

class FloorWriter {
 public:
  /// Rows of one INSERT in a batch: the fastest of 1, 4, 16, 32, 50, 100 and 250, within noise.
  static constexpr std::size_t batch_rows = 100;

  explicit FloorWriter(const std::filesystem::path& path, std::size_t rows_per_statement = batch_rows);

  /// One transaction, durable when it returns. Gives the last position.
  std::int64_t append(std::string_view stream_id, std::span<const SampleEvent> events);

 private:
  struct Head {
    std::int64_t stream_no;
    std::int64_t version;  ///< After the append.
    std::int64_t recorded_at;
  };

  Head move_head(std::string_view stream_id, std::int64_t count, std::int64_t now);
  std::int64_t name_no(std::string_view name);
  int bind_event(sqlite3_stmt* insert, int parameter, const SampleEvent& event, const Uuid& event_id, const Head& head,
                 std::int64_t version);

  FloorConnection db_;
  std::size_t rows_per_statement_;
  FloorStatement begin_;
  FloorStatement commit_;
  FloorStatement update_stream_;
  FloorStatement insert_stream_;
  FloorStatement find_name_;
  FloorStatement insert_name_;
  FloorStatement insert_batch_;
  FloorStatement insert_one_;
  std::map<std::string, std::int64_t, std::less<>> name_numbers_;
  std::vector<Uuid> event_ids_;
};

/// Every column that the store reads, as a hand-written reader would hold it.
struct FloorEvent {
  std::int64_t global_position = 0;
  std::int64_t stream_version = 0;
  std::array<unsigned char, 16> event_id{};
  std::string type;
  std::int64_t event_version = 0;
  std::int64_t occurred_at = 0;
  std::int64_t recorded_at = 0;
  std::optional<std::int64_t> valid_from;
  std::optional<std::int64_t> valid_to;
  std::optional<std::string> actor_type;
  std::optional<std::string> actor_id;
  std::optional<std::string> source;
  std::optional<std::string> channel;
  std::optional<std::string> idempotency_key;
  std::optional<std::array<unsigned char, 16>> causation_id;
  std::optional<std::array<unsigned char, 16>> correlation_id;
  std::string redaction_level;
  bool contains_secrets = false;
  std::int64_t attribute_count = 0;
  std::string data;
  std::optional<std::string> metadata;
  std::optional<std::string> policy_context;
  std::optional<std::string> model_context;
  std::optional<std::string> display;
  std::optional<std::int64_t> command_no;
  std::optional<std::string> command_source;
  std::optional<std::string> request_id;
  std::string tenant;
  std::string stream_type;
  std::string stream_id;
};

/// The select list and joins of a read of whole events; the caller adds WHERE and ORDER BY over "e".
const std::string& floor_event_columns();

class FloorReader {
 public:
  explicit FloorReader(const std::filesystem::path& path);

  using Consume = std::function<void(const FloorEvent&)>;
  std::size_t read_stream(std::string_view stream_id, const Consume& consume);
  std::size_t read_log(const Consume& consume);

 private:
  std::size_t read(sqlite3_stmt* query, const Consume& consume);
  void load_names();
  const std::string& name(std::int64_t number) const { return names_.at(static_cast<std::size_t>(number)); }
  void copy_row(sqlite3_stmt* row, FloorEvent& event) const;

  FloorConnection db_;
  FloorStatement find_stream_;
  FloorStatement select_stream_;
  FloorStatement select_log_;
  std::vector<std::string> names_;
};

/// Ends the program with the database's message unless `code` is `expected` (0: SQLITE_OK): a floor that fails measures
/// nothing.
void floor_check(sqlite3* db, int code, int expected = 0);

}  // namespace stele::bench
