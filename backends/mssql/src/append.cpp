#include "append.h"

#include <algorithm>
#include <list>
#include <map>
#include <set>
#include <thread>

#include "errors.h"
#include "event_row.h"
#include "pieces.h"
#include "stele/driver/outcome.h"
#include "stele/driver/replay.h"

namespace stele::mssql {
namespace {

using driver::AppendAnswer;
using driver::ExistingEvent;
using driver::PreparedAppend;
using driver::PreparedCommand;
using driver::PreparedEvent;
using driver::PreparedStream;
using std::chrono::steady_clock;

// A unique key that another took first is found by the second attempt; a deadlock may take a few.
constexpr int max_attempts = 5;

// --- Parameters ------------------------------------------------------------------------------------------------------

/// JSON from its first character on: the tables tell an object by it.
std::string_view json_text(const Json& json) {
  const std::string_view text = json.text();
  return text.substr(std::min(text.find_first_not_of(" \t\r\n"), text.size()));
}

void add_json(Parameters& parameters, const std::optional<Json>& json) {
  json ? parameters.add(Type::long_text, json_text(*json)) : parameters.add_null(Type::long_text);
}

template <class Listed>
void add_listed(Parameters& parameters, const std::optional<Listed>& value) {
  value ? parameters.add(Type::text, to_string(*value)) : parameters.add_null(Type::text);
}

void add_actor(Parameters& parameters, const std::optional<Actor>& actor) {
  if (actor) {
    parameters.add(Type::text, to_string(actor->type)).add(Type::text, actor->id);
  } else {
    parameters.add_null(Type::text).add_null(Type::text);
  }
}

void add_source(Parameters& parameters, const PreparedEvent& prepared) {
  prepared.source != nullptr ? parameters.add(Type::text, *prepared.source) : parameters.add_null(Type::text);
  add_listed(parameters, prepared.channel);
}

/// A stream's key as UTF-8: tenant_key, type_key, stream_key.
void add_key(Parameters& parameters, const StreamKey& key) {
  parameters.add(Type::bytes, key.tenant).add(Type::bytes, key.type).add(Type::bytes, key.id);
}

void add_idempotency(Parameters& parameters, const NewEvent& event) {
  if (event.idempotency_key) {
    parameters.add(Type::text, *event.idempotency_key).add(Type::int4, event.idempotency_key->size());
  } else {
    parameters.add_null(Type::text).add_null(Type::int4);
  }
}

/// event_id, event_id_given, event_type, event_version, occurred_at, data
void add_event(Parameters& parameters, const PreparedEvent& prepared) {
  const NewEvent& event = *prepared.event;
  parameters.add(Type::uuid, prepared.event_id).add(Type::boolean, prepared.event_id_given);
  parameters.add(Type::text, event.type).add(Type::int4, event.event_version).add(Type::time, prepared.occurred_at);
  parameters.add(Type::long_text, json_text(event.data));
}

/// source, request_id, source_key, request_key, command_type
void add_command_key(Parameters& parameters, const Command& command) {
  parameters.add(Type::text, command.key.source).add(Type::text, command.key.request_id);
  parameters.add(Type::bytes, command.key.source).add(Type::bytes, command.key.request_id);
  parameters.add(Type::text, command.type);
}

/// source to fingerprint, in the order of command_values.
void add_command(Parameters& parameters, const PreparedCommand& prepared) {
  const Command& command = *prepared.command;
  add_command_key(parameters, command);
  if (prepared.stream != nullptr) {
    parameters.add(Type::text, prepared.stream->type).add(Type::text, prepared.stream->id);
    parameters.add(Type::bytes, prepared.stream->type).add(Type::bytes, prepared.stream->id);
  } else {
    parameters.add_null(Type::text).add_null(Type::text).add_null(Type::bytes).add_null(Type::bytes);
  }
  add_actor(parameters, command.actor);
  add_listed(parameters, command.channel);
  add_json(parameters, command.data);
  parameters.add(Type::bytes, prepared.fingerprint);
}

// --- Answers ---------------------------------------------------------------------------------------------------------

AppendResult request_reused(const CommandKey& key) {
  AppendResult result;
  result.status = AppendStatus::request_id_reused;
  result.detail = "request " + key.source + ":" + key.request_id + " was made before with another content";
  return result;
}

AppendResult command_id_reused(const Uuid& id) {
  AppendResult result;
  result.status = AppendStatus::request_id_reused;
  result.detail = "command id " + id.to_string() + " belongs to another request";
  return result;
}

AppendResult replayed(std::string_view outcome, std::string_view tenant) {
  AppendResult result;
  result.status = AppendStatus::replayed;
  result.streams = driver::outcome_from_json(outcome, tenant);
  return result;
}

AppendResult conflict(const StreamKey& key, ExpectedVersion expected, Version actual) {
  AppendResult result;
  result.status = AppendStatus::conflict;
  result.conflict = VersionConflict{key, expected, actual};
  return result;
}

// --- One event: one call of a procedure ------------------------------------------------------------------------------

bool fits_procedure(const PreparedAppend& append) {
  if (!append.conditions.empty() || append.streams.size() != 1) return false;
  const PreparedStream& stream = append.streams[0];
  if (append.command && (append.command->stream == nullptr || *append.command->stream != *stream.key)) return false;
  return stream.events.size() == 1 && stream.events[0].event->attributes.empty();
}

/// The procedures' @expected.
std::int64_t expected_number(const ExpectedVersion& expected) {
  switch (expected.kind()) {
    case ExpectedVersion::Kind::any: return -1;
    case ExpectedVersion::Kind::stream_exists: return -2;
    case ExpectedVersion::Kind::no_stream: return 0;
    case ExpectedVersion::Kind::exactly: break;
  }
  return expected.version().value();
}

/// What the command's outcome begins with, before the numbers.
std::string outcome_before_versions(const StreamKey& key) {
  StreamOutcome outcome;
  outcome.stream = key;
  std::string text = driver::outcome_to_json({outcome});
  text.resize(text.rfind(",\"first_version\""));
  return text;
}

/// In the order of the procedure, without what is NULL at the end.
Parameters parameters_of_procedure(const PreparedAppend& append) {
  const PreparedStream& stream = append.streams[0];
  const StreamKey& key = *stream.key;
  const PreparedEvent& prepared = stream.events[0];
  const NewEvent& event = *prepared.event;
  Parameters parameters;
  parameters.add(Type::text, key.tenant).add(Type::text, key.type).add(Type::text, key.id);
  add_key(parameters, key);
  parameters.add_null(Type::text);  // @stream_lock: not used any more.
  parameters.add(Type::int8, expected_number(stream.expected));
  add_event(parameters, prepared);
  add_actor(parameters, event.actor);
  add_source(parameters, prepared);
  parameters.add(Type::uuid, event.correlation_id).add(Type::uuid, prepared.causation_id);
  add_json(parameters, event.metadata);
  if (append.command) {
    const Command& command = *append.command->command;
    parameters.add(Type::uuid, append.command->command_id).add(Type::boolean, append.command->command_id_given);
    add_command_key(parameters, command);
    parameters.add(Type::bytes, append.command->fingerprint).add(Type::long_text, outcome_before_versions(key));
    add_actor(parameters, command.actor);
    add_listed(parameters, command.channel);
    add_json(parameters, command.data);
  } else {
    parameters.add_null(Type::uuid).add_null(Type::boolean).add_null(Type::text).add_null(Type::text);
    parameters.add_null(Type::bytes).add_null(Type::bytes).add_null(Type::text).add_null(Type::bytes);
    parameters.add_null(Type::long_text).add_null(Type::text).add_null(Type::text).add_null(Type::text);
    parameters.add_null(Type::long_text);
  }
  if (event.redaction_level == RedactionLevel::none) {
    parameters.add_null(Type::text);
  } else {
    parameters.add(Type::text, to_string(event.redaction_level));
  }
  event.contains_secrets ? parameters.add(Type::boolean, true) : parameters.add_null(Type::boolean);
  add_idempotency(parameters, event);
  parameters.add(Type::time, event.valid_from).add(Type::time, event.valid_to);
  add_json(parameters, event.policy_context);
  add_json(parameters, event.model_context);
  add_json(parameters, event.display);
  parameters.drop_last_nulls();
  return parameters;
}

/// What most appends are.
bool fits_short_procedure(const PreparedAppend& append) {
  const PreparedStream& stream = append.streams[0];
  const NewEvent& event = *stream.events[0].event;
  return !append.command && !event.idempotency_key && event.redaction_level == RedactionLevel::none &&
         !event.contains_secrets && !event.valid_from && !event.valid_to && !event.policy_context &&
         !event.model_context && !event.display;
}

/// In the order of append_to_stream, without what is NULL at the end.
Parameters parameters_of_short_procedure(const PreparedAppend& append) {
  const PreparedStream& stream = append.streams[0];
  const PreparedEvent& prepared = stream.events[0];
  const NewEvent& event = *prepared.event;
  Parameters parameters;
  add_key(parameters, *stream.key);
  parameters.add(Type::int8, expected_number(stream.expected));
  add_event(parameters, prepared);
  add_actor(parameters, event.actor);
  add_source(parameters, prepared);
  parameters.add(Type::uuid, event.correlation_id).add(Type::uuid, prepared.causation_id);
  add_json(parameters, event.metadata);
  // How the stream is spelled is sent where it may have to be made.
  const ExpectedVersion::Kind kind = stream.expected.kind();
  if (kind == ExpectedVersion::Kind::any || kind == ExpectedVersion::Kind::no_stream) {
    parameters.add(Type::text, stream.key->tenant).add(Type::text, stream.key->type).add(Type::text, stream.key->id);
  }
  parameters.drop_last_nulls();
  return parameters;
}

enum class Answer { appended, replayed, request_reused, command_id_reused, conflict, event_found, no_stream };

/// Empty when events were found that the request may be a repetition of.
std::optional<AppendResult> result_of(const PreparedAppend& append, const Result& answer) {
  const PreparedStream& stream = append.streams[0];
  const Version version(answer.integer(0, 1));
  switch (static_cast<Answer>(answer.integer(0, 0))) {
    case Answer::appended: {
      const Position position(answer.integer(0, 2));
      AppendResult result;
      result.streams.push_back({*stream.key, version, version, position, position});
      return result;
    }
    case Answer::replayed: return replayed(answer.text(0, 3), append.tenant);
    case Answer::request_reused: return request_reused(append.command->command->key);
    case Answer::command_id_reused: return command_id_reused(append.command->command_id);
    case Answer::conflict: return conflict(*stream.key, stream.expected, version);
    case Answer::event_found:
    case Answer::no_stream: break;
  }
  return std::nullopt;
}

std::optional<AppendResult> call_procedure(Session& session, const PreparedAppend& append) {
  if (fits_short_procedure(append)) {
    const Result answer = session.call("append_to_stream", parameters_of_short_procedure(append), Outcome::unknown);
    if (static_cast<Answer>(answer.integer(0, 0)) != Answer::no_stream) return result_of(append, answer);
  }
  return result_of(append, session.call("append_one", parameters_of_procedure(append), Outcome::unknown));
}

// --- Everything else: steps inside one transaction -------------------------------------------------------------------

/// `one` for each row, with its number in place of #.
std::string for_rows(std::size_t rows, std::string_view one, std::string_view between = ", ") {
  std::string text;
  for (std::size_t row = 0; row < rows; ++row) {
    if (row > 0) text += between;
    for (const char c : one) {
      if (c == '#') {
        text += std::to_string(row);
      } else {
        text += c;
      }
    }
  }
  return text;
}

constexpr std::size_t rows_at_once =
    32;  // Of events: 32 rows have up to 896 parameters, and 2,100 are the server's limit.
constexpr std::size_t keys_at_once = 64;

constexpr std::string_view command_values = "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";

/// A stream that the appends read or write, as it is when the locks are held and as they leave it.
struct Head {
  bool written = false;
  std::optional<std::int64_t> stream_no;  // Absent for a stream that does not exist.
  std::int64_t stored_version = 0;
  std::int64_t version = 0;
  Timestamp created_at;
  Timestamp recorded_at;  // When the last of its events was.
};

struct KnownCommand {
  std::string fingerprint;
  std::string outcome;
};

/// A row of `events` to insert; everything belongs to the request.
struct Row {
  const PreparedAppend* append;
  const StreamKey* key;
  const PreparedEvent* event;
  const Head* head;
  std::int64_t version;
  Timestamp recorded_at;
};

/// A column of `events` in an INSERT of several rows. Each parameter costs time: one that would have the usual value in
/// all of these rows is not sent.
struct EventColumn {
  std::string_view name;
  void (*add)(Parameters&, const Row&);
  bool (*is_usual)(const Row&) = [](const Row&) { return false; };
  std::string_view usual = {};  // Empty for NULL, which a column has that is not named at all.
};

constexpr EventColumn event_column_list[] = {
    {"stream_no", [](Parameters& p, const Row& row) { p.add(Type::int8, *row.head->stream_no); }},
    {"stream_version", [](Parameters& p, const Row& row) { p.add(Type::int8, row.version); }},
    {"tenant_id", [](Parameters& p, const Row& row) { p.add(Type::text, row.key->tenant); }},
    {"stream_type", [](Parameters& p, const Row& row) { p.add(Type::text, row.key->type); }},
    {"event_id", [](Parameters& p, const Row& row) { p.add(Type::uuid, row.event->event_id); }},
    {"event_type", [](Parameters& p, const Row& row) { p.add(Type::text, row.event->event->type); }},
    {"occurred_at", [](Parameters& p, const Row& row) { p.add(Type::time, row.event->occurred_at); }},
    {"recorded_at", [](Parameters& p, const Row& row) { p.add(Type::time, row.recorded_at); }},
    {"data", [](Parameters& p, const Row& row) { p.add(Type::long_text, json_text(row.event->event->data)); }},
    {"event_version", [](Parameters& p, const Row& row) { p.add(Type::int4, row.event->event->event_version); },
     [](const Row& row) { return row.event->event->event_version == 1; }, "1"},
    {"redaction_level",
     [](Parameters& p, const Row& row) { p.add(Type::text, to_string(row.event->event->redaction_level)); },
     [](const Row& row) { return row.event->event->redaction_level == RedactionLevel::none; }, "N'none'"},
    {"contains_secrets",
     [](Parameters& p, const Row& row) { p.add(Type::boolean, row.event->event->contains_secrets); },
     [](const Row& row) { return !row.event->event->contains_secrets; }, "0"},
    {"attribute_count", [](Parameters& p, const Row& row) { p.add(Type::int4, row.event->event->attributes.size()); },
     [](const Row& row) { return row.event->event->attributes.empty(); }, "0"},
    {"command_id",
     [](Parameters& p, const Row& row) {
       row.append->command ? p.add(Type::uuid, row.append->command->command_id) : p.add_null(Type::uuid);
     },
     [](const Row& row) { return !row.append->command; }},
    {"valid_from", [](Parameters& p, const Row& row) { p.add(Type::time, row.event->event->valid_from); },
     [](const Row& row) { return !row.event->event->valid_from; }},
    {"valid_to", [](Parameters& p, const Row& row) { p.add(Type::time, row.event->event->valid_to); },
     [](const Row& row) { return !row.event->event->valid_to; }},
    {"actor_type, actor_id", [](Parameters& p, const Row& row) { add_actor(p, row.event->event->actor); },
     [](const Row& row) { return !row.event->event->actor; }},
    {"source, channel", [](Parameters& p, const Row& row) { add_source(p, *row.event); },
     [](const Row& row) { return row.event->source == nullptr && !row.event->channel; }},
    {"idempotency_key, idempotency_bytes", [](Parameters& p, const Row& row) { add_idempotency(p, *row.event->event); },
     [](const Row& row) { return !row.event->event->idempotency_key; }},
    {"causation_id", [](Parameters& p, const Row& row) { p.add(Type::uuid, row.event->causation_id); },
     [](const Row& row) { return !row.event->causation_id; }},
    {"correlation_id", [](Parameters& p, const Row& row) { p.add(Type::uuid, row.event->event->correlation_id); },
     [](const Row& row) { return !row.event->event->correlation_id; }},
    {"metadata", [](Parameters& p, const Row& row) { add_json(p, row.event->event->metadata); },
     [](const Row& row) { return !row.event->event->metadata; }},
    {"policy_context", [](Parameters& p, const Row& row) { add_json(p, row.event->event->policy_context); },
     [](const Row& row) { return !row.event->event->policy_context; }},
    {"model_context", [](Parameters& p, const Row& row) { add_json(p, row.event->event->model_context); },
     [](const Row& row) { return !row.event->event->model_context; }},
    {"display", [](Parameters& p, const Row& row) { add_json(p, row.event->event->display); },
     [](const Row& row) { return !row.event->event->display; }},
};

/// An INSERT of these rows. Its positions rise in their order: the server gives them in that of the ORDER BY.
std::string insert_of_events(std::span<const Row> rows, Parameters& parameters) {
  std::string names;
  std::string values;
  std::string sent;
  std::vector<const EventColumn*> columns;
  for (const EventColumn& column : event_column_list) {
    const bool left_out = std::all_of(rows.begin(), rows.end(), column.is_usual);
    if (left_out && column.usual.empty()) continue;
    const std::string_view separator = names.empty() ? "" : ", ";
    names.append(separator).append(column.name);
    values.append(separator).append(left_out ? column.usual : column.name);
    if (left_out) continue;
    sent.append(", ").append(column.name);
    columns.push_back(&column);
  }
  for (const Row& row : rows) {
    for (const EventColumn* column : columns) column->add(parameters, row);
  }
  std::string row = "(#";
  for (std::size_t i = 0; i < parameters.size() / rows.size(); ++i) row += ", ?";
  return "INSERT INTO $(schema).events (" + names + ") SELECT " + values + " FROM (VALUES " +
         for_rows(rows.size(), row + ")") + ") AS r (n" + sent + ") ORDER BY r.n";
}

/// A command to insert, and the events that its outcome tells of.
struct NewCommand {
  std::size_t append;
  Timestamp recorded_at;
};

class Steps {
 public:
  Steps(Session& session, std::span<const PreparedAppend> appends) : session_(session), appends_(appends) {}

