#include "log_query.h"

#include <algorithm>

#include "errors.h"
#include "event_row.h"

namespace stele::mssql {
namespace {

class Builder {
 public:
  explicit Builder(const driver::LogPageRequest& request) : request_(request), filter_(*request.filter) {}

  LogQuery build(Position after, Position before) {
    add("e.global_position > ?", Type::int8, after.value());
    add("e.global_position < ?", Type::int8, before.value());
    const std::size_t range = query_.parameters.size();
    add_conditions();
    const bool filtered = query_.parameters.size() > range;
    std::string order = " ORDER BY e.global_position";
    if (request_.direction == Direction::backwards) order += " DESC";
    const std::string joins = std::string(stream_join) + std::string(command_join);
    const std::string chosen = "WHERE " + where_ + order + std::string(page_limit);
    query_.sql = "SELECT " + std::string(event_columns) + "FROM ";
    if (filtered) {
      // The page's positions first, which an index knows: so to look for them there, and to sort them, is cheap beside
      // a walk along the log that hopes to meet them soon.
      query_.sql += "(SELECT e.global_position FROM $(schema).events AS e " + chosen +
                    ") AS page JOIN $(schema).events AS e ON e.global_position = page.global_position " + joins + order;
      // A filter may fit one event or all: the best plan depends on the values.
      query_.sql += " OPTION (RECOMPILE)";
    } else {
      query_.sql += "$(schema).events AS e " + joins + chosen;
    }
    return std::move(query_);
  }

 private:
  void add_conditions() {
    if (filter_.tenant) {
      add_text("e.tenant_id", *filter_.tenant);
      if (*filter_.tenant != default_tenant) add("e.tenant_id <> N'default'");  // What the filtered index asks for.
    }
    add_any_of("e.stream_type", filter_.stream_types);
    add_any_of("e.event_type", filter_.event_types);
    if (filter_.source) add_text("e.source", *filter_.source);
    if (filter_.actor_type) add("e.actor_type = ?", Type::text, to_string(*filter_.actor_type));
    if (filter_.actor_id) add_text("e.actor_id", *filter_.actor_id);
    if (filter_.correlation_id) add("e.correlation_id = ?", Type::uuid, *filter_.correlation_id);
    if (filter_.causation_id) add("e.causation_id = ?", Type::uuid, *filter_.causation_id);
    if (filter_.occurred_from) add("e.occurred_at >= ?", Type::time, *filter_.occurred_from);
    if (filter_.occurred_until) add("e.occurred_at < ?", Type::time, *filter_.occurred_until);
    if (filter_.recorded_from) add("e.recorded_at >= ?", Type::time, *filter_.recorded_from);
    if (filter_.recorded_until) add("e.recorded_at < ?", Type::time, *filter_.recorded_until);
    if (request_.as_of) add("e.recorded_at <= ?", Type::time, *request_.as_of);
    if (filter_.valid_at) {
      add("(e.valid_from IS NULL OR e.valid_from <= ?)", Type::time, *filter_.valid_at);
      add("(e.valid_to IS NULL OR e.valid_to > ?)", Type::time, *filter_.valid_at);
    }
    for (const auto& [name, value] : filter_.attributes) {
      // One after the other: each adds its parameters.
      const std::string has_name = equals("a.name", name);
      const std::string has_value = equals("a.value", value);
      add("EXISTS (SELECT 1 FROM $(schema).event_attributes AS a WHERE a.global_position = e.global_position AND " +
          has_name + " AND " + has_value + ")");
    }
  }

  void add_any_of(std::string_view column, const std::vector<std::string>& names) {
    if (names.empty()) return;
    std::string any;
    for (const std::string& name : names) any += (any.empty() ? "(" : " OR ") + equals(column, name);
    add(any + ")");
  }

  /// Trailing blanks count, although = pads them. The length is the server's own measure, of both sides.
  std::string equals(std::string_view column, std::string_view value) {
    query_.parameters.add(Type::text, value).add(Type::text, value);
    const std::string name(column);
    return name + " = ? AND DATALENGTH(" + name + ") = DATALENGTH(?)";
  }

  void add_text(std::string_view column, std::string_view value) { add(equals(column, value)); }

  template <class Value>
  void add(std::string_view condition, Type type, const Value& value) {
    add(condition);
    query_.parameters.add(type, value);
  }

  void add(std::string_view condition) {
    if (!where_.empty()) where_ += " AND ";
    where_ += condition;
  }

  const driver::LogPageRequest& request_;
  const LogFilter& filter_;
  LogQuery query_;
  std::string where_;
};

}  // namespace

LogQuery build_log_query(const driver::LogPageRequest& request, Position after, Position before) {
  return Builder(request).build(after, before);
}

Position settled_position(Session& session) {
  constexpr int tries = 5;  // Babelfish fails now and then to look at a lock that others look at, too.
  for (int i = 1;; ++i) {
    try {
      const Parameters parameters = Parameters().add(Type::int8, session.known_settled).add_output(Type::int8);
      session.call("settled_position", parameters);
      session.known_settled = parameters.integer(1);
      return Position(session.known_settled);
    } catch (const Error& error) {
      if (error.code() != ErrorCode::busy || i == tries || !session.usable()) throw;
    }
  }
}

void read_log(Session& session, const driver::LogPageRequest& request, driver::EventPage& page) {
  // Asked before every page, and first: the page's own statement comes later, and sees all that was settled.
  const Position settled = settled_position(session);
  const Position before = std::min(request.before, Position(settled.value() + 1));
  page.scanned_to = request.after;
  if (before.value() - 1 <= request.after.value()) return;
  LogQuery query = build_log_query(request, request.after, before);
  fill_page(session, query.sql, std::move(query.parameters), request.limits, page);
  page.scanned_to = page.end ? Position(before.value() - 1) : page[page.size() - 1].position;
}

}  // namespace stele::mssql
