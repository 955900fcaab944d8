// Reading the log by position, with filters that the server evaluates.
#pragma once

#include <string>

#include "session.h"
#include "stele/driver/driver.h"

namespace stele::mssql {

struct LogQuery {
  std::string sql;
  Parameters parameters;
};

/// The query for a page between two positions, both exclusive; its last parameter, the limit, is still to be added.
LogQuery build_log_query(const driver::LogPageRequest& request, Position after, Position before);

/// The highest position up to which nothing can be committed any more; see migration 0001.
Position settled_position(Session& session);

void read_log(Session& session, const driver::LogPageRequest& request, driver::EventPage& page);

}  // namespace stele::mssql
