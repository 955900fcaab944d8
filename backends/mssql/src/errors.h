// The server's errors as Stele's.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "stele/error.h"

namespace stele::mssql {

inline constexpr std::string_view backend_name = "mssql";

/// One of the messages that ODBC keeps for a failed call.
struct Diagnostic {
  std::string sqlstate;
  std::int32_t native = 0;  ///< The server's error number.
  std::string message;      ///< Without the names of the drivers that passed it on.
  std::int32_t line = 0;    ///< Of the batch, from 1; 0 when the server gave none.
};

/// By the server's number first, then by the message for Babelfish's own errors, then by SQLSTATE. `dead` says that the
/// connection is gone. `doing` begins the message. `if_lost` is the outcome when the connection broke; an answer of the
/// server means that nothing was applied.
Error make_error(const Diagnostic& diagnostic, bool dead, std::string_view doing, Outcome if_lost);

/// Whether nobody knows what the server made of the statement, or of the connection.
bool leaves_in_doubt(const Diagnostic& diagnostic, bool dead) noexcept;

/// Whether the connection is to be made anew although it works: the server is not the one to write to any more.
bool is_on_wrong_server(const Diagnostic& diagnostic) noexcept;

/// For a fault that Stele found itself.
Error make_error(ErrorCode code, std::string message);
/// The same for what may succeed later: nothing was applied.
Error make_busy(std::string message);

/// A row with this unique key is there already (2627, 2601).
bool is_duplicate_key(const Error& error) noexcept;
/// A row that this one refers to is not there (547, which is also that of a CHECK).
bool is_missing_reference(const Error& error) noexcept;
/// A deadlock, or a lock that was not to be had in time. (Of Babelfish's, those that it has numbers for.)
bool is_lock_conflict(const Error& error) noexcept;
/// Whether the transaction may succeed when it is made again: a deadlock, a snapshot conflict, a duplicate key, an
/// application lock that was refused.
bool worth_another_try(const Error& error) noexcept;

}  // namespace stele::mssql