  /// Inside a transaction, which has to be rolled back when this throws. Two appends that are about the same command or
  /// event make it throw: one of them has to see what the other has committed.
  std::vector<AppendAnswer> run() {
    if (appends_.size() > 1) refuse_repetitions();
    lock_streams();
    find_commands();
    find_events();
    std::vector<AppendAnswer> answers(appends_.size());
    for (std::size_t i = 0; i < appends_.size(); ++i) answers[i].result = decide(i);
    write(answers);
    return answers;
  }

 private:
  void refuse_repetitions() const {
    std::set<std::string> seen;
    const auto once = [&](std::string key) {
      if (!seen.insert(std::move(key)).second) throw make_busy("two appends of one transaction repeat each other");
    };
    for (const PreparedAppend& append : appends_) {
      if (append.command) {
        const CommandKey& key = append.command->command->key;
        once("command " + key.tenant + '\x1F' + key.source + '\x1F' + key.request_id);
        once("id " + append.command->command_id.to_string());
      }
      for (const PreparedStream& stream : append.streams) {
        for (const PreparedEvent& event : stream.events) {
          once("event " + event.event_id.to_string());
          if (event.event->idempotency_key)
            once("key " + stream.key->to_string() + '\x1F' + *event.event->idempotency_key);
        }
      }
    }
  }

