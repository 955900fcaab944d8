#include "floor_postgres.h"

#include <libpq-fe.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "scratch_schema.h"

namespace stele::bench {
namespace {

// Types by their fixed oid.
constexpr unsigned boolean_type = 16;
constexpr unsigned bytea_type = 17;
constexpr unsigned int8_type = 20;
constexpr unsigned int2_type = 21;
constexpr unsigned int4_type = 23;
constexpr unsigned text_type = 25;
constexpr unsigned timestamptz_type = 1184;
constexpr unsigned uuid_type = 2950;

constexpr std::int64_t epoch_micros = 946'684'800'000'000;  // PostgreSQL counts from 2000-01-01.

unsigned array_of(unsigned type) {
  switch (type) {
    case boolean_type: return 1000;
    case int2_type: return 1005;
    case int4_type: return 1007;
    case text_type: return 1009;
    case int8_type: return 1016;
    case timestamptz_type: return 1185;
    case uuid_type: return 2951;
    default: std::abort();
  }
}

template <class Integer>
void put(std::string& out, Integer value) {
  const auto bits = static_cast<std::make_unsigned_t<Integer>>(value);
  for (int shift = static_cast<int>(sizeof(Integer)) * 8 - 8; shift >= 0; shift -= 8) {
    out += static_cast<char>(static_cast<unsigned char>(bits >> shift));
  }
}

void put(std::string& out, const Uuid& id) {
  out.append(reinterpret_cast<const char*>(id.bytes().data()), id.bytes().size());
}

[[noreturn]] void fail(const char* message) {
  std::fprintf(stderr, "floor: libpq answered: %s\n", message);
  std::abort();
}

/// The columns of samples as arrays, in the order in which append() and the floor's INSERT take them.
class SampleColumns {
 public:
  SampleColumns(FloorParameters& to, std::span<const SampleEvent> events) : to_(to), events_(events) {}

  void ids() {
    each(uuid_type, [](const SampleEvent&, std::string& out) { put(out, Uuid::v7()); });
  }
  void types() {
    each(text_type, [](const SampleEvent& event, std::string& out) { out += event.type; });
  }
  void versions() {
    each(int4_type, [](const SampleEvent&, std::string& out) { put(out, std::int32_t{1}); });
  }
  void occurred() {
    each(timestamptz_type,
         [](const SampleEvent& event, std::string& out) { put(out, event.occurred_at - epoch_micros); });
  }
  void same(std::string_view text) {
    each(text_type, [text](const SampleEvent&, std::string& out) { out += text; });
  }
  void actor_ids() {
    each(text_type, [](const SampleEvent& event, std::string& out) { out += event.actor_id; });
  }
  void sources() {
    each(text_type, [](const SampleEvent& event, std::string& out) { out += event.source; });
  }
  void correlations() {
    each(uuid_type, [](const SampleEvent& event, std::string& out) { put(out, event.correlation_id); });
  }
  void no_secrets() {
    each(boolean_type, [](const SampleEvent&, std::string& out) { out += '\0'; });
  }
  void datas() {
    each(text_type, [](const SampleEvent& event, std::string& out) { out += event.data; });
  }
  void no_attributes() {
    each(int2_type, [](const SampleEvent&, std::string& out) { put(out, std::int16_t{0}); });
  }
  void first_stream() {
    each(int4_type, [](const SampleEvent&, std::string& out) { put(out, std::int32_t{1}); });
  }
  void nulls(unsigned type, int columns) {
    for (int i = 0; i < columns; ++i) to_.array(type, events_.size(), [](std::size_t, std::string&) { return false; });
  }

 private:
  template <class Put>
  void each(unsigned type, Put put_one) {
    to_.array(type, events_.size(), [&](std::size_t i, std::string& out) {
      put_one(events_[i], out);
      return true;
    });
  }

