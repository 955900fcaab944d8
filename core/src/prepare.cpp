#include "prepare.h"

#include <algorithm>
#include <unordered_set>

#include "governed_driver.h"
#include "sha256.h"
#include "stele/json_pointers.h"
#include "stele/limits.h"
#include "utf8.h"

namespace stele::detail {
namespace {

[[noreturn]] void refuse(std::string_view field, std::string_view why) {
  throw Error(ErrorCode::invalid_argument, std::string(field) + ": " + std::string(why));
}

void check_size(std::string_view field, std::size_t size, std::size_t limit) {
  if (size > limit) {
    throw Error(ErrorCode::too_large,
                std::string(field) + ": " + std::to_string(size) + " bytes, the limit is " + std::to_string(limit));
  }
}

/// A key, a name or an id: not empty, not too long, UTF-8 without NUL.
void check_name(std::string_view field, std::string_view value, std::size_t limit) {
  if (value.empty()) refuse(field, "must not be empty");
  check_size(field, value.size(), limit);
  if (value.find('\0') != std::string_view::npos) refuse(field, "must not contain NUL");
  if (!is_valid_utf8(value)) refuse(field, "is not valid UTF-8");
}

template <class Enum>
void check_listed(std::string_view field, Enum value, Enum last) {
  if (value > last) refuse(field, "is not one of the listed values");
}

void check_id(std::string_view field, const std::optional<Uuid>& id) {
  if (id && id->is_nil()) refuse(field, "must not be the nil UUID");
}

void check_actor(const std::optional<Actor>& actor) {
  if (!actor) return;
  check_listed("actor_type", actor->type, ActorType::system);
  check_name("actor_id", actor->id, limits::actor_id_bytes);
}

std::size_t check_context(std::string_view field, const std::optional<Json>& json) {
  if (!json) return 0;
  if (!json->is_object()) refuse(field, "must be a JSON object");
  check_size(field, json->text().size(), limits::context_bytes);
  return json->text().size();
}

void check_personal(const PersonalData& personal) {
  check_name("personal: subject", personal.subject, limits::subject_bytes);
  try {
    const JsonPointers places(personal.places);
  } catch (const Error& error) {
    refuse("personal", error.message());
  }
}

std::size_t check_event(const NewEvent& event) {
  check_name("event_type", event.type, limits::event_type_bytes);
  if (event.event_version < 1) refuse("event_version", "must be at least 1");
  check_id("event_id", event.event_id);
  check_id("causation_id", event.causation_id);
  check_id("correlation_id", event.correlation_id);
  if (event.valid_from && event.valid_to && *event.valid_to <= *event.valid_from) {
    refuse("valid_to", "must be later than valid_from");
  }
  check_actor(event.actor);
  if (event.source) check_name("source", *event.source, limits::source_bytes);
  if (event.channel) check_listed("channel", *event.channel, Channel::system);
  if (event.idempotency_key) check_name("idempotency_key", *event.idempotency_key, limits::idempotency_key_bytes);
  check_listed("redaction_level", event.redaction_level, RedactionLevel::full);
  // One more says whose key it is encrypted under.
  const std::size_t attributes = event.attributes.size() + (event.personal ? 1 : 0);
  if (attributes > limits::attributes_per_event) {
    throw Error(ErrorCode::too_large, "attributes: " + std::to_string(attributes) + ", the limit is " +
                                          std::to_string(limits::attributes_per_event));
  }
  if (event.personal) {
    if (event.as_stored) refuse("personal", "an event that comes as it was stored elsewhere is not encrypted again");
    check_personal(*event.personal);
    if (event.idempotency_key && !event.event_id) {
      refuse("personal", "with an idempotency_key it needs an event_id: only by that a repetition is encrypted alike");
    }
  }
  for (const auto& [name, value] : event.attributes) {
    check_name("attributes: name", name, limits::attribute_name_bytes);
    if (!event.as_stored && name.starts_with(own_attributes)) {
      refuse("attributes: name",
             name + " is the store's own; an event of another store says that it is imported as stored");
    }
    check_name("attributes: value of " + name, value, limits::attribute_value_bytes);
  }
  if (const auto key = event.attributes.find(std::string(key_attribute)); key != event.attributes.end()) {
    const std::optional<Uuid> id = Uuid::parse(key->second);
    const std::vector<Uuid> ids = key_ids_of(event.data);
    if (!id || std::find(ids.begin(), ids.end(), *id) == ids.end()) {
      refuse("attributes",
             std::string(key_attribute) + " says that data is encrypted, and nothing in it is under that key");
    }
  }
  check_size("data", event.data.text().size(), limits::data_bytes);
  return event.data.text().size() + check_context("metadata", event.metadata) +
         check_context("policy_context", event.policy_context) + check_context("model_context", event.model_context) +
         check_context("display", event.display);
}

void check_expected(const ExpectedVersion& expected) {
  if (expected.kind() == ExpectedVersion::Kind::exactly && expected.version() < Version(0)) {
    refuse("expected version", "must not be negative");
  }
}

void check_command(const Command& command) {
  check_command_key(command.key);
  check_name("command_type", command.type, limits::command_type_bytes);
  check_id("command_id", command.command_id);
  check_actor(command.actor);
  if (command.channel) check_listed("channel", *command.channel, Channel::system);
  if (command.stream) check_stream_key(*command.stream);
  if (command.personal) check_personal(*command.personal);
  if (command.data) check_size("command data", command.data->text().size(), limits::data_bytes);
}

std::string_view tenant_of(const AppendRequest& request) {
  if (!request.streams.empty()) return request.streams.front().stream.tenant;
  if (!request.conditions.empty()) return request.conditions.front().stream.tenant;
  return request.command->key.tenant;
}

/// A text in which every field is preceded by its length, so that no two different requests give the same text.
class FingerprintText {
 public:
  void add(std::string_view field) {
    text_ += std::to_string(field.size());
    text_ += ':';
    text_ += field;
  }
  void add(std::int64_t number) { add(std::string_view(std::to_string(number))); }
  void add(const Json& json) { add(std::string_view(json.canonical())); }
  void add(const Uuid& id) {
    add(std::string_view(reinterpret_cast<const char*>(id.bytes().data()), id.bytes().size()));
  }
  void add(const Timestamp& time) { add(time.micros()); }
  void add(const Actor& actor) {
    add(to_string(actor.type));
    add(std::string_view(actor.id));
  }
  void add(Channel channel) { add(to_string(channel)); }
  void add(const std::string& field) { add(std::string_view(field)); }
  void add(const StreamKey& key) {
    add(std::string_view(key.type));
    add(std::string_view(key.id));
  }
  template <class T>
  void add(const std::optional<T>& field) {
    text_ += field ? '+' : '-';
    if (field) add(*field);
  }
  const std::string& text() const noexcept { return text_; }