  // In the order of their keys: who keeps to it does not wait in a circle.
  void lock_streams() {
    for (const PreparedAppend& append : appends_) {
      for (const PreparedStream& stream : append.streams) heads_[*stream.key].written |= !stream.events.empty();
      for (const StreamCondition& condition : append.conditions) heads_[condition.stream];
    }
    std::vector<std::pair<const StreamKey, Head>*> wanted;
    for (auto& head : heads_) wanted.push_back(&head);
    lock_and_read(wanted);
  }

  using Heads = std::vector<std::pair<const StreamKey, Head>*>;

  /// A stream's lock is its row's, taken by an UPDATE that changes nothing. One that does not exist has its name's,
  /// which whoever makes it has to have alone; it may have been made just before. The name is that of append_one
  /// (0006) and append_to_stream (0009); two streams that share one only wait for each other.
  void lock_and_read(const Heads& heads) {
    in_pieces(heads.size(), keys_at_once, [&](std::size_t from, std::size_t size) {
      Parameters parameters;
      for (std::size_t i = from; i < from + size; ++i) {
        const auto& [key, head] = *heads[i];
        add_key(parameters, key);
        parameters.add(Type::text, key.tenant).add(Type::text, key.type).add(Type::text, key.id);
        parameters.add(Type::text, head.written ? "Exclusive" : "Shared");
        add_key(parameters, key);
      }
      for (std::size_t i = from; i < from + size; ++i) add_key(parameters, heads[i]->first);
      const std::string lock =
          "UPDATE $(schema).streams SET version = version WHERE tenant_key = ? AND type_key = ? AND stream_key = ?; ";
      const std::string name_and_lock =
          "SET @name = N'$(schema):stream:' + CAST(CAST(SUBSTRING(HASHBYTES('SHA2_256', "
          "? + NCHAR(31) + ? + NCHAR(31) + ?), 1, 8) AS BIGINT) AS NVARCHAR(20)); EXEC $(schema).take_lock @name, ?; ";
      const Result rows = session_.execute(
          "DECLARE @name NVARCHAR(255); " +
              for_rows(size, lock + "IF @@ROWCOUNT = 0 BEGIN " + name_and_lock + lock + "END; ", "") +
              "SELECT k.n, s.stream_no, s.version, s.last_recorded_at, SYSUTCDATETIME() FROM (VALUES " +
              for_rows(size, "(#, ?, ?, ?)") +
              ") AS k (n, tenant_key, type_key, stream_key) LEFT JOIN $(schema).streams AS s "
              "ON s.tenant_key = k.tenant_key AND s.type_key = k.type_key AND s.stream_key = k.stream_key",
          parameters);
      for (int row = 0; row < rows.rows(); ++row) {
        now_ = rows.time(row, 4);
        if (rows.is_null(row, 1)) continue;
        Head& head = heads[from + static_cast<std::size_t>(rows.integer(row, 0))]->second;
        head.stream_no = rows.integer(row, 1);
        head.stored_version = head.version = rows.integer(row, 2);
        head.recorded_at = rows.time(row, 3);
      }
    });
  }

