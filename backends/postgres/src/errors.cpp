#include "errors.h"

#include <libpq-fe.h>

#include <string>

namespace stele::postgres {
namespace {

ErrorCode classify(std::string_view state) {
  const std::string_view kind = state.substr(0, 2);
  if (state == "40P01" || state == "40001" || state == "55P03" || state == "57014") return ErrorCode::busy;
  if (state == "53100") return ErrorCode::disk_full;
  if (state == "53200" || state == "53400" || kind == "53") return ErrorCode::busy;
  if (state == "42501" || state == "25006") return ErrorCode::permission_denied;
  if (state == "3F000" || state == "42P01" || state == "42883" || state == "42704") return ErrorCode::schema_outdated;
  if (state == "0A000") return ErrorCode::unsupported;
  if (state == "25P03" || state == "25P04") return ErrorCode::cannot_connect;  // It was left alone for too long.
  if (kind == "08" || kind == "28" || kind == "57" || state == "3D000") return ErrorCode::cannot_connect;
  if (kind == "58") return ErrorCode::io;
  if (kind == "XX") return state == "XX001" || state == "XX002" ? ErrorCode::corrupt : ErrorCode::internal;
  if (kind == "23" || kind == "22") return ErrorCode::rejected_by_database;
  if (kind == "54") return ErrorCode::too_large;
  return ErrorCode::internal;
}

std::string_view trimmed(const char* text) {
  std::string_view view = text == nullptr ? std::string_view() : std::string_view(text);
  while (!view.empty() && (view.back() == '\n' || view.back() == ' ')) view.remove_suffix(1);
  return view;
}

}  // namespace

Error make_error(const pg_conn* connection, const pg_result* result, std::string_view doing, Outcome outcome) {
  const char* state = result == nullptr ? nullptr : PQresultErrorField(result, PG_DIAG_SQLSTATE);
  std::string message = std::string(doing) + ": ";
  if (state == nullptr) {
    message += trimmed(PQerrorMessage(connection));
    return Error(ErrorCode::cannot_connect, std::move(message),
                 {.backend = std::string(backend_name),
                  .native_code = 0,
                  .sqlstate = {},
                  .retryable = outcome == Outcome::not_applied,
                  .outcome = outcome});
  }
  message += trimmed(PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY));
  return error_of_state(state, std::move(message), outcome);
}

Error error_of_state(const std::string& sqlstate, std::string message, Outcome outcome) {
  const ErrorCode code = classify(sqlstate);
  return Error(
      code, std::move(message),
      {.backend = std::string(backend_name),
       .native_code = 0,
       .sqlstate = sqlstate,
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

Error as_unknown(const Error& error) {
  return Error(error.code(), error.message(),
               {.backend = error.backend(),
                .native_code = 0,
                .sqlstate = error.sqlstate(),
                .retryable = false,
                .outcome = Outcome::unknown});
}

bool leaves_commit_open(const Error& error) noexcept {
  return error.sqlstate().empty() || error.sqlstate().starts_with("57P");
}

bool worth_another_try(const Error& error) {
  return error.sqlstate() == "40P01" || error.sqlstate() == "40001" || error.sqlstate() == "23505";
}

}  // namespace stele::postgres