 private:
  std::string text_;
};

}  // namespace

void check_tenant(std::string_view tenant) {
  check_name("tenant_id", tenant, limits::tenant_id_bytes);
}

void check_stream_key(const StreamKey& key) {
  check_name("tenant_id", key.tenant, limits::tenant_id_bytes);
  check_name("stream_type", key.type, limits::stream_type_bytes);
  check_name("stream_id", key.id, limits::stream_id_bytes);
}

void check_command_key(const CommandKey& key) {
  check_name("tenant_id", key.tenant, limits::tenant_id_bytes);
  check_name("source", key.source, limits::source_bytes);
  check_name("request_id", key.request_id, limits::request_id_bytes);
}

void check_event_form(const EventForm& form) {
  check_name("event_type", form.type, limits::event_type_bytes);
  if (form.event_version < 1) refuse("event_version", "must be at least 1");
}

void check_append(const AppendRequest& request) {
  const std::size_t stream_count = request.streams.size() + request.conditions.size();
  if (stream_count == 0 && !request.command) refuse("append", "names no stream and no command");
  if (stream_count > limits::streams_per_append) {
    throw Error(ErrorCode::too_large, "streams: " + std::to_string(stream_count) + ", the limit is " +
                                          std::to_string(limits::streams_per_append));
  }
  if (request.command) check_command(*request.command);

  const std::string_view tenant = tenant_of(request);
  std::vector<const StreamKey*> keys;
  const auto check_key = [&](const StreamKey& key) {
    check_stream_key(key);
    if (key.tenant != tenant) refuse("tenant_id", "one append writes for one tenant");
    keys.push_back(&key);
  };

  std::size_t event_count = 0;
  std::size_t bytes = 0;
  for (const StreamAppend& stream : request.streams) event_count += stream.events.size();
  if (event_count > limits::events_per_append) {
    throw Error(ErrorCode::too_large, "events: " + std::to_string(event_count) + ", the limit is " +
                                          std::to_string(limits::events_per_append));
  }
  if (request.command && request.command->data) bytes += request.command->data->text().size();
  std::unordered_set<Uuid> ids;
  for (const StreamAppend& stream : request.streams) {
    check_key(stream.stream);
    check_expected(stream.expected);
    std::unordered_set<std::string_view> idempotency_keys;
    for (const NewEvent& event : stream.events) {
      if (stream.stream.type.starts_with(own_attributes) && !event.as_stored) {
        refuse("stream_type", stream.stream.type + " is the store's own");
      }
      bytes += check_event(event);
      if (event.event_id && !ids.insert(*event.event_id).second) {
        refuse("event_id", event.event_id->to_string() + " comes twice in this append");
      }
      if (event.idempotency_key && !idempotency_keys.insert(*event.idempotency_key).second) {
        refuse("idempotency_key",
               *event.idempotency_key + " comes twice in this append to " + stream.stream.to_string());
      }
    }
  }
  check_size("append", bytes, limits::append_bytes);
  for (const StreamCondition& condition : request.conditions) {
    check_key(condition.stream);
    check_expected(condition.expected);
  }
  if (request.command) {
    if (request.command->key.tenant != tenant ||
        (request.command->stream && request.command->stream->tenant != tenant)) {
      refuse("tenant_id", "one append writes for one tenant, its command's");
    }
  }
  if (keys.size() > 1) {
    std::sort(keys.begin(), keys.end(), [](const StreamKey* a, const StreamKey* b) { return *a < *b; });
    const auto twice =
        std::adjacent_find(keys.begin(), keys.end(), [](const StreamKey* a, const StreamKey* b) { return *a == *b; });
    if (twice != keys.end()) refuse("stream", (*twice)->to_string() + " comes twice in this append");
  }
}

void check_page_size(std::size_t limit) {
  if (limit < 1 || limit > 10'000) refuse("limit", "must be between 1 and 10000");
}

void check_read(const StreamReadOptions& options) {
  if (options.from < Version(1)) refuse("from", "versions begin at 1");
  if (options.to && *options.to < Version(0)) refuse("to", "must not be negative");
}

void check_read(const LogReadOptions& options) {
  if (options.after < Position(0)) refuse("after", "must not be negative");
  if (options.before && *options.before < Position(0)) refuse("before", "must not be negative");
  const LogFilter& filter = options.filter;
  if (filter.tenant) check_name("tenant_id", *filter.tenant, limits::tenant_id_bytes);
  for (const auto& type : filter.stream_types) check_name("stream_type", type, limits::stream_type_bytes);
  for (const auto& type : filter.event_types) check_name("event_type", type, limits::event_type_bytes);
  if (filter.stream_types.size() > 100 || filter.event_types.size() > 100) refuse("filter", "at most 100 types");
  if (filter.source) check_name("source", *filter.source, limits::source_bytes);
  if (filter.actor_type) check_listed("actor_type", *filter.actor_type, ActorType::system);
  if (filter.actor_id) check_name("actor_id", *filter.actor_id, limits::actor_id_bytes);
  if (filter.attributes.size() > limits::attributes_per_event) refuse("attributes", "too many in one filter");
  for (const auto& [name, value] : filter.attributes) {
    check_name("attributes: name", name, limits::attribute_name_bytes);
    check_name("attributes: value", value, limits::attribute_value_bytes);
  }
}

void check_list(const StreamListOptions& options) {
  check_name("tenant_id", options.tenant, limits::tenant_id_bytes);
  if (options.type) check_name("stream_type", *options.type, limits::stream_type_bytes);
  if (!options.id_prefix.empty()) check_name("prefix", options.id_prefix, limits::stream_id_bytes);
  if (options.after) check_stream_key(*options.after);
  check_page_size(options.limit);
}

void check_snapshot(const Snapshot& snapshot) {
  check_stream_key(snapshot.stream);
  if (snapshot.version < Version(1)) refuse("snapshot version", "must be at least 1");
  if (snapshot.schema_version < 1) refuse("schema_version", "must be at least 1");
  check_size("state", snapshot.state.text().size(), limits::data_bytes);
  check_context("metadata", snapshot.metadata);
}

void check_find_snapshot(const StreamKey& stream, const std::optional<Version>& at,
                         const std::optional<std::int32_t>& schema_version) {
  check_stream_key(stream);
  if (at && *at < Version(0)) refuse("at", "must not be negative");
  if (schema_version && *schema_version < 1) refuse("schema_version", "must be at least 1");
}

namespace {

void check_which_streams(const std::string& tenant, const std::optional<std::string>& type,
                         const std::optional<std::string>& id) {
  check_name("tenant_id", tenant, limits::tenant_id_bytes);
  if (type) check_name("stream_type", *type, limits::stream_type_bytes);
  if (id) check_name("stream_id", *id, limits::stream_id_bytes);
  if (id && !type) refuse("stream_id", "needs a stream_type");
}

}  // namespace

void check_list(const SnapshotListOptions& options) {
  check_which_streams(options.tenant, options.stream_type, options.stream_id);
  if (options.after) {
    check_stream_key(options.after->stream);
    if (options.after->stream.tenant != options.tenant) refuse("after", "is of another tenant");
  }
  check_page_size(options.limit);
}

void check_deletion(const SnapshotDeletion& which) {
  check_which_streams(which.tenant, which.stream_type, which.stream_id);
  if (which.keep < 0) refuse("keep", "must not be negative");
}

namespace {

const StreamKey* first_appended_to(const AppendRequest& request) {
  for (const StreamAppend& stream : request.streams) {
    if (!stream.events.empty()) return &stream.stream;
  }
  return request.streams.empty() ? nullptr : &request.streams.front().stream;
}

}  // namespace

driver::Fingerprint fingerprint_of(const driver::PreparedAppend& append, const FingerprintForms& forms) {
  const Command& command = *append.command->command;
  FingerprintText text;
  text.add(std::string_view("stele-1"));  // So that a later rule cannot be mistaken for this one.
  text.add(command.type);
  text.add(command.command_id);
  text.add(command.stream);
  text.add(command.actor);
  text.add(command.channel);
  text.add(forms.command_data ? forms.command_data : command.data);
  for (const driver::PreparedStream& stream : append.streams) {
    if (stream.events.empty()) continue;  // It only checks; see stele::Command.
    text.add(*stream.key);
    text.add(static_cast<std::int64_t>(stream.events.size()));
    for (const driver::PreparedEvent& prepared : stream.events) {
      const NewEvent& event = *prepared.event;
      const auto form = forms.data.find(&event);
      text.add(event.type);
      text.add(event.event_version);
      text.add(event.event_id);
      text.add(event.occurred_at);
      text.add(event.valid_from);
      text.add(event.valid_to);
      text.add(event.actor);
      text.add(event.source);
      text.add(event.channel);
      text.add(event.idempotency_key);
      text.add(event.causation_id);
      text.add(event.correlation_id);
      text.add(to_string(event.redaction_level));
      text.add(std::int64_t{event.contains_secrets});
      text.add(form != forms.data.end() ? form->second : event.data);
      text.add(event.metadata);
      text.add(event.policy_context);
      text.add(event.model_context);
      text.add(event.display);
      text.add(static_cast<std::int64_t>(event.attributes.size()));
      for (const auto& [name, value] : event.attributes) {
        text.add(name);
        text.add(value);
      }
    }
  }
  return sha256(text.text());
}

driver::PreparedAppend prepare_append(const AppendRequest& request) {
  driver::PreparedAppend prepared;
  prepared.tenant = tenant_of(request);
  prepared.conditions = request.conditions;
  if (request.command) {
    const Command& command = *request.command;
    const StreamKey* stream = command.stream ? &*command.stream : first_appended_to(request);
    prepared.command = driver::PreparedCommand{.command = &command,
                                               .command_id = command.command_id ? *command.command_id : Uuid::v7(),
                                               .command_id_given = command.command_id.has_value(),
                                               .stream = stream,
                                               .fingerprint = {}};
  }
  prepared.streams.reserve(request.streams.size());
  const Timestamp now = Timestamp::now();
  for (const StreamAppend& stream : request.streams) {
    driver::PreparedStream& to =
        prepared.streams.emplace_back(driver::PreparedStream{&stream.stream, stream.expected, {}});
    to.events.reserve(stream.events.size());
    for (const NewEvent& event : stream.events) {
      const bool under_command = request.command.has_value();
      driver::PreparedEvent& e = to.events.emplace_back();
      e.event = &event;
      e.event_id = event.event_id ? *event.event_id : Uuid::v7();
      e.event_id_given = event.event_id.has_value();
      e.occurred_at = event.occurred_at ? *event.occurred_at : now;
      e.occurred_at_given = event.occurred_at.has_value();
      e.source = event.source ? &*event.source : under_command ? &request.command->key.source : nullptr;
      e.channel = event.channel ? event.channel : under_command ? request.command->channel : std::nullopt;
      e.causation_id = event.causation_id;
      e.causation_id_given = event.causation_id.has_value();
      if (under_command && !e.causation_id) e.causation_id = prepared.command->command_id;
    }
  }
  if (prepared.command) prepared.command->fingerprint = fingerprint_of(prepared);
  return prepared;
}

void look_for_earlier_try(driver::PreparedAppend& append) noexcept {
  for (driver::PreparedStream& stream : append.streams) {
    for (driver::PreparedEvent& event : stream.events) event.event_id_given = true;
  }
  if (append.command) append.command->command_id_given = true;
}

}  // namespace stele::detail