  FloorParameters& to_;
  std::span<const SampleEvent> events_;
};

FloorParameters insert_parameters(std::string_view stream_id, std::span<const SampleEvent> events) {
  FloorParameters parameters;
  parameters.text(sample_stream_type).text(stream_id).int4(static_cast<std::int32_t>(events.size()));
  SampleColumns columns(parameters, events);
  columns.ids();
  columns.types();
  columns.versions();
  columns.occurred();
  columns.same("user");
  columns.actor_ids();
  columns.sources();
  columns.same("api");
  columns.correlations();
  columns.same("none");
  columns.no_secrets();
  columns.datas();
  return parameters;
}

// Columns that the samples leave empty are not there; positions come from the sequence.
std::string insert_sql(const std::string& table) {
  return "WITH head AS ("
         "INSERT INTO streams (tenant_id, stream_type, stream_id, version, created_at, last_recorded_at) "
         "VALUES ('default', $1, $2, $3, clock_timestamp(), clock_timestamp()) "
         "ON CONFLICT (tenant_id, stream_type, stream_id) DO UPDATE SET version = streams.version + $3, "
         "last_recorded_at = greatest(clock_timestamp(), streams.last_recorded_at) "
         "RETURNING stream_no, version - $3 AS base, last_recorded_at) "
         "INSERT INTO " +
         table +
         " (stream_no, stream_version, tenant_id, stream_type, event_id, event_type, event_version, occurred_at, "
         "recorded_at, actor_type, actor_id, source, channel, correlation_id, redaction_level, contains_secrets, data) "
         "SELECT h.stream_no, h.base + e.i, 'default', $1, e.id, e.type, e.version, e.occurred, h.last_recorded_at, "
         "e.actor_type, e.actor_id, e.source, e.channel, e.correlation, e.redaction, e.secret, e.data::jsonb "
         "FROM head AS h, unnest($4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15) WITH ORDINALITY "
         "AS e (id, type, version, occurred, actor_type, actor_id, source, channel, correlation, redaction, secret, "
         "data, i)";
}

std::string call_sql(std::size_t parameters) {
  std::string sql =
      "SELECT status, detail, outcome, conflict_index, actual_version, base_versions, first_positions, last_positions "
      "FROM append(";
  for (std::size_t i = 1; i <= parameters; ++i) sql += (i == 1 ? "$" : ", $") + std::to_string(i);
  return sql + ")";
}

std::string read_sql(const std::string& table, const std::string& where_and_order) {
  return "SELECT e.global_position, e.stream_version, e.event_id, e.event_type, e.event_version, e.occurred_at, "
         "e.recorded_at, e.valid_from, e.valid_to, e.actor_type, e.actor_id, e.source, e.channel, e.idempotency_key, "
         "e.causation_id, e.correlation_id, e.redaction_level, e.contains_secrets, e.attribute_count, e.data, "
         "e.metadata, e.policy_context, e.model_context, e.display, e.command_no, c.source, c.request_id, e.tenant_id, "
         "e.stream_type, s.stream_id FROM " +
         table +
         " AS e JOIN streams AS s ON s.stream_no = e.stream_no "
         "LEFT JOIN commands AS c ON c.command_no = e.command_no " +
         where_and_order;
}

/// One row of a result, as copy_row() of the floor on SQLite does it.
class Row {
 public:
  Row(const pg_result* rows, int row) : rows_(rows), row_(row) {}

  std::string_view bytes(int column) const {
    return {PQgetvalue(rows_, row_, column), static_cast<std::size_t>(PQgetlength(rows_, row_, column))};
  }
  bool null(int column) const { return PQgetisnull(rows_, row_, column) != 0; }
  std::int64_t integer(int column) const {
    const std::string_view value = bytes(column);
    std::uint64_t bits = 0;
    for (const char c : value) bits = bits << 8 | static_cast<unsigned char>(c);
    return static_cast<std::int64_t>(bits);  // The samples have no negative ones.
  }
  std::int64_t time(int column) const { return integer(column) + epoch_micros; }
  std::string_view json(int column) const { return bytes(column).substr(1); }

  void copy(int column, std::optional<std::string>& to) const { copy_text(column, to, 0); }
  void copy_json(int column, std::optional<std::string>& to) const { copy_text(column, to, 1); }
  void copy_time(int column, std::optional<std::int64_t>& to) const {
    if (null(column)) {
      to.reset();
    } else {
      to = time(column);
    }
  }
  void copy(int column, std::array<unsigned char, 16>& to) const {
    std::memcpy(to.data(), bytes(column).data(), to.size());
  }
  void copy(int column, std::optional<std::array<unsigned char, 16>>& to) const {
    if (null(column)) {
      to.reset();
    } else {
      copy(column, to.emplace());
    }
  }

 private:
  void copy_text(int column, std::optional<std::string>& to, std::size_t skip) const {
    if (null(column)) {
      to.reset();
    } else if (to) {
      to->assign(bytes(column).substr(skip));
    } else {
      to.emplace(bytes(column).substr(skip));
    }
  }

