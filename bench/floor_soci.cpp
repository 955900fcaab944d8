#include "floor_soci.h"

#include <soci/soci.h>
#include <soci/sqlite3/soci-sqlite3.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <map>
#include <string>
#include <vector>

namespace stele::bench {
namespace {

/// With the pragmas that the store uses in this role.
class Session : public soci::session {
 public:
  Session(const std::filesystem::path& path, FloorRole role) : soci::session(soci::sqlite3, "dbname=" + path.string()) {
    *this << "PRAGMA foreign_keys = ON";
    *this << "PRAGMA temp_store = MEMORY";
    if (role == FloorRole::writer) {
      *this << "PRAGMA cache_size = -16000";
      *this << "PRAGMA synchronous = FULL";
    } else {
      *this << "PRAGMA cache_size = -8000";
      *this << "PRAGMA query_only = ON";
    }
  }
};

std::string bytes_of(const Uuid& id) {
  return {reinterpret_cast<const char*>(id.bytes().data()), id.bytes().size()};
}

void copy_id(const std::string& bytes, std::array<unsigned char, 16>& to) {
  std::memcpy(to.data(), bytes.data(), std::min(bytes.size(), to.size()));
}

/// A column that may be NULL, as SOCI gives it: a value and an indicator.
template <class Value>
struct Column {
  Value value{};
  soci::indicator indicator = soci::i_null;
  bool is_null() const noexcept { return indicator == soci::i_null; }
  void copy_to(std::optional<Value>& to) const {
    if (is_null()) {
      to.reset();
    } else {
      to = value;
    }
  }
};

template <class Value>
auto into_column(Column<Value>& column) {
  return soci::into(column.value, column.indicator);
}

}  // namespace

// Ids are bound as text and cast: SOCI's own blobs cost an allocation and two copies more. Columns that a sample leaves
// empty are left out of the INSERT.
struct SociWriter::State {
  Session session;
  soci::statement begin;
  soci::statement commit;
  soci::statement update_stream;
  soci::statement insert_stream;
  soci::statement insert_event;

  long long tenant_no = 0;
  long long type_no = 0;
  std::string stream_id;
  long long count = 0;
  long long now = 0;
  long long stream_no = 0;
  long long head_version = 0;
  long long recorded_at = 0;

  long long version = 0;
  std::string event_id;
  long long event_type_no = 0;
  int event_version = 1;
  long long occurred_at = 0;
  std::string actor_type = "user";
  std::string actor_id;
  long long source_no = 0;
  std::string channel = "api";
  std::string correlation_id;
  std::string redaction_level = "none";
  int contains_secrets = 0;
  int attribute_count = 0;
  std::string data;
  std::map<std::string, long long, std::less<>> names;

