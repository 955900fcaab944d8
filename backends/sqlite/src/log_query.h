// Reading the log by position, with filters that SQLite evaluates.
#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "session.h"
#include "stele/driver/driver.h"

namespace stele::sqlite {

/// A SELECT with the values of its parameters, in their order.
struct LogQuery {
  std::string sql;
  std::vector<std::variant<std::int64_t, std::string_view, Uuid>> values;
};

/// The query for a page; nullopt when a name of the filter was never used, so that nothing can match. Inside a read
/// transaction. Views point into the request.
std::optional<LogQuery> build_log_query(Session& session, const driver::LogPageRequest& request);

/// Inside a read transaction.
void read_log(Session& session, const driver::LogPageRequest& request, driver::EventPage& page);

}  // namespace stele::sqlite