  void find_commands() {
    std::vector<const PreparedCommand*> with_key;
    std::vector<const PreparedCommand*> with_id;
    for (const PreparedAppend& append : appends_) {
      if (!append.command) continue;
      with_key.push_back(&*append.command);
      if (append.command->command_id_given) with_id.push_back(&*append.command);
    }
    in_pieces(with_key.size(), keys_at_once, [&](std::size_t from, std::size_t size) {
      Parameters parameters;
      for (std::size_t i = from; i < from + size; ++i) {
        const CommandKey& key = with_key[i]->command->key;
        parameters.add(Type::bytes, key.tenant).add(Type::bytes, key.source).add(Type::bytes, key.request_id);
      }
      const Result rows = session_.execute(
          "SELECT k.n, c.fingerprint, c.outcome FROM (VALUES " + for_rows(size, "(#, ?, ?, ?)") +
              ") AS k (n, tenant_key, source_key, request_key) JOIN $(schema).commands AS c "
              "ON c.tenant_key = k.tenant_key AND c.source_key = k.source_key AND c.request_key = k.request_key",
          parameters);
      for (int row = 0; row < rows.rows(); ++row) {
        known_[with_key[from + static_cast<std::size_t>(rows.integer(row, 0))]] = {std::string(rows.bytes(row, 1)),
                                                                                   std::string(rows.text(row, 2))};
      }
    });
    in_pieces(with_id.size(), keys_at_once, [&](std::size_t from, std::size_t size) {
      Parameters parameters;
      for (std::size_t i = from; i < from + size; ++i) parameters.add(Type::uuid, with_id[i]->command_id);
      const Result rows =
          session_.execute("SELECT k.n FROM (VALUES " + for_rows(size, "(#, ?)") +
                               ") AS k (n, command_id) JOIN $(schema).commands AS c ON c.command_id = k.command_id",
                           parameters);
      for (int row = 0; row < rows.rows(); ++row) {
        taken_ids_.push_back(with_id[from + static_cast<std::size_t>(rows.integer(row, 0))]);
      }
    });
  }