  explicit State(const std::filesystem::path& path)
      : session(path, FloorRole::writer),
        begin(session.prepare << "BEGIN IMMEDIATE"),
        commit(session.prepare << "COMMIT"),
        update_stream((session.prepare << "UPDATE streams SET version = version + :count, "
                                          "last_recorded_at = max(:now, last_recorded_at) "
                                          "WHERE tenant_no = :tenant AND stream_type_no = :type AND stream_id = :id "
                                          "RETURNING stream_no, version, last_recorded_at",
                       soci::use(count, "count"), soci::use(now, "now"), soci::use(tenant_no, "tenant"),
                       soci::use(type_no, "type"), soci::use(stream_id, "id"), soci::into(stream_no),
                       soci::into(head_version), soci::into(recorded_at))),
        insert_stream(
            (session.prepare << "INSERT INTO streams (tenant_no, stream_type_no, stream_id, version, created_at, "
                                "last_recorded_at) VALUES (:tenant, :type, :id, :count, :now, :now) "
                                "RETURNING stream_no, version, last_recorded_at",
             soci::use(tenant_no, "tenant"), soci::use(type_no, "type"), soci::use(stream_id, "id"),
             soci::use(count, "count"), soci::use(now, "now"), soci::into(stream_no), soci::into(head_version),
             soci::into(recorded_at))),
        insert_event(
            (session.prepare
                 << "INSERT INTO events (stream_no, stream_version, tenant_no, stream_type_no, event_id, "
                    "event_type_no, event_version, occurred_at, recorded_at, actor_type, actor_id, source_no, "
                    "channel, correlation_id, redaction_level, contains_secrets, attribute_count, data) VALUES "
                    "(:a, :b, :c, :d, CAST(:e AS BLOB), :f, :g, :h, :i, :j, :k, :l, :m, CAST(:n AS BLOB), :o, "
                    ":p, :q, :r)",
             soci::use(stream_no), soci::use(version), soci::use(tenant_no), soci::use(type_no), soci::use(event_id),
             soci::use(event_type_no), soci::use(event_version), soci::use(occurred_at), soci::use(recorded_at),
             soci::use(actor_type), soci::use(actor_id), soci::use(source_no), soci::use(channel),
             soci::use(correlation_id), soci::use(redaction_level), soci::use(contains_secrets),
             soci::use(attribute_count), soci::use(data))) {
    tenant_no = name_no(default_tenant);
    type_no = name_no(sample_stream_type);
  }

  /// Whether there was a row. SOCI stops at the first one; a statement that has not come to its end blocks COMMIT.
  static bool execute_returning(soci::statement& statement) {
    if (!statement.execute(true)) return false;
    statement.fetch();
    return true;
  }

  long long name_no(std::string_view name) {
    if (const auto known = names.find(name); known != names.end()) return known->second;
    const std::string text(name);
    long long number = 0;
    session << "SELECT name_no FROM names WHERE name = :name", soci::use(text), soci::into(number);
    if (!session.got_data()) {
      session << "INSERT INTO names (name) VALUES (:name) RETURNING name_no", soci::use(text), soci::into(number);
    }
    names.emplace(text, number);
    return number;
  }
};

SociWriter::SociWriter(const std::filesystem::path& path) : state_(std::make_unique<State>(path)) {}
SociWriter::~SociWriter() = default;

void SociWriter::append(std::string_view stream_id, std::span<const SampleEvent> events) {
  State& s = *state_;
  s.begin.execute(true);
  s.stream_id = stream_id;
  s.count = static_cast<long long>(events.size());
  s.now = std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::system_clock::now().time_since_epoch())
              .count();
  if (!State::execute_returning(s.update_stream)) State::execute_returning(s.insert_stream);
  s.version = s.head_version - s.count;
  for (const SampleEvent& event : events) {
    ++s.version;
    s.event_id = bytes_of(Uuid::v7());
    s.event_type_no = s.name_no(event.type);
    s.occurred_at = event.occurred_at;
    s.actor_id = event.actor_id;
    s.source_no = s.name_no(event.source);
    s.correlation_id = bytes_of(event.correlation_id);
    s.data = event.data;
    s.insert_event.execute(true);
  }
  s.commit.execute(true);
}

struct SociReader::State {
  Session session;
  std::vector<std::string> names;

  long long position = 0;
  long long version = 0;
  std::string event_id;
  long long event_type_no = 0;
  long long event_version = 0;
  long long occurred_at = 0;
  long long recorded_at = 0;
  Column<long long> valid_from;
  Column<long long> valid_to;
  Column<std::string> actor_type;
  Column<std::string> actor_id;
  Column<long long> source_no;
  Column<std::string> channel;
  Column<std::string> idempotency_key;
  Column<std::string> causation_id;
  Column<std::string> correlation_id;
  std::string redaction_level;
  long long contains_secrets = 0;
  long long attribute_count = 0;
  std::string data;
  Column<std::string> metadata;
  Column<std::string> policy_context;
  Column<std::string> model_context;
  Column<std::string> display;
  Column<long long> command_no;
  Column<long long> command_source_no;
  Column<std::string> request_id;
  long long tenant_no = 0;
  long long stream_type_no = 0;
  std::string stream_id;
  soci::statement select;

