// PostgreSQL's errors as Stele's.
#pragma once

#include <string>
#include <string_view>

#include "stele/error.h"

struct pg_conn;
struct pg_result;

namespace stele::postgres {

inline constexpr std::string_view backend_name = "postgres";

/// From a failed result, by its SQLSTATE; from a connection that is gone when the result says nothing. `doing` begins
/// the message. The server's detail, which may quote values, stays out of it.
Error make_error(const pg_conn* connection, const pg_result* result, std::string_view doing,
                 Outcome outcome = Outcome::not_applied);

/// The same for what a handler was told, by its SQLSTATE.
Error error_of_state(const std::string& sqlstate, std::string message, Outcome outcome = Outcome::not_applied);

/// For a fault that Stele found itself.
Error make_error(ErrorCode code, std::string message);

/// The same error, of which nobody knows whether the transaction was committed.
Error as_unknown(const Error& error);

/// Whether it leaves open what became of a commit that was on its way: libpq made it and not the server, or the server
/// ended the connection.
bool leaves_commit_open(const Error& error) noexcept;

/// Whether the statement may succeed when its transaction is made again: a deadlock, a serialization failure, a unique
/// key that another transaction took first.
bool worth_another_try(const Error& error);

}  // namespace stele::postgres
