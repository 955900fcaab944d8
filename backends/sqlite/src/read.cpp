#include "read.h"

#include "event_row.h"
#include "streams.h"

namespace stele::sqlite {

std::string stream_query(Direction direction, bool as_of, bool valid_at) {
  std::string sql = "SELECT " + std::string(event_columns) + "FROM events AS e INDEXED BY events_stream " +
                    std::string(event_joins) + "WHERE e.stream_no = ?1 AND e.stream_version BETWEEN ?2 AND ?3";
  if (as_of) sql += " AND e.recorded_at <= ?5";
  if (valid_at) sql += " AND (e.valid_from IS NULL OR e.valid_from <= ?6) AND (e.valid_to IS NULL OR e.valid_to > ?6)";
  sql += direction == Direction::forwards ? " ORDER BY e.stream_version" : " ORDER BY e.stream_version DESC";
  return sql + " LIMIT ?4";
}

void read_stream(Session& session, const driver::StreamPageRequest& request, driver::EventPage& page) {
  const std::optional<std::int64_t> stream_no = find_stream_no(session, *request.stream);
  if (!stream_no) return;
  const Use query =
      session.use(stream_query(request.direction, request.as_of.has_value(), request.valid_at.has_value()));
  query->bind(1, *stream_no);
  query->bind(2, request.from.value());
  query->bind(3, request.to.value());
  query->bind(4, static_cast<std::int64_t>(request.limits.max_events) + 1);
  if (request.as_of) query->bind(5, *request.as_of);
  if (request.valid_at) query->bind(6, *request.valid_at);
  fill_page(session, *query, request.limits, page);
}

std::optional<RecordedEvent> find_event(Session& session, const Uuid& event_id) {
  static const std::string sql =
      "SELECT " + std::string(event_columns) + "FROM events AS e " + std::string(event_joins) + "WHERE e.event_id = ?1";
  const Use query = session.use(sql);
  query->bind(1, event_id);
  if (!query->step()) return std::nullopt;
  RecordedEvent event;
  read_event_row(session, *query, event);
  return event;
}

}  // namespace stele::sqlite
