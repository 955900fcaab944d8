#include "append.h"

#include <algorithm>
#include <array>
#include <list>
#include <map>
#include <string>

#include "errors.h"
#include "event_row.h"
#include "stele/driver/outcome.h"
#include "stele/driver/replay.h"

namespace stele::sqlite {
namespace {

using driver::ExistingEvent;
using driver::PreparedAppend;
using driver::PreparedEvent;
using driver::PreparedStream;

struct Head {
  std::optional<std::int64_t> stream_no;  // Absent for a stream that does not exist.
  std::int64_t tenant_no = 0;
  std::int64_t type_no = 0;
  Version version;
};

/// A row of `events` to insert; the texts belong to the request.
struct Row {
  const PreparedEvent* event;
  std::int64_t position;
  std::int64_t stream_no;
  std::int64_t version;
  std::int64_t tenant_no;
  std::int64_t stream_type_no;
  std::int64_t event_type_no;
  std::optional<std::int64_t> source_no;
};

// One statement inserts up to 64 rows. The triggers make SQLite copy every page that a statement changes, so fewer
// statements halve the time of a batch; see docs/decisions/0003.
constexpr std::array<std::size_t, 4> rows_per_statement{64, 16, 4, 1};
constexpr int event_columns_count = 28;

std::string insert_events_sql(std::size_t rows) {
  std::string sql =
      "INSERT INTO events (global_position, stream_no, stream_version, tenant_no, stream_type_no, event_id, "
      "event_type_no, "
      "event_version, occurred_at, recorded_at, valid_from, valid_to, actor_type, actor_id, source_no, channel, "
      "command_no, "
      "idempotency_key, causation_id, correlation_id, attribute_count, data, metadata, policy_context, model_context, "
      "display, "
      "redaction_level, contains_secrets) VALUES ";
  for (std::size_t row = 0; row < rows; ++row) {
    sql += row == 0 ? "(" : ", (";
    for (int i = 0; i < event_columns_count; ++i) sql += i == 0 ? "?" : ", ?";
    sql += ")";
  }
  return sql;
}

const std::string& insert_events(std::size_t rows) {
  static const std::map<std::size_t, std::string> sql = [] {
    std::map<std::size_t, std::string> made;
    for (const std::size_t size : rows_per_statement) made.emplace(size, insert_events_sql(size));
    return made;
  }();
  return sql.at(rows);
}

class Append {
 public:
  Append(Session& session, LogEnd& log_end, const PreparedAppend& append)
      : session_(session), names_(session.names()), log_end_(log_end), append_(append) {}

  AppendResult run() {
    if (append_.command) {
      if (auto known = find_known_command(*append_.command)) return std::move(*known);
    }
    if (auto replay = find_existing_events()) return std::move(*replay);
    if (auto conflict = find_conflict()) return std::move(*conflict);
    return write();
  }

 private:
  std::optional<AppendResult> find_known_command(const driver::PreparedCommand& command) {
    const CommandKey& key = command.command->key;
    const auto tenant_no = names_.find(key.tenant);
    const auto source_no = names_.find(key.source);
    AppendResult result;
    if (tenant_no && source_no) {
      const Use query = session_.use(
          "SELECT fingerprint, outcome FROM commands WHERE tenant_no = ?1 AND source_no = ?2 AND request_id = ?3");
      query->bind(1, *tenant_no);
      query->bind(2, *source_no);
      query->bind(3, key.request_id);
      if (query->step()) {
        const std::string_view wanted(reinterpret_cast<const char*>(command.fingerprint.data()),
                                      command.fingerprint.size());
        if (query->blob(0) == wanted) {
          result.status = AppendStatus::replayed;
          result.streams = driver::outcome_from_json(query->text(1), key.tenant);
        } else {
          result.status = AppendStatus::request_id_reused;
          result.detail = "request " + key.source + ":" + key.request_id + " was made before with another content";
        }
        return result;
      }
    }
    if (command.command_id_given) {
      const Use query = session_.use("SELECT 1 FROM commands WHERE command_id = ?1");
      query->bind(1, command.command_id);
      if (query->step()) {
        result.status = AppendStatus::request_id_reused;
        result.detail = "command id " + command.command_id.to_string() + " belongs to another request";
        return result;
      }
    }
    return std::nullopt;
  }