  /// Only ids that the caller gave can be there, so most appends look nothing up.
  void find_events() {
    std::vector<Uuid> ids;
    std::vector<std::pair<std::int64_t, const std::string*>> keys;
    for (const PreparedAppend& append : appends_) {
      for (const PreparedStream& stream : append.streams) {
        const Head& head = heads_.at(*stream.key);
        for (const PreparedEvent& event : stream.events) {
          if (event.event_id_given) ids.push_back(event.event_id);
          if (event.event->idempotency_key && head.stream_no) {
            keys.emplace_back(*head.stream_no, &*event.event->idempotency_key);
          }
        }
      }
    }
    static const std::string select = "SELECT " + std::string(event_columns) + "FROM $(schema).events AS e " +
                                      std::string(stream_join) + std::string(command_join);
    const auto read = [&](const std::string& where, const Parameters& parameters, std::size_t most, const auto& keep) {
      driver::EventPage page;
      fill_page(session_, select + where + " ORDER BY e.global_position" + std::string(page_limit), parameters,
                {.max_events = most, .max_bytes = std::size_t{1} << 40}, page);
      for (std::size_t i = 0; i < page.size(); ++i) {
        found_events_.push_back(std::move(page[i]));
        keep(found_events_.back());
      }
    };
    in_pieces(ids.size(), keys_at_once, [&](std::size_t from, std::size_t size) {
      Parameters parameters;
      for (std::size_t i = from; i < from + size; ++i) parameters.add(Type::uuid, ids[i]);
      read("WHERE e.event_id IN (" + for_rows(size, "?") + ")", parameters, size,
           [&](const RecordedEvent& event) { with_id_[event.event_id] = &event; });
    });
    in_pieces(keys.size(), keys_at_once, [&](std::size_t from, std::size_t size) {
      Parameters parameters;
      for (std::size_t i = from; i < from + size; ++i) {
        parameters.add(Type::int8, keys[i].first);
        parameters.add(Type::text, *keys[i].second).add(Type::int4, keys[i].second->size());
      }
      read("JOIN (VALUES " + for_rows(size, "(?, ?, ?)") +
               ") AS k (stream_no, idempotency_key, idempotency_bytes) ON k.stream_no = e.stream_no "
               "AND k.idempotency_key COLLATE Latin1_General_100_BIN2 = e.idempotency_key AND k.idempotency_bytes = "
               "e.idempotency_bytes "
               "WHERE e.idempotency_key IS NOT NULL",
           parameters, size, [&](const RecordedEvent& event) {
             with_key_[{event.stream, *event.idempotency_key}] = &event;
           });
    });
  }

