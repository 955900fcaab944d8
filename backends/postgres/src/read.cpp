#include "read.h"

#include "event_row.h"

namespace stele::postgres {

std::string stream_query(Direction direction, bool as_of, bool valid_at) {
  // The stream's number comes from a query of its own, so that the index gives the events in their order: joined, they
  // would be sorted, for each page all that are left.
  std::string sql = "SELECT " + std::string(event_columns) +
                    "FROM events AS e CROSS JOIN (VALUES ($3::text)) AS s (stream_id) "
                    "LEFT JOIN commands AS c ON c.command_no = e.command_no "
                    "WHERE e.stream_no = (SELECT stream_no FROM streams WHERE tenant_id = $1 AND stream_type = $2 "
                    "AND stream_id = $3) AND e.stream_version BETWEEN $4 AND $5";
  if (as_of) sql += " AND e.recorded_at <= $6";
  if (valid_at) {
    const std::string time = as_of ? "$7" : "$6";
    sql += " AND (e.valid_from IS NULL OR e.valid_from <= " + time + ") AND (e.valid_to IS NULL OR e.valid_to > " +
           time + ")";
  }
  sql += direction == Direction::forwards ? " ORDER BY e.stream_version" : " ORDER BY e.stream_version DESC";
  return sql + " LIMIT $" + std::to_string(6 + (as_of ? 1 : 0) + (valid_at ? 1 : 0));
}

void read_stream(Session& session, const driver::StreamPageRequest& request, driver::EventPage& page) {
  Parameters parameters;
  parameters.add(Type::text, request.stream->tenant)
      .add(Type::text, request.stream->type)
      .add(Type::text, request.stream->id)
      .add(Type::int8, request.from.value())
      .add(Type::int8, request.to.value());
  if (request.as_of) parameters.add(Type::timestamptz, *request.as_of);
  if (request.valid_at) parameters.add(Type::timestamptz, *request.valid_at);
  const std::string sql = stream_query(request.direction, request.as_of.has_value(), request.valid_at.has_value());
  fill_page(session, sql, std::move(parameters), request.limits, page);
}

std::optional<RecordedEvent> find_event(Session& session, const Uuid& event_id) {
  static const std::string sql =
      "SELECT " + std::string(event_columns) + "FROM events AS e " + std::string(event_joins) + "WHERE e.event_id = $1";
  const Result rows = session.execute(sql, Parameters().add(Type::uuid, event_id));
  if (rows.rows() == 0) return std::nullopt;
  RecordedEvent event;
  read_event_row(rows, 0, event);
  return event;
}

}  // namespace stele::postgres
