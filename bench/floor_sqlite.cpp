#include "floor_sqlite.h"

#include <sqlite3.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <utility>

namespace stele::bench {
namespace {

// Global positions come from AUTOINCREMENT. Columns that a sample leaves empty stay unbound, which is NULL.
constexpr int insert_columns = 27;

std::string insert_sql(std::size_t rows) {
  std::string sql =
      "INSERT INTO events (stream_no, stream_version, tenant_no, stream_type_no, event_id, event_type_no, "
      "event_version, "
      "occurred_at, recorded_at, actor_type, actor_id, source_no, channel, correlation_id, redaction_level, "
      "contains_secrets, "
      "attribute_count, data, valid_from, valid_to, command_no, idempotency_key, causation_id, metadata, "
      "policy_context, "
      "model_context, display) VALUES ";
  for (std::size_t row = 0; row < rows; ++row) {
    sql += row == 0 ? "(" : ", (";
    for (int i = 0; i < insert_columns; ++i) sql += i == 0 ? "?" : ", ?";
    sql += ")";
  }
  return sql;
}

void bind_text(sqlite3_stmt* statement, int parameter, std::string_view text) {
  sqlite3_bind_text(statement, parameter, text.data(), static_cast<int>(text.size()), SQLITE_STATIC);
}

void bind_id(sqlite3_stmt* statement, int parameter, const Uuid& id) {
  sqlite3_bind_blob(statement, parameter, id.bytes().data(), static_cast<int>(id.bytes().size()), SQLITE_STATIC);
}

std::string_view text_of(sqlite3_stmt* row, int column) {
  const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(row, column));
  if (text == nullptr) return {};
  return {text, static_cast<std::size_t>(sqlite3_column_bytes(row, column))};
}

void copy(sqlite3_stmt* row, int column, std::optional<std::string>& to) {
  if (sqlite3_column_type(row, column) == SQLITE_NULL) {
    to.reset();
  } else if (to) {
    to->assign(text_of(row, column));
  } else {
    to.emplace(text_of(row, column));
  }
}

void copy(sqlite3_stmt* row, int column, std::optional<std::int64_t>& to) {
  if (sqlite3_column_type(row, column) == SQLITE_NULL) {
    to.reset();
  } else {
    to = sqlite3_column_int64(row, column);
  }
}

void copy(sqlite3_stmt* row, int column, std::array<unsigned char, 16>& to) {
  std::memcpy(to.data(), sqlite3_column_blob(row, column), to.size());
}

void copy(sqlite3_stmt* row, int column, std::optional<std::array<unsigned char, 16>>& to) {
  if (sqlite3_column_type(row, column) == SQLITE_NULL) {
    to.reset();
  } else {
    copy(row, column, to.emplace());
  }
}

std::int64_t now_in_microseconds() {
  return std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::system_clock::now().time_since_epoch())
      .count();
}

}  // namespace

void floor_check(sqlite3* db, int code, int expected) {
  if (code == expected) return;
  std::fprintf(stderr, "floor: sqlite3 answered %d: %s\n", code, db != nullptr ? sqlite3_errmsg(db) : "no connection");
  std::abort();
}

FloorStatement::FloorStatement(sqlite3* db, const std::string& sql) {
  floor_check(db, sqlite3_prepare_v3(db, sql.data(), static_cast<int>(sql.size()), SQLITE_PREPARE_PERSISTENT,
                                     &statement_, nullptr));
}

FloorStatement::FloorStatement(FloorStatement&& other) noexcept
    : statement_(std::exchange(other.statement_, nullptr)) {}

FloorStatement::~FloorStatement() {
  sqlite3_finalize(statement_);
}