  /// What the append's answer is, its positions aside; it takes its place behind those decided before.
  AppendResult decide(std::size_t number) {
    const PreparedAppend& append = appends_[number];
    if (append.command) {
      const PreparedCommand& command = *append.command;
      if (const auto known = known_.find(&command); known != known_.end()) {
        const std::string_view wanted(reinterpret_cast<const char*>(command.fingerprint.data()),
                                      command.fingerprint.size());
        if (known->second.fingerprint != wanted) return request_reused(command.command->key);
        return replayed(known->second.outcome, append.tenant);
      }
      if (std::find(taken_ids_.begin(), taken_ids_.end(), &command) != taken_ids_.end()) {
        return command_id_reused(command.command_id);
      }
    }
    const std::vector<ExistingEvent> found = existing_events(append);
    if (!found.empty()) {
      return driver::decide_replay(append, found,
                                   [this](const StreamKey& key) { return Version(heads_.at(key).version); });
    }
    for (const PreparedStream& stream : append.streams) {
      const Version actual(heads_.at(*stream.key).version);
      if (!stream.expected.holds_for(actual)) return conflict(*stream.key, stream.expected, actual);
    }
    for (const StreamCondition& condition : append.conditions) {
      const Version actual(heads_.at(condition.stream).version);
      if (!condition.expected.holds_for(actual)) return conflict(condition.stream, condition.expected, actual);
    }
    return take_place(number);
  }

  std::vector<ExistingEvent> existing_events(const PreparedAppend& append) const {
    std::vector<ExistingEvent> found;
    if (found_events_.empty()) return found;
    for (std::size_t s = 0; s < append.streams.size(); ++s) {
      const PreparedStream& stream = append.streams[s];
      for (std::size_t e = 0; e < stream.events.size(); ++e) {
        const PreparedEvent& event = stream.events[e];
        ExistingEvent existing{s, e, nullptr, nullptr};
        if (event.event_id_given) {
          if (const auto it = with_id_.find(event.event_id); it != with_id_.end()) existing.by_id = it->second;
        }
        if (event.event->idempotency_key) {
          const auto it = with_key_.find({*stream.key, *event.event->idempotency_key});
          if (it != with_key_.end()) existing.by_key = it->second;
        }
        if (existing.by_id != nullptr || existing.by_key != nullptr) found.push_back(existing);
      }
    }
    return found;
  }

  AppendResult take_place(std::size_t number) {
    const PreparedAppend& append = appends_[number];
    Timestamp recorded_at = now_;
    for (const PreparedStream& stream : append.streams) {
      const Head& head = heads_.at(*stream.key);
      if (!stream.events.empty() && head.version > 0) recorded_at = std::max(recorded_at, head.recorded_at);
    }
    AppendResult result;
    for (const PreparedStream& stream : append.streams) {
      Head& head = heads_.at(*stream.key);
      const auto count = static_cast<std::int64_t>(stream.events.size());
      result.streams.push_back(
          {*stream.key, Version(head.version + 1), Version(head.version + count), Position(), Position()});
      if (head.version == 0) head.created_at = recorded_at;
      for (const PreparedEvent& event : stream.events) {
        rows_.push_back({&append, stream.key, &event, &head, ++head.version, recorded_at});
        head.recorded_at = recorded_at;
      }
    }
    if (append.command) new_commands_.push_back({number, recorded_at});
    return result;
  }

