// Appends: one event by the procedure append_one, everything else in steps inside one transaction.
#pragma once

#include <chrono>
#include <span>
#include <vector>

#include "session.h"
#include "stele/driver/driver.h"

namespace stele::mssql {

/// Executes one append as driver::Driver::append() describes, in a transaction of its own. Deadlocks and races for a
/// unique key are tried again until the deadline. Throws Error with outcome unknown when the connection was lost before
/// the answer to the commit.
AppendResult append_one(Session& session, const driver::PreparedAppend& append,
                        std::chrono::steady_clock::time_point deadline);

/// Executes several in one transaction. When it throws with outcome not_applied, nothing was: one that fails takes the
/// others with it, and each should be tried alone. Throws unknown as append_one() does.
std::vector<driver::AppendAnswer> append_together(Session& session, std::span<const driver::PreparedAppend> appends);

/// Executes one inside of a transaction that somebody else ends. When it throws, that has to be rolled back.
AppendResult append_inside(Session& session, const driver::PreparedAppend& append);

}  // namespace stele::mssql