  /// Step 2 of the contract. Only ids that the caller gave can be there, so most appends look nothing up.
  std::optional<AppendResult> find_existing_events() {
    std::list<RecordedEvent> found_events;
    std::vector<ExistingEvent> found;
    for (std::size_t s = 0; s < append_.streams.size(); ++s) {
      const PreparedStream& stream = append_.streams[s];
      for (std::size_t e = 0; e < stream.events.size(); ++e) {
        const PreparedEvent& event = stream.events[e];
        ExistingEvent existing{s, e, nullptr, nullptr};
        if (event.event_id_given) {
          static const std::string sql = "SELECT " + std::string(event_columns) + "FROM events AS e " +
                                         std::string(event_joins) + "WHERE e.event_id = ?1";
          const Use query = session_.use(sql);
          query->bind(1, event.event_id);
          existing.by_id = read_found(*query, found_events);
        }
        if (event.event->idempotency_key && head(*stream.key).stream_no) {
          static const std::string sql = "SELECT " + std::string(event_columns) + "FROM events AS e " +
                                         std::string(event_joins) + "WHERE e.stream_no = ?1 AND e.idempotency_key = ?2";
          const Use query = session_.use(sql);
          query->bind(1, *head(*stream.key).stream_no);
          query->bind(2, *event.event->idempotency_key);
          existing.by_key = read_found(*query, found_events);
        }
        if (existing.by_id != nullptr || existing.by_key != nullptr) found.push_back(existing);
      }
    }
    if (found.empty()) return std::nullopt;
    return driver::decide_replay(append_, found, [this](const StreamKey& key) { return head(key).version; });
  }

  const RecordedEvent* read_found(Statement& query, std::list<RecordedEvent>& events) {
    if (!query.step()) return nullptr;
    read_event_row(session_, query, events.emplace_back());
    return &events.back();
  }

  std::optional<AppendResult> find_conflict() {
    AppendResult result;
    result.status = AppendStatus::conflict;
    const auto holds = [&](const StreamKey& key, ExpectedVersion expected) {
      const Version actual = head(key).version;
      if (expected.holds_for(actual)) return true;
      result.conflict = VersionConflict{key, expected, actual};
      return false;
    };
    for (const PreparedStream& stream : append_.streams) {
      if (!holds(*stream.key, stream.expected)) return result;
    }
    for (const StreamCondition& condition : append_.conditions) {
      if (!holds(condition.stream, condition.expected)) return result;
    }
    return std::nullopt;
  }

  Head& head(const StreamKey& key) {
    const auto known = heads_.find(&key);
    if (known != heads_.end()) return known->second;
    Head found;
    const auto tenant_no = names_.find(key.tenant);
    const auto type_no = names_.find(key.type);
    if (tenant_no && type_no) {
      const Use query = session_.use(
          "SELECT stream_no, version FROM streams WHERE tenant_no = ?1 AND stream_type_no = ?2 AND stream_id = ?3");
      query->bind(1, *tenant_no);
      query->bind(2, *type_no);
      query->bind(3, key.id);
      if (query->step()) {
        found.stream_no = query->int64(0);
        found.tenant_no = *tenant_no;
        found.type_no = *type_no;
        found.version = Version(query->int64(1));
      }
    }
    return heads_.emplace(&key, found).first->second;
  }

