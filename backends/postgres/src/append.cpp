#include "append.h"

#include <algorithm>
#include <array>
#include <list>
#include <map>
#include <set>
#include <thread>

#include "errors.h"
#include "event_row.h"
#include "stele/driver/outcome.h"
#include "stele/driver/replay.h"

namespace stele::postgres {
namespace {

using driver::PreparedAppend;
using driver::PreparedCommand;
using driver::PreparedEvent;
using driver::PreparedStream;
using std::chrono::steady_clock;

// A unique key that another took first is found by the second attempt; a deadlock may take a few.
constexpr int max_attempts = 5;
constexpr std::string_view lock_call = "SELECT append_locks($1, $2, $3)";
constexpr std::string_view impatient_lock_call =
    "SELECT set_config('lock_timeout', $4, true), append_locks($1, $2, $3)";  // Until the transaction's end.

constexpr std::string_view patience_call = "SELECT set_config('lock_timeout', $1, true)";
constexpr std::string_view several_call =
    "SELECT status, stream_version, first_position, last_position FROM append_several($1, $2, $3, $4, $5, $6, $7, $8, "
    "$9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27, $28, $29, $30, $31, "
    "$32, $33, $34, $35, $36, $37, $38, $39, $40, $41)";

constexpr std::string_view call =
    "SELECT status, detail, outcome, conflict_index, actual_version, base_versions, first_positions, last_positions "
    "FROM "
    "append($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, "
    "$24, "
    "$25, $26, $27, $28, $29, $30, $31, $32, $33, $34, $35, $36, $37, $38, $39, $40, $41, $42, $43, $44, $45)";

std::int16_t kind_number(const ExpectedVersion& expected) {
  switch (expected.kind()) {
    case ExpectedVersion::Kind::any: return 0;
    case ExpectedVersion::Kind::no_stream: return 1;
    case ExpectedVersion::Kind::stream_exists: return 2;
    case ExpectedVersion::Kind::exactly: return 3;
  }
  return 3;
}

void add_streams(const PreparedAppend& append, Parameters& parameters) {
  Array types(Type::text);
  Array ids(Type::text);
  Array kinds(Type::int2);
  Array versions(Type::int8);
  Array events(Type::int4);
  const auto add = [&](const StreamKey& key, const ExpectedVersion& expected, std::size_t count) {
    types.add(key.type);
    ids.add(key.id);
    kinds.add(kind_number(expected));
    versions.add(expected.version().value());
    events.add(static_cast<std::int32_t>(count));
  };
  for (const PreparedStream& stream : append.streams) add(*stream.key, stream.expected, stream.events.size());
  for (const StreamCondition& condition : append.conditions) add(condition.stream, condition.expected, 0);
  parameters.add(Type::text, append.tenant).add(types).add(ids).add(kinds).add(versions).add(events);
  parameters.add(Type::int4, static_cast<std::int32_t>(append.streams.size()));
}

void add_command(const std::optional<PreparedCommand>& prepared, Parameters& parameters) {
  if (!prepared) {
    parameters.add_null(Type::text).add_null(Type::text).add_null(Type::uuid).add_null(Type::boolean);
    for (int i = 0; i < 7; ++i) parameters.add_null(Type::text);
    parameters.add_null(Type::bytea);
    return;
  }
  const Command& command = *prepared->command;
  const auto text = [&](const auto& value) { parameters.add(Type::text, value); };
  const auto no_text = [&] { parameters.add_null(Type::text); };
  text(command.key.source);
  text(command.key.request_id);
  parameters.add(Type::uuid, prepared->command_id).add(Type::boolean, prepared->command_id_given);
  text(command.type);
  if (prepared->stream != nullptr) {
    text(prepared->stream->type);
    text(prepared->stream->id);
  } else {
    no_text();
    no_text();
  }
  if (command.actor) {
    text(to_string(command.actor->type));
    text(command.actor->id);
  } else {
    no_text();
    no_text();
  }
  command.channel ? text(to_string(*command.channel)) : no_text();
  command.data ? text(command.data->text()) : no_text();
  parameters.add(Type::bytea, std::string_view(reinterpret_cast<const char*>(prepared->fingerprint.data()),
                                               prepared->fingerprint.size()));
}

/// A column of the events, as an array with an element for each.
template <class Value>
void add_column(std::span<const PreparedAppend> appends, Type type, Parameters& parameters, Value value) {
  Array array(type);
  std::int32_t stream_number = 0;
  for (const PreparedAppend& append : appends) {
    for (const PreparedStream& stream : append.streams) {
      ++stream_number;
      for (const PreparedEvent& event : stream.events) value(array, event, stream_number);
    }
  }
  parameters.add(array);
}

/// `plain`: without the columns that plain appends have nothing in, see is_plain().
void add_events(std::span<const PreparedAppend> appends, bool plain, Parameters& parameters) {
  const auto column = [&](Type type, auto value) { add_column(appends, type, parameters, value); };
  const auto json = [&](std::optional<Json> EventFields::*member) {
    column(Type::text, [member](Array& to, const PreparedEvent& e, std::int32_t) {
      const std::optional<Json>& json_text = e.event->*member;
      json_text ? to.add(json_text->text()) : to.add_null();
    });
  };
  if (!plain) {
    column(Type::uuid, [](Array& to, const PreparedEvent& e, std::int32_t) {
      if (e.event_id_given) to.add(e.event_id);
    });
  }
  column(Type::int4, [](Array& to, const PreparedEvent&, std::int32_t stream) { to.add(stream); });
  column(Type::uuid, [](Array& to, const PreparedEvent& e, std::int32_t) { to.add(e.event_id); });
  column(Type::text, [](Array& to, const PreparedEvent& e, std::int32_t) { to.add(e.event->type); });
  column(Type::int4, [](Array& to, const PreparedEvent& e, std::int32_t) { to.add(e.event->event_version); });
  column(Type::timestamptz, [](Array& to, const PreparedEvent& e, std::int32_t) { to.add(e.occurred_at); });
  column(Type::timestamptz, [](Array& to, const PreparedEvent& e, std::int32_t) { to.add(e.event->valid_from); });
  column(Type::timestamptz, [](Array& to, const PreparedEvent& e, std::int32_t) { to.add(e.event->valid_to); });
  column(Type::text, [](Array& to, const PreparedEvent& e, std::int32_t) {
    e.event->actor ? to.add(to_string(e.event->actor->type)) : to.add_null();
  });
  column(Type::text, [](Array& to, const PreparedEvent& e, std::int32_t) {
    e.event->actor ? to.add(e.event->actor->id) : to.add_null();
  });
  column(Type::text, [](Array& to, const PreparedEvent& e, std::int32_t) {
    e.source != nullptr ? to.add(*e.source) : to.add_null();
  });
  column(Type::text, [](Array& to, const PreparedEvent& e, std::int32_t) {
    e.channel ? to.add(to_string(*e.channel)) : to.add_null();
  });
  if (!plain) {
    column(Type::text, [](Array& to, const PreparedEvent& e, std::int32_t) { to.add(e.event->idempotency_key); });
  }
  column(Type::uuid, [](Array& to, const PreparedEvent& e, std::int32_t) { to.add(e.causation_id); });
  column(Type::uuid, [](Array& to, const PreparedEvent& e, std::int32_t) { to.add(e.event->correlation_id); });
  column(Type::text,
         [](Array& to, const PreparedEvent& e, std::int32_t) { to.add(to_string(e.event->redaction_level)); });
  column(Type::boolean, [](Array& to, const PreparedEvent& e, std::int32_t) { to.add(e.event->contains_secrets); });
  column(Type::text, [](Array& to, const PreparedEvent& e, std::int32_t) { to.add(e.event->data.text()); });
  json(&EventFields::metadata);
  json(&EventFields::policy_context);
  json(&EventFields::model_context);
  json(&EventFields::display);
  column(Type::int2, [](Array& to, const PreparedEvent& e, std::int32_t) {
    to.add(static_cast<std::int16_t>(e.event->attributes.size()));
  });

  Array events(Type::int4);
  Array names(Type::text);
  Array values(Type::text);
  std::int32_t number = 0;
  for (const PreparedAppend& append : appends) {
    for (const PreparedStream& stream : append.streams) {
      for (const PreparedEvent& event : stream.events) {
        ++number;
        for (const auto& [name, value] : event.event->attributes) {
          events.add(number);
          names.add(name);
          values.add(value);
        }
      }
    }
  }
  parameters.add(events).add(names).add(values);
}

/// Some of the events are there already. They never change, so what they mean can be decided after the function's
/// transaction. `versions` is what the streams' versions were then.
AppendResult decide_found(Session& session, const PreparedAppend& append, const std::vector<std::int64_t>& versions) {
  static const std::string by_ids = "SELECT " + std::string(event_columns) + "FROM events AS e " +
                                    std::string(event_joins) + "WHERE e.event_id = ANY ($1)";
  static const std::string by_keys = "SELECT " + std::string(event_columns) + "FROM events AS e " +
                                     std::string(event_joins) +
                                     "WHERE s.tenant_id = $1 AND s.stream_type = $2 AND s.stream_id = $3 "
                                     "AND e.idempotency_key = ANY ($4)";
  std::list<RecordedEvent> events;
  const auto read = [&](std::string_view sql, const Parameters& parameters, auto keep) {
    session.for_each_row(sql, parameters, [&](const Result& row) {
      read_event_row(row, 0, events.emplace_back());
      keep(events.back());
      return true;
    });
  };

  Array ids(Type::uuid);
  for (const PreparedStream& stream : append.streams) {
    for (const PreparedEvent& event : stream.events) {
      if (event.event_id_given) ids.add(event.event_id);
    }
  }
  std::map<Uuid, const RecordedEvent*> with_id;
  read(by_ids, Parameters().add(ids), [&](const RecordedEvent& event) { with_id[event.event_id] = &event; });

  std::vector<driver::ExistingEvent> found;
  for (std::size_t s = 0; s < append.streams.size(); ++s) {
    const PreparedStream& stream = append.streams[s];
    Array keys(Type::text);
    for (const PreparedEvent& event : stream.events) {
      if (event.event->idempotency_key) keys.add(*event.event->idempotency_key);
    }
    std::map<std::string, const RecordedEvent*, std::less<>> with_key;
    const auto of_stream = [&] {
      return Parameters()
          .add(Type::text, stream.key->tenant)
          .add(Type::text, stream.key->type)
          .add(Type::text, stream.key->id)
          .add(keys);
    };
    if (keys.size() > 0) {
      read(by_keys, of_stream(), [&](const RecordedEvent& event) { with_key[*event.idempotency_key] = &event; });
    }
    for (std::size_t e = 0; e < stream.events.size(); ++e) {
      const PreparedEvent& event = stream.events[e];
      driver::ExistingEvent existing{s, e, nullptr, nullptr};
      if (event.event_id_given) {
        if (const auto it = with_id.find(event.event_id); it != with_id.end()) existing.by_id = it->second;
      }
      if (event.event->idempotency_key) {
        if (const auto it = with_key.find(*event.event->idempotency_key); it != with_key.end()) {
          existing.by_key = it->second;
        }
      }
      if (existing.by_id != nullptr || existing.by_key != nullptr) found.push_back(existing);
    }
  }
  return driver::decide_replay(append, found, [&](const StreamKey& key) {
    const auto is_it = [&](const PreparedStream& stream) { return *stream.key == key; };
    const auto stream = std::find_if(append.streams.begin(), append.streams.end(), is_it);
    return Version(versions[static_cast<std::size_t>(stream - append.streams.begin())]);
  });
}

/// Whether some of its events are there already.
bool is_found(const Result& row) {
  return row.text(0, 0) == "found";
}

AppendResult understand(Session& session, const PreparedAppend& append, const Result& row) {
  AppendResult result;
  const std::string_view status = row.text(0, 0);
  if (status == "appended") {
    const std::vector<std::int64_t> bases = row.integers(0, 5);
    const std::vector<std::int64_t> first_positions = row.integers(0, 6);
    const std::vector<std::int64_t> last_positions = row.integers(0, 7);
    for (std::size_t i = 0; i < append.streams.size(); ++i) {
      const auto count = static_cast<std::int64_t>(append.streams[i].events.size());
      result.streams.push_back({*append.streams[i].key, Version(bases[i] + 1), Version(bases[i] + count),
                                Position(first_positions[i]), Position(last_positions[i])});
    }
  } else if (status == "replayed") {
    result.status = AppendStatus::replayed;
    result.streams = driver::outcome_from_json(row.text(0, 2), append.tenant);
  } else if (status == "request_id_reused") {
    result.status = AppendStatus::request_id_reused;
    result.detail = row.text(0, 1);
  } else if (status == "conflict") {
    const auto index = static_cast<std::size_t>(row.integer(0, 3)) - 1;
    const bool is_stream = index < append.streams.size();
    const StreamKey& key =
        is_stream ? *append.streams[index].key : append.conditions[index - append.streams.size()].stream;
    const ExpectedVersion expected =
        is_stream ? append.streams[index].expected : append.conditions[index - append.streams.size()].expected;
    result.status = AppendStatus::conflict;
    result.conflict = VersionConflict{key, expected, Version(row.integer(0, 4))};
  } else {
    return decide_found(session, append, row.integers(0, 5));
  }
  return result;
}

/// The parameters of the function append(), in its order.
Parameters parameters_of(const PreparedAppend& append) {
  Parameters parameters;
  add_streams(append, parameters);
  add_command(append.command, parameters);
  add_events({&append, 1}, false, parameters);
  return parameters;
}

// --- Several at once

/// Whether append_several() can do it: events to one stream, of which nothing can be there already but its command.
bool is_plain(const PreparedAppend& append) {
  if (append.streams.size() != 1 || append.streams.front().events.empty() || !append.conditions.empty()) return false;
  if (append.command && append.command->command_id_given) return false;
  const std::vector<PreparedEvent>& events = append.streams.front().events;
  return std::none_of(events.begin(), events.end(),
                      [](const PreparedEvent& event) { return event.event_id_given || event.event->idempotency_key; });
}

/// Whether it can do all of them together: those of one stream, or of one command, come one after the other.
bool are_plain(std::span<const PreparedAppend> appends) {
  std::set<std::array<std::string_view, 3>> streams;
  std::set<std::array<std::string_view, 3>> commands;
  return appends.size() > 1 && std::all_of(appends.begin(), appends.end(), [&](const PreparedAppend& append) {
           if (!is_plain(append)) return false;
           const StreamKey& stream = *append.streams.front().key;
           if (!streams.insert({stream.tenant, stream.type, stream.id}).second) return false;
           if (!append.command) return true;
           const CommandKey& key = append.command->command->key;
           return commands.insert({append.tenant, key.source, key.request_id}).second;
         });
}

/// The parameters of append_several(), in its order.
Parameters parameters_of_several(std::span<const PreparedAppend> appends) {
  Parameters parameters;
  const auto column = [&](Type type, auto value) {
    Array array(type);
    for (const PreparedAppend& append : appends) value(array, append);
    parameters.add(array);
  };
  const auto of_stream = [&](Type type, auto value) {
    column(type, [&](Array& to, const PreparedAppend& append) { to.add(value(append.streams.front())); });
  };
  column(Type::text, [](Array& to, const PreparedAppend& append) { to.add(append.tenant); });
  of_stream(Type::text, [](const PreparedStream& stream) { return stream.key->type; });
  of_stream(Type::text, [](const PreparedStream& stream) { return stream.key->id; });
  of_stream(Type::int2, [](const PreparedStream& stream) { return kind_number(stream.expected); });
  of_stream(Type::int8, [](const PreparedStream& stream) { return stream.expected.version().value(); });
  of_stream(Type::int4, [](const PreparedStream& stream) { return static_cast<std::int32_t>(stream.events.size()); });
  const auto of_command = [&](Type type, auto value) {
    column(type, [&](Array& to, const PreparedAppend& append) {
      append.command ? value(to, *append.command) : to.add_null();
    });
  };
  of_command(Type::text, [](Array& to, const PreparedCommand& c) { to.add(c.command->key.source); });
  of_command(Type::text, [](Array& to, const PreparedCommand& c) { to.add(c.command->key.request_id); });
  of_command(Type::uuid, [](Array& to, const PreparedCommand& c) { to.add(c.command_id); });
  of_command(Type::text, [](Array& to, const PreparedCommand& c) { to.add(c.command->type); });
  of_command(Type::text,
             [](Array& to, const PreparedCommand& c) { c.stream != nullptr ? to.add(c.stream->type) : to.add_null(); });
  of_command(Type::text,
             [](Array& to, const PreparedCommand& c) { c.stream != nullptr ? to.add(c.stream->id) : to.add_null(); });
  of_command(Type::text, [](Array& to, const PreparedCommand& c) {
    c.command->actor ? to.add(to_string(c.command->actor->type)) : to.add_null();
  });
  of_command(Type::text, [](Array& to, const PreparedCommand& c) {
    c.command->actor ? to.add(c.command->actor->id) : to.add_null();
  });
  of_command(Type::text, [](Array& to, const PreparedCommand& c) {
    c.command->channel ? to.add(to_string(*c.command->channel)) : to.add_null();
  });
  of_command(Type::text, [](Array& to, const PreparedCommand& c) {
    c.command->data ? to.add(c.command->data->text()) : to.add_null();
  });
  of_command(Type::bytea, [](Array& to, const PreparedCommand& c) {
    to.add(std::string_view(reinterpret_cast<const char*>(c.fingerprint.data()), c.fingerprint.size()));
  });
  add_events(appends, true, parameters);
  return parameters;
}

/// Its command is recorded: nothing of it was written.
bool is_known(const Result& rows, int row) {
  return rows.text(row, 0) == "known";
}

AppendResult understand_one_of_several(const PreparedAppend& append, const Result& rows, int row) {
  const PreparedStream& stream = append.streams.front();
  AppendResult result;
  const std::int64_t version = rows.integer(row, 1);
  if (rows.text(row, 0) == "conflict") {
    result.status = AppendStatus::conflict;
    result.conflict = VersionConflict{*stream.key, stream.expected, Version(version)};
  } else {
    result.streams.push_back({*stream.key, Version(version + 1),
                              Version(version + static_cast<std::int64_t>(stream.events.size())),
                              Position(rows.integer(row, 2)), Position(rows.integer(row, 3))});
  }
  return result;
}

constexpr char separator = '\x1F';  // As in migration 0001.

/// What append_locks() takes for all of them.
Parameters locks_of(std::span<const PreparedAppend> appends) {
  Array commands(Type::text);
  Array streams(Type::text);
  Array writes(Type::boolean);
  const auto add = [&](const StreamKey& key, bool written) {
    streams.add(key.tenant + separator + key.type + separator + key.id);
    writes.add(written);
  };
  for (const PreparedAppend& append : appends) {
    if (append.command) {
      const CommandKey& key = append.command->command->key;
      commands.add(std::string(append.tenant) + separator + key.source + separator + key.request_id);
    }
    for (const PreparedStream& stream : append.streams) add(*stream.key, !stream.events.empty());
    for (const StreamCondition& condition : append.conditions) add(condition.stream, false);
  }
  Parameters parameters;
  parameters.add(commands).add(streams).add(writes);
  return parameters;
}

/// Nobody knows whether the transaction was committed.
bool is_lost(const Session& session, const Error& error) {
  return error.outcome() == Outcome::not_applied && (session.is_lost() || leaves_commit_open(error));
}

std::vector<Result> execute_in_doubt(Session& session, const std::vector<Session::Call>& calls,
                                     const std::function<void()>& written) {
  try {
    return session.execute_together(calls, written);
  } catch (const Error& error) {
    if (is_lost(session, error)) throw as_unknown(error);
    throw;
  }
}

/// The rows of the calls of append(), behind that of the locks.
std::vector<Result> execute_together(Session& session, std::span<const PreparedAppend> appends,
                                     std::optional<std::chrono::milliseconds> patience,
                                     const std::function<void()>& written) {
  std::vector<Parameters> parameters;
  parameters.reserve(appends.size() + 1);
  parameters.push_back(locks_of(appends));
  if (patience) parameters.front().add(Type::text, std::to_string(patience->count()));
  for (const PreparedAppend& append : appends) parameters.push_back(parameters_of(append));
  std::vector<Session::Call> calls;
  calls.reserve(parameters.size());
  calls.push_back({patience ? impatient_lock_call : lock_call, &parameters.front()});
  for (std::size_t i = 1; i < parameters.size(); ++i) calls.push_back({call, &parameters[i]});
  return execute_in_doubt(session, calls, written);
}

/// The rows of append_several(), one for each.
Result execute_several(Session& session, std::span<const PreparedAppend> appends,
                       std::optional<std::chrono::milliseconds> patience, const std::function<void()>& written) {
  Parameters wait;
  const Parameters several = parameters_of_several(appends);
  std::vector<Session::Call> calls;
  if (patience) {
    wait.add(Type::text, std::to_string(patience->count()));
    calls.push_back({patience_call, &wait});
  }
  calls.push_back({several_call, &several});
  return std::move(execute_in_doubt(session, calls, written).back());
}

/// The transaction was committed: nothing that goes wrong now says that the append was not applied.
template <class Understand>
driver::AppendAnswer answer_after_commit(Understand answer) {
  try {
    return {answer(), std::nullopt};
  } catch (const Error& error) {
    return {{}, as_unknown(error)};
  } catch (const std::exception& error) {
    return {{}, as_unknown(make_error(ErrorCode::internal, error.what()))};
  }
}

/// A unique id is taken, and whoever has it is not to be seen: it is another tenant's, and the database keeps them
/// apart.
std::optional<AppendResult> taken_unseen(const Error& error) {
  if (error.sqlstate() != "23505") return std::nullopt;
  AppendResult result;
  if (error.message().find("\"events_event_id\"") != std::string::npos) {
    result.status = AppendStatus::duplicate_event_id;
    result.detail = "an event id is taken";
    return result;
  }
  if (error.message().find("\"commands_command_id_key\"") != std::string::npos) {
    result.status = AppendStatus::request_id_reused;
    result.detail = "the command id belongs to another request";
    return result;
  }
  return std::nullopt;
}

}  // namespace

AppendResult append_one(Session& session, const PreparedAppend& append, steady_clock::time_point deadline) {
  const Parameters parameters = parameters_of(append);
  for (int attempt = 1;; ++attempt) {
    try {
      // Outside a transaction block the call is a transaction of its own: one round trip, the commit included.
      const Result row = session.execute(call, parameters);
      session.require_replicated();
      return understand(session, append, row);
    } catch (const Error& error) {
      if (is_lost(session, error)) throw as_unknown(error);
      if (!worth_another_try(error) || attempt == max_attempts || steady_clock::now() >= deadline) {
        // The first try may have met one that was not committed yet; a later one would have found it, and compared.
        const std::optional<AppendResult> taken = attempt > 1 ? taken_unseen(error) : std::nullopt;
        if (!taken) throw;
        return *taken;
      }
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(attempt));
  }
}

std::vector<driver::AppendAnswer> append_together(Session& session, std::span<const PreparedAppend> appends) {
  std::vector<driver::AppendAnswer> answers;
  answers.reserve(appends.size());
  if (are_plain(appends)) {
    const Result rows = execute_several(session, appends, {}, {});
    for (std::size_t i = 0; i < appends.size(); ++i) {
      const auto row = static_cast<int>(i);
      answers.push_back(answer_after_commit([&] {
        return is_known(rows, row) ? append_one(session, appends[i], steady_clock::now())
                                   : understand_one_of_several(appends[i], rows, row);
      }));
    }
    return answers;
  }
  const std::vector<Result> rows = execute_together(session, appends, {}, {});
  for (std::size_t i = 0; i < appends.size(); ++i) {
    answers.push_back(answer_after_commit([&] { return understand(session, appends[i], rows[i + 1]); }));
  }
  return answers;
}

std::vector<std::optional<driver::AppendAnswer>> append_in_company(Session& session,
                                                                   std::span<const PreparedAppend> appends,
                                                                   std::chrono::milliseconds patience,
                                                                   const std::function<void()>& written) {
  std::vector<std::optional<driver::AppendAnswer>> answers(appends.size());
  if (are_plain(appends)) {
    const Result rows = execute_several(session, appends, patience, written);
    for (std::size_t i = 0; i < appends.size(); ++i) {
      const auto row = static_cast<int>(i);
      if (is_known(rows, row)) continue;
      answers[i] = answer_after_commit([&] { return understand_one_of_several(appends[i], rows, row); });
    }
    return answers;
  }
  const std::vector<Result> rows = execute_together(session, appends, patience, written);
  for (std::size_t i = 0; i < appends.size(); ++i) {
    if (is_found(rows[i + 1])) continue;
    answers[i] = answer_after_commit([&] { return understand(session, appends[i], rows[i + 1]); });
  }
  return answers;
}

}  // namespace stele::postgres
