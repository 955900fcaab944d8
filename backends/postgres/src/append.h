// Appends: calls of the database's function append(), and what its answers mean.
#pragma once

#include <chrono>
#include <optional>
#include <span>
#include <vector>

#include "session.h"
#include "stele/driver/driver.h"

namespace stele::postgres {

/// Executes one append as driver::Driver::append() describes, in a transaction of its own. Deadlocks and races for a
/// unique key are tried again until the deadline. Throws Error with outcome unknown when the connection was lost before
/// the answer.
AppendResult append_one(Session& session, const driver::PreparedAppend& append,
                        std::chrono::steady_clock::time_point deadline);

/// Executes several in one transaction and one round trip. When it throws an Error with outcome not_applied, nothing
/// was: one that fails takes the others with it, and each should be tried alone. Throws unknown as append_one() does.
/// When it throws anything else, nothing was sent.
std::vector<driver::AppendAnswer> append_together(Session& session, std::span<const driver::PreparedAppend> appends);

/// The same, but waits for each lock for `patience` only, and does not look at events that were there before: an append
/// that meets any has no answer, and should be tried alone. Calls `written` when only the commit is left.
std::vector<std::optional<driver::AppendAnswer>> append_in_company(Session& session,
                                                                   std::span<const driver::PreparedAppend> appends,
                                                                   std::chrono::milliseconds patience,
                                                                   const std::function<void()>& written);

}  // namespace stele::postgres