  explicit State(const std::filesystem::path& path)
      : session(path, FloorRole::reader),
        select((session.prepare << "SELECT " + floor_event_columns() + "ORDER BY e.global_position",
                soci::into(position), soci::into(version), soci::into(event_id), soci::into(event_type_no),
                soci::into(event_version), soci::into(occurred_at), soci::into(recorded_at), into_column(valid_from),
                into_column(valid_to), into_column(actor_type), into_column(actor_id), into_column(source_no),
                into_column(channel), into_column(idempotency_key), into_column(causation_id),
                into_column(correlation_id), soci::into(redaction_level), soci::into(contains_secrets),
                soci::into(attribute_count), soci::into(data), into_column(metadata), into_column(policy_context),
                into_column(model_context), into_column(display), into_column(command_no),
                into_column(command_source_no), into_column(request_id), soci::into(tenant_no),
                soci::into(stream_type_no), soci::into(stream_id))) {
    long long number = 0;
    std::string name;
    soci::statement list =
        (session.prepare << "SELECT name_no, name FROM names ORDER BY name_no", soci::into(number), soci::into(name));
    list.execute();
    while (list.fetch()) {
      names.resize(static_cast<std::size_t>(number) + 1);
      names[static_cast<std::size_t>(number)] = name;
    }
  }

  const std::string& name(long long number) const { return names.at(static_cast<std::size_t>(number)); }

  static void copy_number(const Column<long long>& from, std::optional<std::int64_t>& to) {
    to = from.is_null() ? std::nullopt : std::optional<std::int64_t>(from.value);
  }

  static void copy_optional_id(const Column<std::string>& from, std::optional<std::array<unsigned char, 16>>& to) {
    to.reset();
    if (!from.is_null()) copy_id(from.value, to.emplace());
  }

  void copy_optional_name(const Column<long long>& from, std::optional<std::string>& to) const {
    if (from.is_null()) {
      to.reset();
    } else {
      to = name(from.value);
    }
  }

  void copy_to(FloorEvent& event) const {
    event.global_position = position;
    event.stream_version = version;
    copy_id(event_id, event.event_id);
    event.type = name(event_type_no);
    event.event_version = event_version;
    event.occurred_at = occurred_at;
    event.recorded_at = recorded_at;
    copy_number(valid_from, event.valid_from);
    copy_number(valid_to, event.valid_to);
    actor_type.copy_to(event.actor_type);
    actor_id.copy_to(event.actor_id);
    copy_optional_name(source_no, event.source);
    channel.copy_to(event.channel);
    idempotency_key.copy_to(event.idempotency_key);
    copy_optional_id(causation_id, event.causation_id);
    copy_optional_id(correlation_id, event.correlation_id);
    event.redaction_level = redaction_level;
    event.contains_secrets = contains_secrets != 0;
    event.attribute_count = attribute_count;
    event.data = data;
    metadata.copy_to(event.metadata);
    policy_context.copy_to(event.policy_context);
    model_context.copy_to(event.model_context);
    display.copy_to(event.display);
    copy_number(command_no, event.command_no);
    copy_optional_name(command_source_no, event.command_source);
    request_id.copy_to(event.request_id);
    event.tenant = name(tenant_no);
    event.stream_type = name(stream_type_no);
    event.stream_id = stream_id;
  }
};

SociReader::SociReader(const std::filesystem::path& path) : state_(std::make_unique<State>(path)) {}
SociReader::~SociReader() = default;

std::size_t SociReader::read_log(const FloorReader::Consume& consume) {
  State& s = *state_;
  FloorEvent event;
  std::size_t count = 0;
  s.select.execute();
  while (s.select.fetch()) {
    s.copy_to(event);
    consume(event);
    ++count;
  }
  return count;
}

}  // namespace stele::bench
