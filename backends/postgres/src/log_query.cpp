#include "log_query.h"

#include <algorithm>
#include <chrono>
#include <thread>

#include "errors.h"
#include "event_row.h"

namespace stele::postgres {
namespace {

class Builder {
 public:
  explicit Builder(const driver::LogPageRequest& request) : request_(request), filter_(*request.filter) {}

  LogQuery build(Position after, Position before) {
    add("e.global_position > ", Type::int8, after.value());
    add("e.global_position < ", Type::int8, before.value());
    const std::size_t range = query_.parameters.size();
    add_conditions();
    if (query_.parameters.size() > range) query_.planning = Session::Planning::each_time;
    const char* const order = request_.direction == Direction::forwards ? "" : " DESC";
    query_.sql = "SELECT " + std::string(event_columns) + "FROM events AS e " + std::string(event_joins) + "WHERE " +
                 where_ + " ORDER BY e.global_position" + order + " LIMIT $" +
                 std::to_string(query_.parameters.size() + 1);
    return std::move(query_);
  }

 private:
  void add_conditions() {
    if (filter_.tenant) {
      add("e.tenant_id = ", Type::text, *filter_.tenant);
      if (*filter_.tenant != default_tenant) add_text("e.tenant_id <> 'default'");  // What the partial index asks for.
    }
    add_any_of("e.stream_type = ", filter_.stream_types);
    add_any_of("e.event_type = ", filter_.event_types);
    if (filter_.source) add("e.source = ", Type::text, *filter_.source);
    if (filter_.actor_type) add("e.actor_type = ", Type::text, to_string(*filter_.actor_type));
    if (filter_.actor_id) add("e.actor_id = ", Type::text, *filter_.actor_id);
    if (filter_.correlation_id) add("e.correlation_id = ", Type::uuid, *filter_.correlation_id);
    if (filter_.causation_id) add("e.causation_id = ", Type::uuid, *filter_.causation_id);
    if (filter_.occurred_from) add("e.occurred_at >= ", Type::timestamptz, *filter_.occurred_from);
    if (filter_.occurred_until) add("e.occurred_at < ", Type::timestamptz, *filter_.occurred_until);
    if (filter_.recorded_from) add("e.recorded_at >= ", Type::timestamptz, *filter_.recorded_from);
    if (filter_.recorded_until) add("e.recorded_at < ", Type::timestamptz, *filter_.recorded_until);
    if (request_.as_of) add("e.recorded_at <= ", Type::timestamptz, *request_.as_of);
    if (filter_.valid_at) {
      const std::string time = parameter(Type::timestamptz, *filter_.valid_at);
      add_text("(e.valid_from IS NULL OR e.valid_from <= " + time + ") AND (e.valid_to IS NULL OR e.valid_to > " +
               time + ")");
    }
    for (const auto& [name, value] : filter_.attributes) {
      const std::string name_parameter = parameter(Type::text, name);
      add_text("EXISTS (SELECT FROM event_attributes AS a WHERE a.global_position = e.global_position AND a.name = " +
               name_parameter + " AND a.value = " + parameter(Type::text, value) + ")");
    }
  }

  void add_any_of(std::string_view condition, const std::vector<std::string>& names) {
    if (names.empty()) return;
    if (names.size() == 1) {
      add(condition, Type::text, names.front());
      return;
    }
    Array array(Type::text);
    for (const std::string& name : names) array.add(name);
    query_.parameters.add(array);
    add_text(std::string(condition) + "ANY (" + last_parameter() + ")");
  }

  template <class Value>
  void add(std::string_view condition, Type type, const Value& value) {
    add_text(std::string(condition) + parameter(type, value));
  }

  void add_text(std::string_view condition) {
    if (!where_.empty()) where_ += " AND ";
    where_ += condition;
  }

  template <class Value>
  std::string parameter(Type type, const Value& value) {
    query_.parameters.add(type, value);
    return last_parameter();
  }

  std::string last_parameter() const { return "$" + std::to_string(query_.parameters.size()); }

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
  // An appender is between its two locks for microseconds, unless its process was stopped just there.
  constexpr int tries = 200;
  for (int i = 0; i < tries; ++i) {
    const Result row = session.execute("SELECT settled_position()");
    if (!row.is_null(0, 0)) return Position(row.integer(0, 0));
    std::this_thread::sleep_for(std::chrono::microseconds(std::min(50 * (i + 1), 5000)));
  }
  throw Error(ErrorCode::busy, "read the log: an append has taken positions and does not go on",
              {.backend = std::string(backend_name),
               .native_code = 0,
               .sqlstate = {},
               .retryable = true,
               .outcome = Outcome::not_applied});
}

void read_log(Session& session, const driver::LogPageRequest& request, driver::EventPage& page) {
  // Asked before every page, and first: the page's own statement has a later snapshot, which sees all that was settled.
  const Position settled = settled_position(session);
  const Position before = std::min(request.before, Position(settled.value() + 1));
  page.scanned_to = request.after;
  if (before.value() - 1 <= request.after.value()) return;
  LogQuery query = build_log_query(request, request.after, before);
  fill_page(session, query.sql, std::move(query.parameters), request.limits, page, query.planning);
  page.scanned_to = page.end ? Position(before.value() - 1) : page[page.size() - 1].position;
}

}  // namespace stele::postgres
