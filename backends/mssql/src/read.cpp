#include "read.h"

#include "event_row.h"

namespace stele::mssql {

std::string stream_query(Direction direction, bool as_of, bool valid_at) {
  // The stream's number comes from a query of its own, so that the index gives the events in their order.
  std::string sql = "SELECT ";
  sql += event_columns;
  sql += "FROM $(schema).events AS e CROSS JOIN (SELECT CAST(? AS NVARCHAR(255)) AS stream_id) AS s ";
  sql += command_join;
  sql +=
      "WHERE e.stream_no = (SELECT k.stream_no FROM $(schema).streams AS k WHERE k.tenant_key = ? AND k.type_key = ? "
      "AND k.stream_key = ?) AND e.stream_version >= ? AND e.stream_version <= ?";
  if (as_of) sql += " AND e.recorded_at <= ?";
  if (valid_at) sql += " AND (e.valid_from IS NULL OR e.valid_from <= ?) AND (e.valid_to IS NULL OR e.valid_to > ?)";
  sql += direction == Direction::forwards ? " ORDER BY e.stream_version" : " ORDER BY e.stream_version DESC";
  sql += page_limit;
  return sql;
}

void read_stream(Session& session, const driver::StreamPageRequest& request, driver::EventPage& page) {
  Parameters parameters;
  parameters.add(Type::text, request.stream->id)
      .add(Type::bytes, request.stream->tenant)
      .add(Type::bytes, request.stream->type)
      .add(Type::bytes, request.stream->id)
      .add(Type::int8, request.from.value())
      .add(Type::int8, request.to.value());
  if (request.as_of) parameters.add(Type::time, *request.as_of);
  if (request.valid_at) parameters.add(Type::time, *request.valid_at).add(Type::time, *request.valid_at);
  const std::string sql = stream_query(request.direction, request.as_of.has_value(), request.valid_at.has_value());
  fill_page(session, sql, std::move(parameters), request.limits, page);
}

std::optional<RecordedEvent> find_event(Session& session, const Uuid& event_id) {
  static const std::string sql = "SELECT " + std::string(event_columns) + "FROM $(schema).events AS e " +
                                 std::string(stream_join) + std::string(command_join) +
                                 "WHERE e.event_id = ? ORDER BY e.global_position" + std::string(page_limit);
  driver::EventPage page;
  fill_page(session, sql, Parameters().add(Type::uuid, event_id), {.max_events = 1, .max_bytes = SIZE_MAX}, page);
  if (page.size() == 0) return std::nullopt;
  return std::move(page[0]);
}

}  // namespace stele::mssql
