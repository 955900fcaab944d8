#include "errors.h"

#include <algorithm>
#include <array>

namespace stele::mssql {
namespace {

// The numbers of SQL Server that mean something to a caller; whatever a statement got wrong by itself is `internal`.
constexpr std::int32_t busy[] = {
    1205,                                      // deadlock victim
    1222,  3960,  3961,                        // lock timeout, snapshot conflicts
    1204,  701,   802,   8645,  8651,          // out of locks, memory, workers
    10928, 10929, 40501, 49918, 49919, 49920,  // Azure: too many requests
    40550, 40551, 40552, 40553,                // Azure: the session held too much, and was ended
    51010,                                     // Stele's own: an application lock was not to be had
};
constexpr std::int32_t unsupported[] = {51011};  // Stele's own: the log of a secondary
constexpr std::int32_t disk_full[] = {1101, 1105, 5149, 9002, 40544};
constexpr std::int32_t corrupt[] = {605, 824, 8928, 8939, 8966};
constexpr std::int32_t io[] = {823, 832};
constexpr std::int32_t denied[] = {229, 230, 262, 297, 300, 371, 1088, 2557, 2760, 3906, 15247, 15151};
// With 201 and 8144 a procedure is there, and has fewer parameters or more: it is another version's.
constexpr std::int32_t missing[] = {201, 207, 208, 2812, 4121, 4902, 8144};
constexpr std::int32_t no_login[] = {233, 911, 916, 4060, 4064, 6005, 17142, 18401, 18451, 18452, 18456, 18461, 18470,
                                     18486, 18487, 18488, 40197, 40540, 40613,
                                     // Availability groups: the replica is no primary, or not yet one.
                                     976, 978, 983, 35250,
                                     // A database that recovers; a session that Azure ended.
                                     3908, 40549};
constexpr std::int32_t too_many_parameters = 8003;
constexpr std::int32_t rejected[] = {
    220,  241,  242,  244,  245,  248,  515,  547,  2601,  2627,  2628, 8114,
    8115, 8134, 8152, 4712, 3726, 3609, 3616, 9420, 13608, 13609, 3930, 3998};  // A transaction that a caught error has
                                                                                // doomed.

/// The session ends: whether it has come to a commit, nobody says.
constexpr std::int32_t session_over[] = {596,   6005,  9001,  40143, 40197, 40540, 40549, 40550,
                                         40551, 40552, 40553, 976,   978,   983,   35250};

/// After a failover: what was the primary takes no writes any more (3906), or is about to become something (3908).
constexpr std::int32_t wrong_server[] = {3906, 3908};

/// Errors of its PostgreSQL that Babelfish has no number of SQL Server for.
constexpr std::int32_t babelfish_unmapped = 33557097;

/// Numbers that FreeTDS gives its own errors.
constexpr bool is_drivers_own(std::int32_t native) noexcept {
  return (native >= 20000 && native < 21000) || native == 2402 || native == 2403 || native == 2404;
}

/// What THROW in Stele's schema uses; RAISERROR is 50000.
constexpr bool is_raised(std::int32_t native) noexcept {
  return native >= 50000 && native < 52000;
}

template <std::size_t size>
bool is_one_of(const std::int32_t (&numbers)[size], std::int32_t native) {
  return std::find(std::begin(numbers), std::end(numbers), native) != std::end(numbers);
}

bool holds(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

ErrorCode classify_message(std::string_view message) {
  struct Rule {
    std::string_view part;
    ErrorCode code;
  };
  constexpr Rule rules[] = {
      {"lock timeout", ErrorCode::busy},
      {"could not serialize", ErrorCode::busy},
      {"deadlock", ErrorCode::busy},
      {"out of shared memory", ErrorCode::busy},
      {"TsqlApplockSync", ErrorCode::busy},  // Its application locks, when several look at one at once.
      {"permission denied", ErrorCode::permission_denied},
      {"must be owner", ErrorCode::permission_denied},
      {"read-only transaction", ErrorCode::permission_denied},
      {"role \"", ErrorCode::cannot_connect},
      {"too many clients", ErrorCode::cannot_connect},
      {"shutting down", ErrorCode::cannot_connect},
      {"starting up", ErrorCode::cannot_connect},
      {"terminating connection", ErrorCode::cannot_connect},
      {"does not exist", ErrorCode::schema_outdated},
      {"could not extend", ErrorCode::disk_full},
      {"No space left", ErrorCode::disk_full},
      {"invalid page", ErrorCode::corrupt},
      {"violates", ErrorCode::rejected_by_database},
      {"invalid input", ErrorCode::rejected_by_database},
      {"invalid byte sequence", ErrorCode::rejected_by_database},
      {"out of range", ErrorCode::rejected_by_database},
      {"too long", ErrorCode::rejected_by_database},
  };
  for (const Rule& rule : rules) {
    if (holds(message, rule.part)) return rule.code;
  }
  return ErrorCode::internal;
}

ErrorCode classify_state(std::string_view state, bool dead) {
  const std::string_view kind = state.substr(0, 2);
  if (dead || kind == "08" || kind == "IM" || kind == "28" || state.starts_with("HYT")) {
    return ErrorCode::cannot_connect;
  }
  if (kind == "22" || kind == "23") return ErrorCode::rejected_by_database;
  if (state == "40001") return ErrorCode::busy;
  if (state == "42S02") return ErrorCode::schema_outdated;
  return ErrorCode::internal;
}

ErrorCode classify(const Diagnostic& diagnostic, bool dead) {
  const std::int32_t native = diagnostic.native;
  if (native == too_many_parameters) return ErrorCode::too_large;
  if (is_one_of(busy, native)) return ErrorCode::busy;
  if (is_one_of(unsupported, native)) return ErrorCode::unsupported;
  if (is_one_of(rejected, native) || is_raised(native)) return ErrorCode::rejected_by_database;
  if (is_one_of(no_login, native)) return ErrorCode::cannot_connect;
  if (is_one_of(missing, native)) return ErrorCode::schema_outdated;
  if (is_one_of(denied, native)) return ErrorCode::permission_denied;
  if (is_one_of(disk_full, native)) return ErrorCode::disk_full;
  if (is_one_of(corrupt, native)) return ErrorCode::corrupt;
  if (is_one_of(io, native)) return ErrorCode::io;
  if (native == babelfish_unmapped) {
    const ErrorCode code = classify_message(diagnostic.message);
    if (code != ErrorCode::internal || !dead) return code;
  }
  return classify_state(diagnostic.sqlstate, dead);
}

bool ends_session(const Diagnostic& diagnostic) {
  return is_one_of(session_over, diagnostic.native) ||
         (diagnostic.native == babelfish_unmapped && holds(diagnostic.message, "terminating connection"));
}

/// The message up to where it begins to quote a value.
std::string_view without_values(std::string_view message) {
  for (const std::string_view quoting :
       {"The duplicate key value is", "Truncated value:", "Failing row contains", ": \"", " value '"}) {
    message = message.substr(0, message.find(quoting));
  }
  while (!message.empty() && (message.back() == ' ' || message.back() == ':')) message.remove_suffix(1);
  return message;
}

}  // namespace

bool leaves_in_doubt(const Diagnostic& diagnostic, bool dead) noexcept {
  const std::string_view state = diagnostic.sqlstate;
  if (dead || is_drivers_own(diagnostic.native) || ends_session(diagnostic)) return true;
  // The driver's own errors: whether the server is still busy with the statement, nobody knows.
  return diagnostic.native == 0 || state.starts_with("08") || state.starts_with("HYT") || state == "24000";
}

bool is_on_wrong_server(const Diagnostic& diagnostic) noexcept {
  return is_one_of(wrong_server, diagnostic.native);
}

Error make_error(const Diagnostic& diagnostic, bool dead, std::string_view doing, Outcome if_lost) {
  const bool in_doubt = leaves_in_doubt(diagnostic, dead);
  ErrorCode code = classify(diagnostic, dead);
  // What says nothing else: the connection is given up, and a question may be asked again on another one.
  if (in_doubt && code == ErrorCode::internal) code = ErrorCode::cannot_connect;
  const Outcome outcome = in_doubt ? if_lost : Outcome::not_applied;
  return Error(
      code, std::string(doing) + ": " + std::string(without_values(diagnostic.message)),
      {.backend = std::string(backend_name),
       .native_code = diagnostic.native,
       .sqlstate = diagnostic.sqlstate,
       .retryable = (code == ErrorCode::busy || code == ErrorCode::cannot_connect) && outcome == Outcome::not_applied,
       .outcome = outcome});
}

Error make_error(ErrorCode code, std::string message) {
  return Error(code, std::move(message),
               {.backend = std::string(backend_name),
                .native_code = 0,
                .sqlstate = {},
                .retryable = false,
                .outcome = Outcome::not_applied});
}

Error make_busy(std::string message) {
  return Error(ErrorCode::busy, std::move(message),
               {.backend = std::string(backend_name),
                .native_code = 0,
                .sqlstate = {},
                .retryable = true,
                .outcome = Outcome::not_applied});
}

bool is_duplicate_key(const Error& error) noexcept {
  return error.native_code() == 2627 || error.native_code() == 2601;
}

bool is_missing_reference(const Error& error) noexcept {
  return error.native_code() == 547;
}

bool is_lock_conflict(const Error& error) noexcept {
  return error.native_code() == 1205 || error.native_code() == 1222;
}

bool worth_another_try(const Error& error) noexcept {
  const int native = error.native_code();
  if (is_duplicate_key(error) || native == 1205 || native == 3960 || native == 51010) return true;
  return native == babelfish_unmapped && error.code() == ErrorCode::busy && !holds(error.message(), "lock timeout");
}

}  // namespace stele::mssql
