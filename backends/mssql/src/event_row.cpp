#include "event_row.h"

#include <algorithm>
#include <vector>

#include "errors.h"

namespace stele::mssql {
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
  attribute_count,
  command_source,
  request_id,
  tenant_id,
  stream_type,
  stream_id,
  data,
  metadata,
  policy_context,
  model_context,
  display,
};

template <class Value>
Value listed(std::optional<Value> value, std::string_view column) {
  if (!value) throw make_error(ErrorCode::corrupt, "an event has a value outside the list of " + std::string(column));
  return *value;
}

std::size_t read_json(const Result& row, int column, std::optional<Json>& json) {
  if (row.is_null(0, column)) return 0;
  const std::string_view text = row.json(0, column);
  json.emplace().assign_trusted(text);
  return text.size();
}

/// Fills a cleared event, without its attributes. Returns the bytes of its JSON.
std::size_t read_event_row(const Result& row, RecordedEvent& event) {
  const auto has = [&](int column) { return !row.is_null(0, column); };
  event.position = Position(row.integer(0, global_position));
  event.version = Version(row.integer(0, stream_version));
  event.event_id = row.uuid(0, event_id);
  event.type = row.text(0, event_type);
  event.event_version = static_cast<std::int32_t>(row.integer(0, event_version));
  event.occurred_at = row.time(0, occurred_at);
  event.recorded_at = row.time(0, recorded_at);
  if (has(valid_from)) event.valid_from = row.time(0, valid_from);
  if (has(valid_to)) event.valid_to = row.time(0, valid_to);
  if (has(actor_type)) {
    Actor& actor = event.actor.emplace();
    actor.type = listed(parse_actor_type(row.text(0, actor_type)), "actor_type");
    actor.id = row.text(0, actor_id);
  }
  if (has(source)) event.source = row.text(0, source);
  if (has(channel)) event.channel = listed(parse_channel(row.text(0, channel)), "channel");
  if (has(idempotency_key)) event.idempotency_key = row.text(0, idempotency_key);
  if (has(causation_id)) event.causation_id = row.uuid(0, causation_id);
  if (has(correlation_id)) event.correlation_id = row.uuid(0, correlation_id);
  event.redaction_level = listed(parse_redaction_level(row.text(0, redaction_level)), "redaction_level");
  event.contains_secrets = row.boolean(0, contains_secrets);
  event.stream.tenant = row.text(0, tenant_id);
  event.stream.type = row.text(0, stream_type);
  event.stream.id = row.text(0, stream_id);
  if (has(request_id)) {
    CommandKey& command = event.command.emplace();
    command.tenant = event.stream.tenant;
    command.source = row.text(0, command_source);
    command.request_id = row.text(0, request_id);
  }
  const std::string_view payload = row.json(0, data);
  event.data.assign_trusted(payload);
  return payload.size() + read_json(row, metadata, event.metadata) +
         read_json(row, policy_context, event.policy_context) + read_json(row, model_context, event.model_context) +
         read_json(row, display, event.display);
}

/// Reads the attributes of these events of a page, which are in the order of their positions or against it.
void read_attributes(Session& session, std::vector<RecordedEvent*> events) {
  if (events.empty()) return;
  if (events.front()->position > events.back()->position) std::reverse(events.begin(), events.end());
  // Few statements, each for a number of positions: what is left over repeats the last one.
  constexpr std::size_t sizes[] = {1, 20, 400};
  for (std::size_t begin = 0; begin < events.size();) {
    const std::size_t left = events.size() - begin;
    const std::size_t size = left <= sizes[0] ? sizes[0] : left <= sizes[1] ? sizes[1] : sizes[2];
    const std::size_t taken = std::min(left, size);
    std::string sql = "SELECT global_position, name, value FROM $(schema).event_attributes WHERE global_position IN (?";
    for (std::size_t i = 1; i < size; ++i) sql += ",?";
    sql += ") ORDER BY global_position";
    Parameters parameters;
    for (std::size_t i = 0; i < size; ++i) {
      parameters.add(Type::int8, events[begin + std::min(i, taken - 1)]->position.value());
    }
    std::size_t at = begin;
    session.for_each_row(sql, parameters, [&](const Result& row) {
      const Position position(row.integer(0, 0));
      while (at < events.size() && events[at]->position < position) ++at;
      if (at < events.size() && events[at]->position == position) {
        events[at]->attributes.emplace(row.text(0, 1), row.text(0, 2));
      }
      return true;
    });
    begin += taken;
  }
}

}  // namespace

void fill_page(Session& session, std::string_view sql, Parameters parameters, const driver::PageLimits& limits,
               driver::EventPage& page) {
  // One row more than the page takes shows whether it is the last. Rows that come in vain cost time: fewer are asked
  // for when rows are large.
  const std::size_t room = limits.max_events - page.size();
  const std::size_t wanted = std::min(room + 1, session.rows_for(limits.max_bytes));
  parameters.add(Type::int8, wanted);
  std::size_t got = 0;
  bool full = false;
  std::vector<std::size_t> with_attributes;
  session.for_each_row(sql, parameters, [&](const Result& row) {
    if (++got > room) {
      full = true;
      return false;
    }
    const std::size_t bytes = read_event_row(row, page.add());
    if (page.size() > 1 && page.bytes() + bytes > limits.max_bytes) {
      page.drop_last();
      full = true;
      return false;
    }
    page.count_bytes(bytes);
    if (row.integer(0, attribute_count) > 0) with_attributes.push_back(page.size() - 1);
    return true;
  });
  std::vector<RecordedEvent*> events;
  for (const std::size_t i : with_attributes) events.push_back(&page[i]);
  read_attributes(session, std::move(events));
  session.learn_row_size(page.size(), page.bytes());
  page.end = !full && got < wanted;
}

}  // namespace stele::mssql
