#include "stele/event_json.h"

#include <array>
#include <charconv>
#include <vector>

#include "json_names.h"
#include "json_sax.h"
#include "json_write.h"
#include "nearest_name.h"
#include "stele/error.h"

namespace stele {
namespace {

using detail::JsonObjectWriter;

// --- Writing

void write_stream(const StreamKey& stream, JsonObjectWriter& to) {
  if (stream.tenant != default_tenant) to.text("tenant_id", stream.tenant);
  to.text("stream_type", stream.type);
  to.text("stream_id", stream.id);
}

void write(std::string_view name, const std::optional<std::string>& value, JsonObjectWriter& to) {
  if (value) to.text(name, *value);
}
void write(std::string_view name, const std::optional<Uuid>& value, JsonObjectWriter& to) {
  if (value) to.text(name, value->to_string());
}
void write(std::string_view name, const std::optional<Timestamp>& value, JsonObjectWriter& to) {
  if (value) to.text(name, value->to_string());
}
void write(std::string_view name, const std::optional<Json>& value, JsonObjectWriter& to) {
  if (value) to.json(name, value->text());
}
void write(const std::optional<Actor>& actor, JsonObjectWriter& to) {
  if (!actor) return;
  to.text("actor_type", to_string(actor->type));
  to.text("actor_id", actor->id);
}

void write(std::string_view name, const std::vector<StreamOutcome>& outcome, JsonObjectWriter& to) {
  std::string& out = to.name(name);
  out += '[';
  for (std::size_t i = 0; i < outcome.size(); ++i) {
    if (i != 0) out += ',';
    JsonObjectWriter object(out);
    write_stream(outcome[i].stream, object);
    object.safe_integer("first_version", outcome[i].first_version.value());
    object.safe_integer("last_version", outcome[i].last_version.value());
    if (outcome[i].last_position != Position()) {
      object.safe_integer("first_position", outcome[i].first_position.value());
      object.safe_integer("last_position", outcome[i].last_position.value());
    }
    object.end();
  }
  out += ']';
}

// --- Reading

enum class Kind : std::uint8_t { object, array, string, number, boolean, null };

struct Member {
  std::string name;
  Kind kind = Kind::null;
  std::string text;  // A string's characters; any other value as it is written.
};

/// Collects the members of the outermost object, and checks that no object has a name twice.
class MemberCollector {
 public:
  explicit MemberCollector(std::string_view text) : text_(text) {}

  void open(bool object, std::size_t end) {
    if (depth_ == 0 && !object) detail::fail_json("the line has to be an object, but an array begins", end - 1);
    names_.open(object);
    if (depth_++ == 1) begin_ = end - 1;
  }
  void close(bool object, std::size_t end) {
    names_.close(object);
    if (--depth_ == 1) take(object ? Kind::object : Kind::array, text_.substr(begin_, end - begin_));
  }
  void name(std::string_view name, std::size_t end) {
    if (depth_ == 1) refuse_twice(name);
    names_.name(name, end);
    if (depth_ == 1) members.push_back({std::string(name), Kind::null, {}});
  }
  void string(std::string_view value, std::size_t) { take(Kind::string, value); }
  void number(std::string_view value, std::size_t) { take(Kind::number, value); }
  void literal(std::string_view word, std::size_t) { take(word == "null" ? Kind::null : Kind::boolean, word); }

  std::vector<Member> members;

 private:
  void take(Kind kind, std::string_view text) {
    if (depth_ != 1) return;
    members.back().kind = kind;
    members.back().text = text;
  }

  void refuse_twice(std::string_view name) const {
    for (const Member& member : members) {
      if (member.name == name) throw Error(ErrorCode::invalid_argument, "field \"" + member.name + "\": comes twice");
    }
  }

