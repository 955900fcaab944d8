#include "log_query.h"

#include <algorithm>
#include <limits>

#include "event_row.h"

namespace stele::sqlite {
namespace {

/// The highest position in the log.
std::int64_t last_position(Session& session) {
  const Use query = session.use("SELECT max(global_position) FROM events");
  query->step();
  return query->int64(0);
}

/// The lowest position whose event was recorded at or after `time`; one behind the last when there is none. recorded_at
/// never falls from position to position, so this is a binary search over the primary key.
std::int64_t first_recorded_at_or_after(Session& session, Timestamp time, std::int64_t last) {
  std::int64_t low = 1;
  std::int64_t high = last + 1;
  while (low < high) {
    const std::int64_t middle = low + (high - low) / 2;
    const Use query =
        session.use("SELECT recorded_at FROM events WHERE global_position >= ?1 ORDER BY global_position LIMIT 1");
    query->bind(1, middle);
    if (query->step() && query->time(0) < time) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

class Builder {
 public:
  Builder(Session& session, const driver::LogPageRequest& request)
      : session_(session), request_(request), filter_(*request.filter) {}

  std::optional<LogQuery> build() {
    if (!resolve_names()) return std::nullopt;
    bound_positions();
    const std::string from = choose_access();
    add("e.global_position > ?", after_);
    add("e.global_position < ?", before_);
    add_conditions();
    query_.sql = "SELECT " + std::string(event_columns) + from + std::string(event_joins) + "WHERE " + where_ +
                 " ORDER BY " + order_column_ + (request_.direction == Direction::forwards ? "" : " DESC") + " LIMIT ?";
    query_.values.emplace_back(static_cast<std::int64_t>(request_.limits.max_events) + 1);
    return std::move(query_);
  }

 private:
  bool resolve(const std::string& name, std::int64_t& number) {
    const auto found = session_.names().find(name);
    if (found) number = *found;
    return found.has_value();
  }

  /// Any of these names; at least one has to exist if any is asked for.
  bool resolve(const std::vector<std::string>& names, std::vector<std::int64_t>& numbers) {
    for (const std::string& name : names) {
      if (const auto found = session_.names().find(name)) numbers.push_back(*found);
    }
    if (numbers.empty()) return names.empty();
    // Lists are filled up to a power of two, so that few different statements have to be prepared.
    std::size_t size = 1;
    while (size < numbers.size()) size *= 2;
    numbers.resize(size, numbers.back());
    return true;
  }

  bool resolve_names() {
    if (filter_.tenant && !resolve(*filter_.tenant, tenant_no_)) return false;
    if (filter_.source && !resolve(*filter_.source, source_no_)) return false;
    if (!resolve(filter_.stream_types, stream_type_nos_) || !resolve(filter_.event_types, event_type_nos_))
      return false;
    for (const auto& [name, value] : filter_.attributes) {
      std::int64_t number = 0;
      if (!resolve(name, number)) return false;
      attributes_.emplace_back(number, value);
    }
    return true;
  }

  /// Bounds on recorded_at become bounds on the position.
  void bound_positions() {
    after_ = request_.after.value();
    before_ = request_.before.value();
    if (!filter_.recorded_from && !filter_.recorded_until && !request_.as_of) return;
    const std::int64_t last = last_position(session_);
    if (filter_.recorded_from) {
      after_ = std::max(after_, first_recorded_at_or_after(session_, *filter_.recorded_from, last) - 1);
    }
    if (filter_.recorded_until) {
      before_ = std::min(before_, first_recorded_at_or_after(session_, *filter_.recorded_until, last));
    }
    constexpr std::int64_t latest = 253'402'300'799'999'999;  // 9999-12-31T23:59:59.999999Z
    if (request_.as_of && request_.as_of->micros() < latest) {
      const Timestamp behind = Timestamp::from_micros(request_.as_of->micros() + 1);
      before_ = std::min(before_, first_recorded_at_or_after(session_, behind, last));
    }
  }

  /// Which index to go along, from the most selective kind down. SQLite has no statistics here and would guess; a named
  /// index that is missing is an error instead of a slow scan.
  std::string choose_access() {
    order_column_ = "e.global_position";
    if (!attributes_.empty()) {
      // The attribute leads, ordered by position; the event follows by its primary key.
      add("a.name_no = ?", attributes_.front().first);
      add("a.value = ?", std::string_view(attributes_.front().second));
      add("a.global_position > ?", after_);
      add("a.global_position < ?", before_);
      attributes_.erase(attributes_.begin());
      order_column_ = "a.global_position";
      return "FROM event_attributes AS a INDEXED BY event_attributes_value "
             "CROSS JOIN events AS e ON e.global_position = a.global_position ";
    }
    if (filter_.correlation_id) return along("events_correlation");
    if (filter_.causation_id) return along("events_causation");
    if (filter_.occurred_from && filter_.occurred_until) {
      // The range's positions come from the index alone and are sorted; the events follow by their primary key.
      add("e.global_position IN (SELECT o.global_position FROM events AS o INDEXED BY events_occurred WHERE "
          "o.occurred_at >= ?",
          filter_.occurred_from->micros());
      add("o.occurred_at < ?", filter_.occurred_until->micros());
      add("o.global_position > ?", after_);
      add("o.global_position < ?", before_);
      if (only_occurred_window()) {
        // Then a page needs no more than its own number of positions.
        where_ += request_.direction == Direction::forwards ? " ORDER BY o.global_position LIMIT ?"
                                                            : " ORDER BY o.global_position DESC LIMIT ?";
        query_.values.emplace_back(static_cast<std::int64_t>(request_.limits.max_events) + 1);
      }
      where_ += ")";
      return "FROM events AS e ";
    }
    if (event_type_nos_.size() == 1) return along("events_type");
    if (stream_type_nos_.size() == 1) return along("events_stream_type");
    if (filter_.tenant && tenant_no_ != default_tenant_no) return along("events_tenant");
    return "FROM events AS e NOT INDEXED ";
  }

  bool only_occurred_window() const {
    return !filter_.tenant && filter_.stream_types.empty() && filter_.event_types.empty() && !filter_.source &&
           !filter_.actor_type && !filter_.actor_id && !filter_.recorded_from && !filter_.recorded_until &&
           !request_.as_of && !filter_.valid_at;
  }

  static std::string along(std::string_view index) { return "FROM events AS e INDEXED BY " + std::string(index) + " "; }

  void add_conditions() {
    if (filter_.tenant) {
      if (tenant_no_ != default_tenant_no) add_text("e.tenant_no <> 1");  // What the partial index asks for.
      add("e.tenant_no = ?", tenant_no_);
    }
    add_any_of("e.stream_type_no", stream_type_nos_);
    add_any_of("e.event_type_no", event_type_nos_);
    if (filter_.source) add("e.source_no = ?", source_no_);
    if (filter_.actor_type) add("e.actor_type = ?", to_string(*filter_.actor_type));
    if (filter_.actor_id) add("e.actor_id = ?", std::string_view(*filter_.actor_id));
    if (filter_.correlation_id) add("e.correlation_id = ?", *filter_.correlation_id);
    if (filter_.causation_id) add("e.causation_id = ?", *filter_.causation_id);
    if (filter_.occurred_from) add("e.occurred_at >= ?", filter_.occurred_from->micros());
    if (filter_.occurred_until) add("e.occurred_at < ?", filter_.occurred_until->micros());
    if (filter_.recorded_from) add("e.recorded_at >= ?", filter_.recorded_from->micros());
    if (filter_.recorded_until) add("e.recorded_at < ?", filter_.recorded_until->micros());
    if (request_.as_of) add("e.recorded_at <= ?", request_.as_of->micros());
    if (filter_.valid_at) {
      add("(e.valid_from IS NULL OR e.valid_from <= ?)", filter_.valid_at->micros());
      add("(e.valid_to IS NULL OR e.valid_to > ?)", filter_.valid_at->micros());
    }
    for (const auto& [name_no, value] : attributes_) {
      add("EXISTS (SELECT 1 FROM event_attributes AS b WHERE b.global_position = e.global_position AND b.name_no = ?",
          name_no);
      add("b.value = ?", std::string_view(value));
      where_ += ")";
    }
  }

  void add_any_of(std::string_view column, const std::vector<std::int64_t>& numbers) {
    if (numbers.empty()) return;
    if (numbers.size() == 1) {
      add(std::string(column) + " = ?", numbers.front());
      return;
    }
    std::string list = std::string(column) + " IN (?";
    for (std::size_t i = 1; i < numbers.size(); ++i) list += ", ?";
    add_text(list + ")");
    for (const std::int64_t number : numbers) query_.values.emplace_back(number);
  }

  void add_text(std::string_view condition) {
    if (!where_.empty()) where_ += " AND ";
    where_ += condition;
  }

  template <class Value>
  void add(std::string_view condition, Value value) {
    add_text(condition);
    query_.values.emplace_back(value);
  }

  static constexpr std::int64_t default_tenant_no = 1;  // See migration 0001.

  Session& session_;
  const driver::LogPageRequest& request_;
  const LogFilter& filter_;
  LogQuery query_;
  std::string where_;
  std::string order_column_;
  std::int64_t after_ = 0;
  std::int64_t before_ = 0;
  std::int64_t tenant_no_ = 0;
  std::int64_t source_no_ = 0;
  std::vector<std::int64_t> stream_type_nos_;
  std::vector<std::int64_t> event_type_nos_;
  std::vector<std::pair<std::int64_t, std::string_view>> attributes_;
};

}  // namespace

std::optional<LogQuery> build_log_query(Session& session, const driver::LogPageRequest& request) {
  return Builder(session, request).build();
}

void read_log(Session& session, const driver::LogPageRequest& request, driver::EventPage& page) {
  const std::int64_t last = last_position(session);
  if (const std::optional<LogQuery> log_query = build_log_query(session, request)) {
    const Use query = session.use(log_query->sql);
    int index = 0;
    for (const auto& value : log_query->values) {
      ++index;
      std::visit([&](const auto& v) { query->bind(index, v); }, value);
    }
    fill_page(session, *query, request.limits, page);
  }
  // The page and `last` come from one snapshot, and nobody can commit a lower position later: there is one writer at a
  // time.
  page.scanned_to = page.end ? Position(std::max(request.after.value(), std::min(last, request.before.value() - 1)))
                             : page[page.size() - 1].position;
}

}  // namespace stele::sqlite