FloorConnection::FloorConnection(const std::filesystem::path& path, FloorRole role) {
  floor_check(db_, sqlite3_open_v2(path.c_str(), &db_, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, nullptr));
  sqlite3_busy_timeout(db_, 10'000);
  const auto execute = [this](const char* sql) { floor_check(db_, sqlite3_exec(db_, sql, nullptr, nullptr, nullptr)); };
  execute("PRAGMA foreign_keys = ON");
  execute("PRAGMA temp_store = MEMORY");
  if (role == FloorRole::writer) {
    execute("PRAGMA cache_size = -16000");
    execute("PRAGMA journal_mode = WAL");
    execute("PRAGMA synchronous = FULL");
  } else {
    execute("PRAGMA cache_size = -8000");
    execute("PRAGMA query_only = ON");
  }
}

FloorConnection::~FloorConnection() {
  sqlite3_close_v2(db_);
}

FloorWriter::FloorWriter(const std::filesystem::path& path, std::size_t rows_per_statement)
    : db_(path, FloorRole::writer),
      rows_per_statement_(rows_per_statement),
      begin_(db_.get(), "BEGIN IMMEDIATE"),
      commit_(db_.get(), "COMMIT"),
      update_stream_(db_.get(),
                     "UPDATE streams SET version = version + ?4, last_recorded_at = max(?5, last_recorded_at) "
                     "WHERE tenant_no = ?1 AND stream_type_no = ?2 AND stream_id = ?3 "
                     "RETURNING stream_no, version, last_recorded_at"),
      insert_stream_(
          db_.get(),
          "INSERT INTO streams (tenant_no, stream_type_no, stream_id, version, created_at, last_recorded_at) "
          "VALUES (?1, ?2, ?3, ?4, ?5, ?5)"),
      find_name_(db_.get(), "SELECT name_no FROM names WHERE name = ?1"),
      insert_name_(db_.get(), "INSERT INTO names (name) VALUES (?1)"),
      insert_batch_(db_.get(), insert_sql(rows_per_statement)),
      insert_one_(db_.get(), insert_sql(1)) {}

std::int64_t FloorWriter::append(std::string_view stream_id, std::span<const SampleEvent> events) {
  sqlite3* const db = db_.get();
  floor_check(db, sqlite3_step(begin_.get()), SQLITE_DONE);
  sqlite3_reset(begin_.get());

  const auto count = static_cast<std::int64_t>(events.size());
  const Head head = move_head(stream_id, count, now_in_microseconds());
  std::int64_t version = head.version - count;
  event_ids_.resize(std::max(event_ids_.size(), events.size()));
  std::size_t done = 0;
  while (done < events.size()) {
    const bool whole = events.size() - done >= rows_per_statement_;
    const std::size_t rows = whole ? rows_per_statement_ : 1;
    sqlite3_stmt* const insert = whole ? insert_batch_.get() : insert_one_.get();
    int parameter = 0;
    for (std::size_t i = 0; i < rows; ++i, ++done) {
      event_ids_[done] = Uuid::v7();
      parameter = bind_event(insert, parameter, events[done], event_ids_[done], head, ++version);
    }
    floor_check(db, sqlite3_step(insert), SQLITE_DONE);
    sqlite3_reset(insert);
  }
  const std::int64_t position = sqlite3_last_insert_rowid(db);

  floor_check(db, sqlite3_step(commit_.get()), SQLITE_DONE);
  sqlite3_reset(commit_.get());
  return position;
}

FloorWriter::Head FloorWriter::move_head(std::string_view stream_id, std::int64_t count, std::int64_t now) {
  sqlite3* const db = db_.get();
  const std::int64_t tenant_no = name_no(default_tenant);
  const std::int64_t type_no = name_no(sample_stream_type);
  const auto bind = [&](sqlite3_stmt* statement) {
    sqlite3_bind_int64(statement, 1, tenant_no);
    sqlite3_bind_int64(statement, 2, type_no);
    bind_text(statement, 3, stream_id);
    sqlite3_bind_int64(statement, 4, count);
    sqlite3_bind_int64(statement, 5, now);
  };
  sqlite3_stmt* const update = update_stream_.get();
  bind(update);
  const int code = sqlite3_step(update);
  if (code == SQLITE_ROW) {
    const Head head{sqlite3_column_int64(update, 0), sqlite3_column_int64(update, 1), sqlite3_column_int64(update, 2)};
    sqlite3_reset(update);
    return head;
  }
  floor_check(db, code, SQLITE_DONE);
  sqlite3_reset(update);
  sqlite3_stmt* const insert = insert_stream_.get();
  bind(insert);
  floor_check(db, sqlite3_step(insert), SQLITE_DONE);
  sqlite3_reset(insert);
  return {sqlite3_last_insert_rowid(db), count, now};
}

std::int64_t FloorWriter::name_no(std::string_view name) {
  if (const auto known = name_numbers_.find(name); known != name_numbers_.end()) return known->second;
  sqlite3_stmt* const find = find_name_.get();
  bind_text(find, 1, name);
  std::int64_t number = 0;
  if (sqlite3_step(find) == SQLITE_ROW) number = sqlite3_column_int64(find, 0);
  sqlite3_reset(find);
  if (number == 0) {
    sqlite3_stmt* const insert = insert_name_.get();
    bind_text(insert, 1, name);
    floor_check(db_.get(), sqlite3_step(insert), SQLITE_DONE);
    sqlite3_reset(insert);
    number = sqlite3_last_insert_rowid(db_.get());
  }
  name_numbers_.emplace(name, number);
  return number;
}

int FloorWriter::bind_event(sqlite3_stmt* insert, int parameter, const SampleEvent& event, const Uuid& event_id,
                            const Head& head, std::int64_t version) {
  const int first = parameter + 1;
  int at = first;
  sqlite3_bind_int64(insert, at++, head.stream_no);
  sqlite3_bind_int64(insert, at++, version);
  sqlite3_bind_int64(insert, at++, name_no(default_tenant));
  sqlite3_bind_int64(insert, at++, name_no(sample_stream_type));
  bind_id(insert, at++, event_id);
  sqlite3_bind_int64(insert, at++, name_no(event.type));
  sqlite3_bind_int64(insert, at++, 1);
  sqlite3_bind_int64(insert, at++, event.occurred_at);
  sqlite3_bind_int64(insert, at++, head.recorded_at);
  bind_text(insert, at++, "user");
  bind_text(insert, at++, event.actor_id);
  sqlite3_bind_int64(insert, at++, name_no(event.source));
  bind_text(insert, at++, "api");
  bind_id(insert, at++, event.correlation_id);
  bind_text(insert, at++, "none");
  sqlite3_bind_int64(insert, at++, 0);
  sqlite3_bind_int64(insert, at++, 0);
  bind_text(insert, at++, event.data);
  return parameter + insert_columns;
}

const std::string& floor_event_columns() {
  static const std::string columns =
      "e.global_position, e.stream_version, e.event_id, e.event_type_no, e.event_version, e.occurred_at, "
      "e.recorded_at, "
      "e.valid_from, e.valid_to, e.actor_type, e.actor_id, e.source_no, e.channel, e.idempotency_key, e.causation_id, "
      "e.correlation_id, e.redaction_level, e.contains_secrets, e.attribute_count, e.data, e.metadata, "
      "e.policy_context, "
      "e.model_context, e.display, e.command_no, c.source_no, c.request_id, e.tenant_no, e.stream_type_no, s.stream_id "
      "FROM events AS e JOIN streams AS s ON s.stream_no = e.stream_no LEFT JOIN commands AS c ON c.command_no = "
      "e.command_no ";
  return columns;
}

FloorReader::FloorReader(const std::filesystem::path& path)
    : db_(path, FloorRole::reader),
      find_stream_(
          db_.get(),
          "SELECT stream_no FROM streams WHERE tenant_no = (SELECT name_no FROM names WHERE name = 'default') AND "
          "stream_type_no = (SELECT name_no FROM names WHERE name = ?1) AND stream_id = ?2"),
      select_stream_(db_.get(), "SELECT " + floor_event_columns() + "WHERE e.stream_no = ?1 ORDER BY e.stream_version"),
      select_log_(db_.get(), "SELECT " + floor_event_columns() + "ORDER BY e.global_position") {
  load_names();
}

void FloorReader::load_names() {
  const FloorStatement select(db_.get(), "SELECT name_no, name FROM names ORDER BY name_no");
  while (sqlite3_step(select.get()) == SQLITE_ROW) {
    const auto number = static_cast<std::size_t>(sqlite3_column_int64(select.get(), 0));
    names_.resize(number + 1);
    names_[number] = text_of(select.get(), 1);
  }
}

std::size_t FloorReader::read_stream(std::string_view stream_id, const Consume& consume) {
  sqlite3_stmt* const find = find_stream_.get();
  bind_text(find, 1, sample_stream_type);
  bind_text(find, 2, stream_id);
  floor_check(db_.get(), sqlite3_step(find), SQLITE_ROW);
  sqlite3_bind_int64(select_stream_.get(), 1, sqlite3_column_int64(find, 0));
  sqlite3_reset(find);
  return read(select_stream_.get(), consume);
}

std::size_t FloorReader::read_log(const Consume& consume) {
  return read(select_log_.get(), consume);
}

std::size_t FloorReader::read(sqlite3_stmt* query, const Consume& consume) {
  std::size_t count = 0;
  FloorEvent event;
  int code = SQLITE_OK;
  while ((code = sqlite3_step(query)) == SQLITE_ROW) {
    copy_row(query, event);
    consume(event);
    ++count;
  }
  floor_check(db_.get(), code, SQLITE_DONE);
  sqlite3_reset(query);
  return count;
}

void FloorReader::copy_row(sqlite3_stmt* row, FloorEvent& event) const {
  const auto optional_name = [&](int column, std::optional<std::string>& to) {
    if (sqlite3_column_type(row, column) == SQLITE_NULL) {
      to.reset();
    } else {
      to = name(sqlite3_column_int64(row, column));
    }
  };
  event.global_position = sqlite3_column_int64(row, 0);
  event.stream_version = sqlite3_column_int64(row, 1);
  copy(row, 2, event.event_id);
  event.type = name(sqlite3_column_int64(row, 3));
  event.event_version = sqlite3_column_int64(row, 4);
  event.occurred_at = sqlite3_column_int64(row, 5);
  event.recorded_at = sqlite3_column_int64(row, 6);
  copy(row, 7, event.valid_from);
  copy(row, 8, event.valid_to);
  copy(row, 9, event.actor_type);
  copy(row, 10, event.actor_id);
  optional_name(11, event.source);
  copy(row, 12, event.channel);
  copy(row, 13, event.idempotency_key);
  copy(row, 14, event.causation_id);
  copy(row, 15, event.correlation_id);
  event.redaction_level = text_of(row, 16);
  event.contains_secrets = sqlite3_column_int64(row, 17) != 0;
  event.attribute_count = sqlite3_column_int64(row, 18);
  event.data = text_of(row, 19);
  copy(row, 20, event.metadata);
  copy(row, 21, event.policy_context);
  copy(row, 22, event.model_context);
  copy(row, 23, event.display);
  copy(row, 24, event.command_no);
  optional_name(25, event.command_source);
  copy(row, 26, event.request_id);
  event.tenant = name(sqlite3_column_int64(row, 27));
  event.stream_type = name(sqlite3_column_int64(row, 28));
  event.stream_id = text_of(row, 29);
}

}  // namespace stele::bench
