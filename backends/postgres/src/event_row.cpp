#include "event_row.h"

#include <algorithm>

#include "errors.h"

namespace stele::postgres {
namespace {

/// Columns of event_columns, in its order.
enum Column : int {
  global_position,
  stream_version,
  event_id,
  event_type,
  event_version,
  occurred_at,
  recorded_at,
  valid_from,
  valid_to,
  actor_type,
  actor_id,
  source,
  channel,
  idempotency_key,
  causation_id,
  correlation_id,
  redaction_level,
  contains_secrets,
  data,
  metadata,
  policy_context,
  model_context,
  display,
  command_source,
  request_id,
  tenant_id,
  stream_type,
  stream_id,
  attributes,
};

template <class Value>
Value listed(std::optional<Value> value, std::string_view column) {
  if (!value) throw make_error(ErrorCode::corrupt, "an event has a value outside the list of " + std::string(column));
  return *value;
}

std::size_t read_json(const Result& rows, int row, int column, std::optional<Json>& json) {
  if (rows.is_null(row, column)) return 0;
  const std::string_view text = rows.json(row, column);
  json.emplace().assign_trusted(text);
  return text.size();
}

}  // namespace

std::size_t read_event_row(const Result& rows, int row, RecordedEvent& event) {
  const auto has = [&](int column) { return !rows.is_null(row, column); };
  event.position = Position(rows.integer(row, global_position));
  event.version = Version(rows.integer(row, stream_version));
  event.event_id = rows.uuid(row, event_id);
  event.type = rows.text(row, event_type);
  event.event_version = static_cast<std::int32_t>(rows.integer(row, event_version));
  event.occurred_at = rows.time(row, occurred_at);
  event.recorded_at = rows.time(row, recorded_at);
  if (has(valid_from)) event.valid_from = rows.time(row, valid_from);
  if (has(valid_to)) event.valid_to = rows.time(row, valid_to);
  if (has(actor_type)) {
    Actor& actor = event.actor.emplace();
    actor.type = listed(parse_actor_type(rows.text(row, actor_type)), "actor_type");
    actor.id = rows.text(row, actor_id);
  }
  if (has(source)) event.source = rows.text(row, source);
  if (has(channel)) event.channel = listed(parse_channel(rows.text(row, channel)), "channel");
  if (has(idempotency_key)) event.idempotency_key = rows.text(row, idempotency_key);
  if (has(causation_id)) event.causation_id = rows.uuid(row, causation_id);
  if (has(correlation_id)) event.correlation_id = rows.uuid(row, correlation_id);
  event.redaction_level = listed(parse_redaction_level(rows.text(row, redaction_level)), "redaction_level");
  event.contains_secrets = rows.boolean(row, contains_secrets);
  event.stream.tenant = rows.text(row, tenant_id);
  event.stream.type = rows.text(row, stream_type);
  event.stream.id = rows.text(row, stream_id);
  if (has(request_id)) {
    CommandKey& command = event.command.emplace();
    command.tenant = event.stream.tenant;
    command.source = rows.text(row, command_source);
    command.request_id = rows.text(row, request_id);
  }
  if (has(attributes)) {
    const std::vector<std::string> pairs = rows.texts(row, attributes);
    for (std::size_t i = 0; i + 1 < pairs.size(); i += 2) event.attributes.emplace(pairs[i], pairs[i + 1]);
  }
  const std::string_view payload = rows.json(row, data);
  event.data.assign_trusted(payload);
  return payload.size() + read_json(rows, row, metadata, event.metadata) +
         read_json(rows, row, policy_context, event.policy_context) +
         read_json(rows, row, model_context, event.model_context) + read_json(rows, row, display, event.display);
}

void fill_page(Session& session, std::string_view sql, Parameters parameters, const driver::PageLimits& limits,
               driver::EventPage& page, Session::Planning planning) {
  // One row more than the page takes shows whether it is the last. Rows that come in vain cost time: fewer are asked
  // for when rows are large.
  const std::size_t room = limits.max_events - page.size();
  const std::size_t wanted = std::min(room + 1, session.rows_for(limits.max_bytes));
  parameters.add(Type::int8, static_cast<std::int64_t>(wanted));
  std::size_t got = 0;
  bool full = false;
  session.for_each_row(
      sql, parameters,
      [&](const Result& row) {
        if (++got > room) {
          full = true;
          return false;
        }
        const std::size_t bytes = read_event_row(row, 0, page.add());
        if (page.size() > 1 && page.bytes() + bytes > limits.max_bytes) {
          page.drop_last();
          full = true;
          return false;
        }
        page.count_bytes(bytes);
        return true;
      },
      planning);
  session.learn_row_size(page.size(), page.bytes());
  page.end = !full && got < wanted;
}

}  // namespace stele::postgres