  void write(std::vector<AppendAnswer>& answers) {
    if (!rows_.empty()) {
      add_streams();
      move_heads();
      const bool spans = has_spans();
      session_.call(spans ? "begin_spans" : "announce_positions", {});
      insert_events();
      read_positions(answers);
      if (spans) insert_spans(answers);
      insert_attributes();
    }
    insert_commands(answers);
  }

  void add_streams() {
    Heads fresh;
    for (auto& head : heads_) {
      if (!head.second.stream_no && head.second.version > 0) fresh.push_back(&head);
    }
    in_pieces(fresh.size(), keys_at_once, [&](std::size_t from, std::size_t size) {
      Parameters parameters;
      for (std::size_t i = from; i < from + size; ++i) {
        const auto& [key, head] = *fresh[i];
        parameters.add(Type::text, key.tenant).add(Type::text, key.type).add(Type::text, key.id);
        add_key(parameters, key);
        parameters.add(Type::int8, head.version).add(Type::time, head.created_at).add(Type::time, head.recorded_at);
      }
      for (std::size_t i = from; i < from + size; ++i) add_key(parameters, fresh[i]->first);
      const Result rows = session_.execute(
          "INSERT INTO $(schema).streams (tenant_id, stream_type, stream_id, tenant_key, type_key, stream_key, "
          "version, created_at, last_recorded_at) VALUES " +
              for_rows(size, "(?, ?, ?, ?, ?, ?, ?, ?, ?)") + "; SELECT k.n, s.stream_no FROM (VALUES " +
              for_rows(size, "(#, ?, ?, ?)") +
              ") AS k (n, tenant_key, type_key, stream_key) JOIN $(schema).streams AS s "
              "ON s.tenant_key = k.tenant_key AND s.type_key = k.type_key AND s.stream_key = k.stream_key",
          parameters);
      for (int row = 0; row < rows.rows(); ++row) {
        fresh[from + static_cast<std::size_t>(rows.integer(row, 0))]->second.stream_no = rows.integer(row, 1);
      }
    });
  }

  void move_heads() {
    std::vector<const Head*> moved;
    for (const auto& [key, head] : heads_) {
      if (head.version > head.stored_version && head.stored_version > 0) moved.push_back(&head);
    }
    in_pieces(moved.size(), keys_at_once, [&](std::size_t from, std::size_t size) {
      Parameters parameters;
      for (std::size_t i = from; i < from + size; ++i) {
        parameters.add(Type::int8, moved[i]->version).add(Type::time, moved[i]->recorded_at);
        parameters.add(Type::int8, *moved[i]->stream_no);
      }
      session_.execute(
          for_rows(size, "UPDATE $(schema).streams SET version = ?, last_recorded_at = ? WHERE stream_no = ?; ", ""),
          parameters);
    });
  }

  void insert_events() {
    in_pieces(rows_.size(), rows_at_once, [&](std::size_t from, std::size_t size) {
      Parameters parameters;
      const std::string sql = insert_of_events(std::span(rows_).subspan(from, size), parameters);
      session_.execute(sql, parameters);
    });
  }

  /// The positions of each stream's first and last event.
  void read_positions(std::vector<AppendAnswer>& answers) {
    struct Wanted {
      std::int64_t stream_no;
      Version version;
      Position* position;
    };
    std::vector<Wanted> wanted;
    for (AppendAnswer& answer : answers) {
      if (answer.result.status != AppendStatus::appended) continue;
      for (StreamOutcome& outcome : answer.result.streams) {
        if (outcome.last_version < outcome.first_version) continue;
        const std::int64_t stream_no = *heads_.at(outcome.stream).stream_no;
        wanted.push_back({stream_no, outcome.first_version, &outcome.first_position});
        wanted.push_back({stream_no, outcome.last_version, &outcome.last_position});
      }
    }
    in_pieces(wanted.size(), keys_at_once, [&](std::size_t from, std::size_t size) {
      Parameters parameters;
      for (std::size_t i = from; i < from + size; ++i) {
        parameters.add(Type::int8, wanted[i].stream_no).add(Type::int8, wanted[i].version.value());
      }
      const Result rows = session_.execute(
          "SELECT k.n, e.global_position FROM (VALUES " + for_rows(size, "(#, ?, ?)") +
              ") AS k (n, stream_no, stream_version) JOIN $(schema).events AS e ON e.stream_no = k.stream_no "
              "AND e.stream_version = k.stream_version",
          parameters);
      for (int row = 0; row < rows.rows(); ++row) {
        *wanted[from + static_cast<std::size_t>(rows.integer(row, 0))].position = Position(rows.integer(row, 1));
      }
    });
  }

  /// Whether an append has several events: readers have to know where it begins and ends.
  bool has_spans() const {
    return std::adjacent_find(rows_.begin(), rows_.end(),
                              [](const Row& a, const Row& b) { return a.append == b.append; }) != rows_.end();
  }