  const pg_result* rows_;
  int row_;
};

void copy_row(const Row& row, FloorEvent& event) {
  event.global_position = row.integer(0);
  event.stream_version = row.integer(1);
  row.copy(2, event.event_id);
  event.type = row.bytes(3);
  event.event_version = row.integer(4);
  event.occurred_at = row.time(5);
  event.recorded_at = row.time(6);
  row.copy_time(7, event.valid_from);
  row.copy_time(8, event.valid_to);
  row.copy(9, event.actor_type);
  row.copy(10, event.actor_id);
  row.copy(11, event.source);
  row.copy(12, event.channel);
  row.copy(13, event.idempotency_key);
  row.copy(14, event.causation_id);
  row.copy(15, event.correlation_id);
  event.redaction_level = row.bytes(16);
  event.contains_secrets = row.integer(17) != 0;
  event.attribute_count = row.integer(18);
  event.data = row.json(19);
  row.copy_json(20, event.metadata);
  row.copy_json(21, event.policy_context);
  row.copy_json(22, event.model_context);
  row.copy_json(23, event.display);
  if (row.null(24)) {
    event.command_no.reset();
  } else {
    event.command_no = row.integer(24);
  }
  row.copy(25, event.command_source);
  row.copy(26, event.request_id);
  event.tenant = row.bytes(27);
  event.stream_type = row.bytes(28);
  event.stream_id = row.bytes(29);
}

/// Page after page, until one is not full. `after` gives the key behind which the next page begins.
template <class Request, class After>
std::size_t read_pages(const FloorPostgres& connection, const char* statement, Request request, After after,
                       const FloorPages::Consume& consume) {
  FloorEvent event;
  std::size_t count = 0;
  std::int64_t last = 0;
  std::int64_t size = FloorPages::first_page;
  for (;;) {
    const FloorPostgres::Rows page = connection.execute(statement, request(last, size));
    const int rows = PQntuples(page.get());
    for (int i = 0; i < rows; ++i) {
      copy_row(Row(page.get(), i), event);
      consume(event);
    }
    count += static_cast<std::size_t>(rows);
    if (rows < size) return count;
    last = after(event);
    size = std::min(2 * size, FloorPages::largest_page);
  }
}

}  // namespace

FloorParameters& FloorParameters::add(unsigned type, std::string value, bool null) {
  types_.push_back(type);
  values_.push_back(std::move(value));
  nulls_.push_back(null);
  return *this;
}

FloorParameters& FloorParameters::null(unsigned type) {
  return add(type, {}, true);
}

FloorParameters& FloorParameters::text(std::string_view value) {
  return add(text_type, std::string(value), false);
}

FloorParameters& FloorParameters::int4(std::int32_t value) {
  std::string bytes;
  put(bytes, value);
  return add(int4_type, std::move(bytes), false);
}

FloorParameters& FloorParameters::int8(std::int64_t value) {
  std::string bytes;
  put(bytes, value);
  return add(int8_type, std::move(bytes), false);
}

FloorParameters& FloorParameters::array(unsigned element_type, std::size_t count,
                                        const std::function<bool(std::size_t, std::string&)>& element) {
  std::string bytes;
  put(bytes, std::int32_t{count == 0 ? 0 : 1});
  put(bytes, std::int32_t{1});  // There may be NULLs.
  put(bytes, static_cast<std::int32_t>(element_type));
  if (count > 0) {
    put(bytes, static_cast<std::int32_t>(count));
    put(bytes, std::int32_t{1});
  }
  std::string one;
  for (std::size_t i = 0; i < count; ++i) {
    one.clear();
    if (element(i, one)) {
      put(bytes, static_cast<std::int32_t>(one.size()));
      bytes += one;
    } else {
      put(bytes, std::int32_t{-1});
    }
  }
  return add(array_of(element_type), std::move(bytes), false);
}

void FloorPostgres::Clear::operator()(pg_result* result) const noexcept {
  PQclear(result);
}

void FloorPostgres::Close::operator()(pg_conn* connection) const noexcept {
  PQfinish(connection);
}

FloorPostgres::FloorPostgres(const std::string& schema) : connection_(PQconnectdb(postgres_url().c_str())) {
  if (PQstatus(connection_.get()) != CONNECTION_OK) fail(PQerrorMessage(connection_.get()));
  run("SET client_min_messages = warning; SET search_path = " + schema + ", pg_temp");
}

void FloorPostgres::run(const std::string& script) const {
  const Rows answer(PQexec(connection_.get(), script.c_str()));
  const ExecStatusType status = PQresultStatus(answer.get());
  if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK) fail(PQerrorMessage(connection_.get()));
}

std::string FloorPostgres::value(const std::string& query) const {
  const Rows answer(PQexec(connection_.get(), query.c_str()));
  if (PQntuples(answer.get()) != 1) fail(PQerrorMessage(connection_.get()));
  return PQgetvalue(answer.get(), 0, 0);
}

void FloorPostgres::prepare(const char* name, const std::string& sql, const std::vector<unsigned>& types) const {
  const Rows answer(PQprepare(connection_.get(), name, sql.c_str(), static_cast<int>(types.size()), types.data()));
  if (PQresultStatus(answer.get()) != PGRES_COMMAND_OK) fail(PQerrorMessage(connection_.get()));
}

