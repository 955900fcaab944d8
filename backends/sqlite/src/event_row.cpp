#include "event_row.h"

#include "errors.h"

namespace stele::sqlite {
namespace {

/// Columns of event_columns, in its order.
enum Column : int {
  global_position,
  stream_version,
  event_id,
  event_type_no,
  event_version,
  occurred_at,
  recorded_at,
  valid_from,
  valid_to,
  actor_type,
  actor_id,
  source_no,
  channel,
  idempotency_key,
  causation_id,
  correlation_id,
  redaction_level,
  contains_secrets,
  attribute_count,
  data,
  metadata,
  policy_context,
  model_context,
  display,
  command_no,
  command_source_no,
  request_id,
  tenant_no,
  stream_type_no,
  stream_id,
};

template <class Value>
Value listed(std::optional<Value> value, std::string_view column) {
  if (!value) throw make_error(ErrorCode::corrupt, "an event has a value outside the list of " + std::string(column));
  return *value;
}

std::size_t read_json(const Statement& row, int column, std::optional<Json>& json) {
  if (row.is_null(column)) return 0;
  const std::string_view text = row.text(column);
  json.emplace().assign_trusted(text);
  return text.size();
}

void read_attributes(Session& session, Position position, Attributes& attributes) {
  const Use query = session.use("SELECT name_no, value FROM event_attributes WHERE global_position = ?1");
  query->bind(1, position.value());
  while (query->step()) attributes.emplace(session.names().name(query->int64(0)), query->text(1));
}

}  // namespace

std::size_t read_event_row(Session& session, const Statement& row, RecordedEvent& event) {
  Names& names = session.names();
  event.position = Position(row.int64(global_position));
  event.version = Version(row.int64(stream_version));
  event.event_id = row.uuid(event_id);
  event.type = names.name(row.int64(event_type_no));
  event.event_version = static_cast<std::int32_t>(row.int64(event_version));
  event.occurred_at = row.time(occurred_at);
  event.recorded_at = row.time(recorded_at);
  if (!row.is_null(valid_from)) event.valid_from = row.time(valid_from);
  if (!row.is_null(valid_to)) event.valid_to = row.time(valid_to);
  if (!row.is_null(actor_type)) {
    Actor& actor = event.actor.emplace();
    actor.type = listed(parse_actor_type(row.text(actor_type)), "actor_type");
    actor.id = row.text(actor_id);
  }
  if (!row.is_null(source_no)) event.source = names.name(row.int64(source_no));
  if (!row.is_null(channel)) event.channel = listed(parse_channel(row.text(channel)), "channel");
  if (!row.is_null(idempotency_key)) event.idempotency_key = row.text(idempotency_key);
  if (!row.is_null(causation_id)) event.causation_id = row.uuid(causation_id);
  if (!row.is_null(correlation_id)) event.correlation_id = row.uuid(correlation_id);
  event.redaction_level = listed(parse_redaction_level(row.text(redaction_level)), "redaction_level");
  event.contains_secrets = row.int64(contains_secrets) != 0;
  event.stream.tenant = names.name(row.int64(tenant_no));
  event.stream.type = names.name(row.int64(stream_type_no));
  event.stream.id = row.text(stream_id);
  if (!row.is_null(command_no)) {
    CommandKey& command = event.command.emplace();
    command.tenant = event.stream.tenant;
    command.source = names.name(row.int64(command_source_no));
    command.request_id = row.text(request_id);
  }
  if (row.int64(attribute_count) > 0) read_attributes(session, event.position, event.attributes);

  const std::string_view payload = row.text(data);
  event.data.assign_trusted(payload);
  return payload.size() + read_json(row, metadata, event.metadata) +
         read_json(row, policy_context, event.policy_context) + read_json(row, model_context, event.model_context) +
         read_json(row, display, event.display);
}

void fill_page(Session& session, Statement& rows, const driver::PageLimits& limits, driver::EventPage& page) {
  while (rows.step()) {
    if (page.size() == limits.max_events) {
      page.end = false;
      return;
    }
    const std::size_t bytes = read_event_row(session, rows, page.add());
    if (page.size() > 1 && page.bytes() + bytes > limits.max_bytes) {
      page.drop_last();
      page.end = false;
      return;
    }
    page.count_bytes(bytes);
  }
}

}  // namespace stele::sqlite