  void insert_spans(const std::vector<AppendAnswer>& answers) {
    std::vector<std::pair<Position, Position>> spans;
    for (const AppendAnswer& answer : answers) {
      if (answer.result.status != AppendStatus::appended) continue;
      std::optional<Position> first;
      Position last;
      for (const StreamOutcome& outcome : answer.result.streams) {
        if (outcome.last_version < outcome.first_version) continue;
        first = std::min(first.value_or(outcome.first_position), outcome.first_position);
        last = std::max(last, outcome.last_position);
      }
      if (first && *first < last) spans.emplace_back(*first, last);
    }
    in_pieces(spans.size(), keys_at_once, [&](std::size_t from, std::size_t size) {
      Parameters parameters;
      for (std::size_t i = from; i < from + size; ++i) {
        parameters.add(Type::int8, spans[i].first.value()).add(Type::int8, spans[i].second.value());
      }
      std::string sql =
          "INSERT INTO $(schema).append_spans (first_position, last_position) VALUES " + for_rows(size, "(?, ?)");
      if (from + size == spans.size()) sql += "; EXEC $(schema).end_spans";
      session_.execute(sql, parameters);
    });
  }

  void insert_attributes() {
    struct Attribute {
      const Row* row;
      const std::string* name;
      const std::string* value;
    };
    std::vector<Attribute> attributes;
    for (const Row& row : rows_) {
      for (const auto& [name, value] : row.event->event->attributes) attributes.push_back({&row, &name, &value});
    }
    in_pieces(attributes.size(), keys_at_once, [&](std::size_t from, std::size_t size) {
      Parameters parameters;
      for (std::size_t i = from; i < from + size; ++i) {
        const Attribute& attribute = attributes[i];
        parameters.add(Type::int8, *attribute.row->head->stream_no).add(Type::int8, attribute.row->version);
        parameters.add(Type::text, *attribute.name).add(Type::int4, attribute.name->size());
        parameters.add(Type::text, *attribute.value);
      }
      session_.execute(
          "INSERT INTO $(schema).event_attributes (global_position, name, name_bytes, value) "
          "SELECT e.global_position, k.name, k.name_bytes, k.value FROM (VALUES " +
              for_rows(size, "(?, ?, ?, ?, ?)") +
              ") AS k (stream_no, stream_version, name, name_bytes, value) JOIN $(schema).events AS e "
              "ON e.stream_no = k.stream_no AND e.stream_version = k.stream_version",
          parameters);
    });
  }

  void insert_commands(const std::vector<AppendAnswer>& answers) {
    in_pieces(new_commands_.size(), rows_at_once, [&](std::size_t from, std::size_t size) {
      Parameters parameters;
      for (std::size_t i = from; i < from + size; ++i) {
        const NewCommand& fresh = new_commands_[i];
        const PreparedCommand& command = *appends_[fresh.append].command;
        const CommandKey& key = command.command->key;
        parameters.add(Type::uuid, command.command_id).add(Type::text, key.tenant).add(Type::bytes, key.tenant);
        add_command(parameters, command);
        parameters.add(Type::long_text, driver::outcome_to_json(answers[fresh.append].result.streams));
        parameters.add(Type::time, fresh.recorded_at);
      }
      session_.execute(
          "INSERT INTO $(schema).commands (command_id, tenant_id, tenant_key, source, request_id, source_key, "
          "request_key, command_type, stream_type, stream_id, type_key, stream_key, actor_type, actor_id, channel, "
          "data, fingerprint, outcome, recorded_at) VALUES " +
              for_rows(size, command_values),
          parameters);
    });
  }

  Session& session_;
  const std::span<const PreparedAppend> appends_;
  std::map<StreamKey, Head> heads_;
  Timestamp now_;
  std::map<const PreparedCommand*, KnownCommand> known_;
  std::vector<const PreparedCommand*> taken_ids_;
  std::list<RecordedEvent> found_events_;
  std::map<Uuid, const RecordedEvent*> with_id_;
  std::map<std::pair<StreamKey, std::string>, const RecordedEvent*> with_key_;
  std::vector<Row> rows_;
  std::vector<NewCommand> new_commands_;
};

}  // namespace

std::vector<AppendAnswer> append_together(Session& session, std::span<const PreparedAppend> appends) {
  expect_durable(session.server);
  Transaction transaction(session);
  std::vector<AppendAnswer> answers = Steps(session, appends).run();
  transaction.commit();
  return answers;
}

AppendResult append_inside(Session& session, const PreparedAppend& append) {
  expect_durable(session.server);
  return std::move(Steps(session, {&append, 1}).run()[0].result);
}

AppendResult append_one(Session& session, const PreparedAppend& append, steady_clock::time_point deadline) {
  expect_durable(session.server);
  for (int attempt = 1;; ++attempt) {
    try {
      if (fits_procedure(append)) {
        if (auto result = call_procedure(session, append)) return std::move(*result);
      }
      return std::move(append_together(session, {&append, 1})[0].result);
    } catch (const Error& error) {
      if (error.outcome() == Outcome::unknown || !session.usable()) throw;
      if (!worth_another_try(error) || attempt == max_attempts || steady_clock::now() >= deadline) throw;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(attempt));
  }
}

}  // namespace stele::mssql