  std::string_view text_;
  detail::JsonNames names_;
  std::size_t depth_ = 0;
  std::size_t begin_ = 0;
};

std::vector<Member> members_of(std::string_view object) {
  MemberCollector collector(object);
  // A payload may be nested as deeply as the limit says within the line.
  detail::scan_json(object, collector, {.depth = limits::json_depth + 1});
  return std::move(collector.members);
}

std::string_view words(Kind kind) {
  switch (kind) {
    case Kind::object: return "an object";
    case Kind::array: return "an array";
    case Kind::string: return "a string";
    case Kind::number: return "a number";
    case Kind::boolean: return "true or false";
    case Kind::null: return "null";
  }
  return "?";
}

[[noreturn]] void refuse(std::string_view field, std::string_view why) {
  throw Error(ErrorCode::invalid_argument, "field \"" + std::string(field) + "\": " + std::string(why));
}

void require(const Member& member, Kind kind) {
  if (member.kind != kind)
    refuse(member.name, "has to be " + std::string(words(kind)) + ", not " + std::string(words(member.kind)));
}

std::string& string(Member& member) {
  require(member, Kind::string);
  return member.text;
}

Uuid uuid(Member& member) {
  const std::optional<Uuid> id = Uuid::parse(string(member));
  if (!id) refuse(member.name, "is not a UUID");
  return *id;
}

Timestamp timestamp(Member& member) {
  try {
    return Timestamp::parse(string(member));
  } catch (const Error& error) {
    refuse(member.name, error.message());
  }
}

/// As JsonObjectWriter::safe_integer() writes it.
std::int64_t positive(Member& member) {
  if (member.kind != Kind::string) require(member, Kind::number);
  std::int64_t value = 0;
  const char* const end = member.text.data() + member.text.size();
  const auto read = std::from_chars(member.text.data(), end, value);
  if (read.ec != std::errc() || read.ptr != end || value < 1) refuse(member.name, "has to be a whole number from 1 on");
  return value;
}

std::int32_t number(Member& member) {
  require(member, Kind::number);
  std::int32_t value = 0;
  const char* const end = member.text.data() + member.text.size();
  const auto read = std::from_chars(member.text.data(), end, value);
  if (read.ec != std::errc() || read.ptr != end) refuse(member.name, "has to be a whole number from 1 to 2147483647");
  return value;
}

Json context(Member& member) {
  require(member, Kind::object);
  return Json::trusted(std::move(member.text));
}

Attributes attributes(Member& member) {
  require(member, Kind::object);
  Attributes read;
  for (Member& attribute : members_of(member.text)) {
    if (attribute.kind != Kind::string)
      refuse(member.name, "the value of \"" + attribute.name + "\" has to be a string");
    read.emplace(std::move(attribute.name), std::move(attribute.text));
  }
  return read;
}

template <class Enum>
Enum listed(Member& member, std::optional<Enum> (*parse)(std::string_view) noexcept, std::string_view list) {
  const std::optional<Enum> value = parse(string(member));
  if (!value) refuse(member.name, "has to be one of " + std::string(list));
  return *value;
}

/// What is read field by field and is only whole together.
struct Draft {
  ImportedEvent line;
  std::optional<ActorType> actor_type;
  std::optional<std::string> actor_id;
  bool has_data = false;
  std::optional<Position> position;  // These three: the store's own.
  std::optional<Version> version;
  std::optional<Timestamp> recorded_at;
};

struct Field {
  std::string_view name;
  void (*read)(Member& member, Draft& draft);
  bool of_store = false;  // An import ignores it.
};

constexpr auto fields = std::to_array<Field>({
    {"global_position", [](Member& m, Draft& d) { d.position = Position(positive(m)); }, true},
    {"stream_version", [](Member& m, Draft& d) { d.version = Version(positive(m)); }, true},
    {"recorded_at", [](Member& m, Draft& d) { d.recorded_at = timestamp(m); }, true},
    {"event_id", [](Member& m, Draft& d) { d.line.event.event_id = uuid(m); }},
    {"tenant_id", [](Member& m, Draft& d) { d.line.stream.tenant = string(m); }},
    {"stream_type", [](Member& m, Draft& d) { d.line.stream.type = string(m); }},
    {"stream_id", [](Member& m, Draft& d) { d.line.stream.id = string(m); }},
    {"event_type", [](Member& m, Draft& d) { d.line.event.type = string(m); }},
    {"event_version", [](Member& m, Draft& d) { d.line.event.event_version = number(m); }},
    {"occurred_at", [](Member& m, Draft& d) { d.line.event.occurred_at = timestamp(m); }},
    {"valid_from", [](Member& m, Draft& d) { d.line.event.valid_from = timestamp(m); }},
    {"valid_to", [](Member& m, Draft& d) { d.line.event.valid_to = timestamp(m); }},
    {"actor_type",
     [](Member& m, Draft& d) { d.actor_type = listed(m, parse_actor_type, "user, service, agent, system"); }},
    {"actor_id", [](Member& m, Draft& d) { d.actor_id = string(m); }},
    {"source", [](Member& m, Draft& d) { d.line.event.source = string(m); }},
    {"channel",
     [](Member& m, Draft& d) { d.line.event.channel = listed(m, parse_channel, "ui, api, import, webhook, system"); }},
    {"request_id", [](Member& m, Draft& d) { d.line.request_id = string(m); }},
    {"command_source", [](Member& m, Draft& d) { d.line.command_source = string(m); }},
    {"command_id", [](Member& m, Draft& d) { d.line.command_id = uuid(m); }},
    {"idempotency_key", [](Member& m, Draft& d) { d.line.event.idempotency_key = string(m); }},
    {"causation_id", [](Member& m, Draft& d) { d.line.event.causation_id = uuid(m); }},
    {"correlation_id", [](Member& m, Draft& d) { d.line.event.correlation_id = uuid(m); }},
    {"redaction_level",
     [](Member& m, Draft& d) { d.line.event.redaction_level = listed(m, parse_redaction_level, "none, partial, full"); }},
    {"contains_secrets",
     [](Member& m, Draft& d) {
       require(m, Kind::boolean);
       d.line.event.contains_secrets = m.text == "true";
     }},
    {"data",
     [](Member& m, Draft& d) {
       if (m.kind != Kind::object && m.kind != Kind::array) refuse(m.name, "has to be an object or an array");
       d.line.event.data = Json::trusted(std::move(m.text));
       d.has_data = true;
     }},
    {"metadata", [](Member& m, Draft& d) { d.line.event.metadata = context(m); }},
    {"policy_context", [](Member& m, Draft& d) { d.line.event.policy_context = context(m); }},
    {"model_context", [](Member& m, Draft& d) { d.line.event.model_context = context(m); }},
    {"display", [](Member& m, Draft& d) { d.line.event.display = context(m); }},
    {"attributes", [](Member& m, Draft& d) { d.line.event.attributes = attributes(m); }},
});

const Field& field_named(std::string_view name) {
  for (const Field& field : fields) {
    if (field.name == name) return field;
  }
  std::array<std::string_view, fields.size()> names;
  for (std::size_t i = 0; i < fields.size(); ++i) names[i] = fields[i].name;
  throw Error(ErrorCode::invalid_argument,
              "field \"" + std::string(name) + "\": is unknown" + detail::suggestion(name, names));
}

}  // namespace

std::string to_json_line(const RecordedEvent& event) {
  std::string line;
  line.reserve(512 + event.data.text().size());
  JsonObjectWriter to(line);
  to.safe_integer("global_position", event.position.value());
  to.safe_integer("stream_version", event.version.value());
  to.text("recorded_at", event.recorded_at.to_string());
  to.text("event_id", event.event_id.to_string());
  write_stream(event.stream, to);
  to.text("event_type", event.type);
  to.integer("event_version", event.event_version);
  to.text("occurred_at", event.occurred_at.to_string());
  write("valid_from", event.valid_from, to);
  write("valid_to", event.valid_to, to);
  write(event.actor, to);
  write("source", event.source, to);
  if (event.channel) to.text("channel", to_string(*event.channel));
  if (event.command) {
    to.text("request_id", event.command->request_id);
    if (event.command->source != event.source) to.text("command_source", event.command->source);
  }
  write("idempotency_key", event.idempotency_key, to);
  write("causation_id", event.causation_id, to);
  write("correlation_id", event.correlation_id, to);
  if (event.redaction_level != RedactionLevel::none) to.text("redaction_level", to_string(event.redaction_level));
  if (event.contains_secrets) to.boolean("contains_secrets", true);
  to.json("data", event.data.text());
  write("metadata", event.metadata, to);
  write("policy_context", event.policy_context, to);
  write("model_context", event.model_context, to);
  write("display", event.display, to);
  if (!event.attributes.empty()) {
    JsonObjectWriter object(to.name("attributes"));
    for (const auto& [name, value] : event.attributes) object.escaped_name_text(name, value);
    object.end();
  }
  to.end();
  return line;
}

std::string to_json_line(const StreamInfo& info) {
  std::string line;
  JsonObjectWriter to(line);
  write_stream(info.stream, to);
  to.safe_integer("stream_version", info.version.value());
  to.text("created_at", info.created_at.to_string());
  to.text("last_recorded_at", info.last_recorded_at.to_string());
  to.end();
  return line;
}

std::string to_json_line(const CommandRecord& record) {
  std::string line;
  JsonObjectWriter to(line);
  if (record.key.tenant != default_tenant) to.text("tenant_id", record.key.tenant);
  to.text("source", record.key.source);
  to.text("request_id", record.key.request_id);
  to.text("command_id", record.command_id.to_string());
  to.text("command_type", record.type);
  if (record.stream) {
    to.text("stream_type", record.stream->type);
    to.text("stream_id", record.stream->id);
  }
  write(record.actor, to);
  if (record.channel) to.text("channel", to_string(*record.channel));
  to.text("recorded_at", record.recorded_at.to_string());
  write("data", record.data, to);
  write("streams", record.outcome, to);
  to.end();
  return line;
}

std::string to_json_line(const AppendResult& result) {
  std::string line;
  JsonObjectWriter to(line);
  to.text("status", to_string(result.status));
  if (result.ok()) write("streams", result.streams, to);
  if (result.conflict) {
    JsonObjectWriter object(to.name("conflict"));
    write_stream(result.conflict->stream, object);
    object.text("expected", result.conflict->expected.to_string());
    object.safe_integer("actual", result.conflict->actual.value());
    object.end();
  }
  if (!result.detail.empty()) to.text("detail", result.detail);
  to.end();
  return line;
}

std::string to_json_line(const StoreStats& stats) {
  std::string line;
  JsonObjectWriter to(line);
  to.safe_integer("events", stats.events);
  to.safe_integer("streams", stats.streams);
  to.safe_integer("commands", stats.commands);
  to.safe_integer("last_position", stats.last_position.value());
  write("first_recorded_at", stats.first_recorded_at, to);
  write("last_recorded_at", stats.last_recorded_at, to);
  to.safe_integer("bytes", stats.bytes);
  std::string& out = to.name("events_by_type");
  out += '[';
  for (std::size_t i = 0; i < stats.events_by_type.size(); ++i) {
    if (i != 0) out += ',';
    JsonObjectWriter object(out);
    object.text("event_type", stats.events_by_type[i].first);
    object.safe_integer("events", stats.events_by_type[i].second);
    object.end();
  }
  out += ']';
  to.end();
  return line;
}

std::optional<CommandKey> ImportedEvent::command_key() const {
  if (!request_id) return std::nullopt;
  const std::optional<std::string>& source = command_source ? command_source : event.source;
  if (!source) refuse("source", "is required with a request_id");
  return CommandKey{stream.tenant, *source, *request_id};
}

namespace {

Draft parse(std::string_view line, bool of_store) {
  Draft draft;
  draft.line.stream.tenant = default_tenant;
  for (Member& member : members_of(line)) {
    const Field& field = field_named(member.name);
    if (field.of_store && !of_store) continue;
    if (member.kind != Kind::null) field.read(member, draft);
  }
  ImportedEvent& read = draft.line;
  for (const auto& [name, value] : {std::pair<std::string_view, const std::string&>("stream_type", read.stream.type),
                                    {"stream_id", read.stream.id},
                                    {"event_type", read.event.type}}) {
    if (value.empty()) refuse(name, "is required and must not be empty");
  }
  if (!draft.has_data) refuse("data", "is required");
  if (draft.actor_type.has_value() != draft.actor_id.has_value()) {
    refuse(draft.actor_id ? "actor_type" : "actor_id", "is required: an actor has a type and an id");
  }
  if (draft.actor_type) read.event.actor = Actor{*draft.actor_type, std::move(*draft.actor_id)};
  if (!read.request_id && read.command_source) refuse("request_id", "is required with a command_source");
  if (!read.request_id && read.command_id) refuse("request_id", "is required with a command_id");
  static_cast<void>(read.command_key());
  return draft;
}

}  // namespace

ImportedEvent parse_event_line(std::string_view line) {
  return std::move(parse(line, false).line);
}

RecordedEvent parse_recorded_line(std::string_view line) {
  Draft draft = parse(line, true);
  NewEvent& read = draft.line.event;
  for (const auto& [name, there] : {std::pair<std::string_view, bool>("global_position", draft.position.has_value()),
                                    {"stream_version", draft.version.has_value()},
                                    {"recorded_at", draft.recorded_at.has_value()},
                                    {"event_id", read.event_id.has_value()},
                                    {"occurred_at", read.occurred_at.has_value()}}) {
    if (!there) refuse(name, "is required");
  }
  if (draft.line.command_id) refuse("command_id", "is not a field of a recorded event");
  RecordedEvent event;
  event.command = draft.line.command_key();
  static_cast<EventFields&>(event) = std::move(static_cast<EventFields&>(read));
  event.position = *draft.position;
  event.stream = std::move(draft.line.stream);
  event.version = *draft.version;
  event.event_id = *read.event_id;
  event.occurred_at = *read.occurred_at;
  event.recorded_at = *draft.recorded_at;
  return event;
}

}  // namespace stele