FloorPostgres::Rows FloorPostgres::execute(const char* name, const FloorParameters& parameters) const {
  const std::size_t count = parameters.values().size();
  std::vector<const char*> values(count);
  std::vector<int> lengths(count);
  const std::vector<int> formats(count, 1);
  for (std::size_t i = 0; i < count; ++i) {
    values[i] = parameters.nulls()[i] ? nullptr : parameters.values()[i].data();
    lengths[i] = static_cast<int>(parameters.values()[i].size());
  }
  Rows answer(PQexecPrepared(connection_.get(), name, static_cast<int>(count), values.data(), lengths.data(),
                             formats.data(), 1));
  const ExecStatusType status = PQresultStatus(answer.get());
  if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK) fail(PQerrorMessage(connection_.get()));
  return answer;
}

FloorCalls::FloorCalls(const std::string& schema) : connection_(schema) {
  const FloorParameters parameters = FloorCalls::parameters("", {});
  connection_.prepare("append", call_sql(parameters.types().size()), parameters.types());
}

FloorParameters FloorCalls::parameters(std::string_view stream_id, std::span<const SampleEvent> events) {
  FloorParameters parameters;
  const auto one = [&](unsigned type, auto put_one) {
    parameters.array(type, 1, [&](std::size_t, std::string& out) {
      put_one(out);
      return true;
    });
  };
  const auto nothing = [](std::size_t, std::string&) { return false; };
  parameters.text(default_tenant);
  one(text_type, [](std::string& out) { out += sample_stream_type; });
  one(text_type, [&](std::string& out) { out += stream_id; });
  one(int2_type, [](std::string& out) { put(out, std::int16_t{0}); });  // Any version.
  one(int8_type, [](std::string& out) { put(out, std::int64_t{0}); });
  one(int4_type, [&](std::string& out) { put(out, static_cast<std::int32_t>(events.size())); });
  parameters.int4(1);
  parameters.null(text_type).null(text_type).null(uuid_type).null(boolean_type);  // No command.
  for (int i = 0; i < 7; ++i) parameters.null(text_type);
  parameters.null(bytea_type);
  parameters.array(uuid_type, 0, nothing);  // No ids of the caller's.
  SampleColumns columns(parameters, events);
  columns.first_stream();
  columns.ids();
  columns.types();
  columns.versions();
  columns.occurred();
  columns.nulls(timestamptz_type, 2);
  columns.same("user");
  columns.actor_ids();
  columns.sources();
  columns.same("api");
  columns.nulls(text_type, 1);
  columns.nulls(uuid_type, 1);
  columns.correlations();
  columns.same("none");
  columns.no_secrets();
  columns.datas();
  columns.nulls(text_type, 4);
  columns.no_attributes();
  parameters.array(int4_type, 0, nothing).array(text_type, 0, nothing).array(text_type, 0, nothing);
  return parameters;
}

void FloorCalls::append(const FloorParameters& parameters) const {
  const FloorPostgres::Rows answer = connection_.execute("append", parameters);
  if (std::string_view(PQgetvalue(answer.get(), 0, 0)) != "appended") fail("append() refused");
}

FloorInserts::FloorInserts(const std::string& schema, Table table) : connection_(schema) {
  const std::string name = table == Table::bare ? "bare_events" : "events";
  if (table == Table::bare) connection_.run("CREATE TABLE bare_events (LIKE events INCLUDING ALL)");
  connection_.prepare("insert", insert_sql(name), insert_parameters("", {}).types());
}

void FloorInserts::append(std::string_view stream_id, std::span<const SampleEvent> events) {
  connection_.execute("insert", insert_parameters(stream_id, events));
}

FloorPages::FloorPages(const std::string& schema, const std::string& table) : connection_(schema) {
  // The stream's number from a subquery: with a join the planner does not see that the index has the order already, and
  // reads and sorts all the rest of the stream for each page.
  connection_.prepare(
      "stream",
      read_sql(table,
               "WHERE e.stream_no = (SELECT stream_no FROM streams WHERE tenant_id = 'default' AND stream_type = $1 "
               "AND stream_id = $2) AND e.stream_version > $3 ORDER BY e.stream_version LIMIT $4"),
      {text_type, text_type, int8_type, int8_type});
  connection_.prepare("log", read_sql(table, "WHERE e.global_position > $1 ORDER BY e.global_position LIMIT $2"),
                      {int8_type, int8_type});
}

std::size_t FloorPages::read_stream(std::string_view stream_id, const Consume& consume) {
  return read_pages(
      connection_, "stream",
      [&](std::int64_t last, std::int64_t size) {
        return FloorParameters().text(sample_stream_type).text(stream_id).int8(last).int8(size);
      },
      [](const FloorEvent& event) { return event.stream_version; }, consume);
}

std::size_t FloorPages::read_log(const Consume& consume) {
  return read_pages(
      connection_, "log", [](std::int64_t last, std::int64_t size) { return FloorParameters().int8(last).int8(size); },
      [](const FloorEvent& event) { return event.global_position; }, consume);
}

}  // namespace stele::bench
