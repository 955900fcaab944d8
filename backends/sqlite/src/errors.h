// SQLite's result codes as errors of Stele.
#pragma once

#include <string_view>

#include "stele/error.h"

struct sqlite3;

namespace stele::sqlite {

inline constexpr std::string_view backend_name = "sqlite";

/// The error for an extended result code. `doing` says what was tried: "append", "read".
Error make_error(int extended_code, std::string_view doing, Outcome outcome = Outcome::not_applied);

/// The same, adding what SQLite says of a broken constraint: its name, never a value.
[[noreturn]] void throw_error(sqlite3* db, std::string_view doing, Outcome outcome = Outcome::not_applied);

/// An error found by the backend itself.
Error make_error(ErrorCode code, std::string message);

}  // namespace stele::sqlite