  AppendResult write() {
    AppendResult result;
    std::vector<Row> rows;
    for (const PreparedStream& stream : append_.streams) {
      Head& at = head(*stream.key);
      StreamOutcome& outcome = result.streams.emplace_back();
      outcome.stream = *stream.key;
      outcome.first_version = Version(at.version.value() + 1);
      outcome.last_version = Version(at.version.value() + static_cast<std::int64_t>(stream.events.size()));
      if (stream.events.empty()) continue;
      move_head(*stream.key, at, outcome.last_version);
      std::int64_t version = outcome.first_version.value();
      for (const PreparedEvent& event : stream.events) {
        Row& row = rows.emplace_back();
        row.event = &event;
        row.position = log_end_.next_position().value();
        row.stream_no = *at.stream_no;
        row.version = version++;
        row.tenant_no = at.tenant_no;
        row.stream_type_no = at.type_no;
        row.event_type_no = names_.find_or_add(event.event->type);
        if (event.source != nullptr) row.source_no = names_.find_or_add(*event.source);
        if (outcome.first_position == Position()) outcome.first_position = Position(row.position);
        outcome.last_position = Position(row.position);
      }
    }
    // The command first: its number goes into the events.
    if (append_.command) command_no_ = insert_command(*append_.command, result.streams);
    insert(rows);
    return result;
  }

  void move_head(const StreamKey& key, Head& at, Version version) {
    if (at.stream_no) {
      const Use update = session_.use("UPDATE streams SET version = ?2, last_recorded_at = ?3 WHERE stream_no = ?1");
      update->bind(1, *at.stream_no);
      update->bind(2, version.value());
      update->bind(3, log_end_.recorded_at());
      update->step();
      return;
    }
    at.tenant_no = names_.find_or_add(key.tenant);
    at.type_no = names_.find_or_add(key.type);
    const Use insert = session_.use(
        "INSERT INTO streams (tenant_no, stream_type_no, stream_id, version, created_at, last_recorded_at) "
        "VALUES (?1, ?2, ?3, ?4, ?5, ?5) RETURNING stream_no");
    insert->bind(1, at.tenant_no);
    insert->bind(2, at.type_no);
    insert->bind(3, key.id);
    insert->bind(4, version.value());
    insert->bind(5, log_end_.recorded_at());
    insert->step();
    at.stream_no = insert->int64(0);
  }

  std::int64_t insert_command(const driver::PreparedCommand& prepared, const std::vector<StreamOutcome>& outcome) {
    const Command& command = *prepared.command;
    const std::string outcome_text = driver::outcome_to_json(outcome);
    const Use insert = session_.use(
        "INSERT INTO commands (tenant_no, source_no, request_id, command_id, command_type_no, stream_type_no, "
        "stream_id, "
        "actor_type, actor_id, channel, data, fingerprint, outcome, recorded_at) "
        "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14) RETURNING command_no");
    insert->bind(1, names_.find_or_add(command.key.tenant));
    insert->bind(2, names_.find_or_add(command.key.source));
    insert->bind(3, command.key.request_id);
    insert->bind(4, prepared.command_id);
    insert->bind(5, names_.find_or_add(command.type));
    if (prepared.stream != nullptr) {
      insert->bind(6, names_.find_or_add(prepared.stream->type));
      insert->bind(7, prepared.stream->id);
    } else {
      insert->bind_null(6);
      insert->bind_null(7);
    }
    if (command.actor) {
      insert->bind(8, to_string(command.actor->type));
      insert->bind(9, command.actor->id);
    } else {
      insert->bind_null(8);
      insert->bind_null(9);
    }
    if (command.channel) {
      insert->bind(10, to_string(*command.channel));
    } else {
      insert->bind_null(10);
    }
    bind_json(*insert, 11, command.data);
    insert->bind_blob(12, prepared.fingerprint.data(), prepared.fingerprint.size());
    insert->bind(13, outcome_text);
    insert->bind(14, log_end_.recorded_at());
    insert->step();
    return insert->int64(0);
  }

  void insert(const std::vector<Row>& rows) {
    std::size_t done = 0;
    for (const std::size_t size : rows_per_statement) {
      while (rows.size() - done >= size) {
        const Use statement = session_.use(insert_events(size));
        int parameter = 0;
        for (std::size_t i = 0; i < size; ++i) parameter = bind_row(*statement, parameter, rows[done + i]);
        statement->step();
        done += size;
      }
    }
    for (const Row& row : rows) {
      if (!row.event->event->attributes.empty()) insert_attributes(row);
    }
  }

  int bind_row(Statement& statement, int at, const Row& row) {
    const PreparedEvent& prepared = *row.event;
    const NewEvent& event = *prepared.event;
    statement.bind(++at, row.position);
    statement.bind(++at, row.stream_no);
    statement.bind(++at, row.version);
    statement.bind(++at, row.tenant_no);
    statement.bind(++at, row.stream_type_no);
    statement.bind(++at, prepared.event_id);
    statement.bind(++at, row.event_type_no);
    statement.bind(++at, std::int64_t{event.event_version});
    statement.bind(++at, prepared.occurred_at);
    statement.bind(++at, log_end_.recorded_at());
    statement.bind(++at, event.valid_from);
    statement.bind(++at, event.valid_to);
    if (event.actor) {
      statement.bind(++at, to_string(event.actor->type));
      statement.bind(++at, event.actor->id);
    } else {
      statement.bind_null(++at);
      statement.bind_null(++at);
    }
    statement.bind(++at, row.source_no);
    if (prepared.channel) {
      statement.bind(++at, to_string(*prepared.channel));
    } else {
      statement.bind_null(++at);
    }
    statement.bind(++at, command_no_);
    if (event.idempotency_key) {
      statement.bind(++at, *event.idempotency_key);
    } else {
      statement.bind_null(++at);
    }
    statement.bind(++at, prepared.causation_id);
    statement.bind(++at, event.correlation_id);
    statement.bind(++at, static_cast<std::int64_t>(event.attributes.size()));
    statement.bind(++at, event.data.text());
    bind_json(statement, ++at, event.metadata);
    bind_json(statement, ++at, event.policy_context);
    bind_json(statement, ++at, event.model_context);
    bind_json(statement, ++at, event.display);
    statement.bind(++at, to_string(event.redaction_level));
    statement.bind(++at, std::int64_t{event.contains_secrets});
    return at;
  }

  static void bind_json(Statement& statement, int index, const std::optional<Json>& json) {
    if (json) {
      statement.bind(index, json->text());
    } else {
      statement.bind_null(index);
    }
  }

  void insert_attributes(const Row& row) {
    for (const auto& [name, value] : row.event->event->attributes) {
      const std::int64_t name_no = names_.find_or_add(name);
      const Use insert =
          session_.use("INSERT INTO event_attributes (global_position, name_no, value) VALUES (?1, ?2, ?3)");
      insert->bind(1, row.position);
      insert->bind(2, name_no);
      insert->bind(3, value);
      insert->step();
    }
  }

  Session& session_;
  Names& names_;
  LogEnd& log_end_;
  const PreparedAppend& append_;
  std::map<const StreamKey*, Head> heads_;  // Keys are distinct within an append, so their addresses name them.
  std::optional<std::int64_t> command_no_;
};

}  // namespace

LogEnd::LogEnd(Session& session) : last_position_(0), recorded_at_(Timestamp::now()) {
  {
    // What AUTOINCREMENT remembers: the highest position ever given, also when its row is gone.
    const Use query = session.use("SELECT seq FROM sqlite_sequence WHERE name = 'events'");
    if (query->step()) last_position_ = query->int64(0);
  }
  const Use query = session.use("SELECT recorded_at FROM events ORDER BY global_position DESC LIMIT 1");
  if (query->step()) recorded_at_ = std::max(recorded_at_, query->time(0));
}

AppendResult append_in_transaction(Session& session, LogEnd& log_end, const PreparedAppend& append) {
  return Append(session, log_end, append).run();
}

}  // namespace stele::sqlite
