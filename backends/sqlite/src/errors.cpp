#include "errors.h"

#include <sqlite3.h>

#include <string>

namespace stele::sqlite {
namespace {

ErrorCode classify(int extended_code) {
  switch (extended_code & 0xFF) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED: return ErrorCode::busy;
    case SQLITE_PERM:
    case SQLITE_AUTH:
    case SQLITE_READONLY: return ErrorCode::permission_denied;
    case SQLITE_CANTOPEN: return ErrorCode::cannot_connect;
    case SQLITE_FULL: return ErrorCode::disk_full;
    case SQLITE_IOERR:
    case SQLITE_PROTOCOL: return ErrorCode::io;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB: return ErrorCode::corrupt;
    case SQLITE_CONSTRAINT: return ErrorCode::rejected_by_database;
    case SQLITE_TOOBIG: return ErrorCode::too_large;
    default: return ErrorCode::internal;
  }
}

Error build(int extended_code, std::string message, Outcome outcome) {
  const ErrorCode code = classify(extended_code);
  return Error(code, std::move(message),
               {.backend = std::string(backend_name),
                .native_code = extended_code,
                .sqlstate = {},
                .retryable = code == ErrorCode::busy,
                .outcome = outcome});
}

}  // namespace

Error make_error(int extended_code, std::string_view doing, Outcome outcome) {
  return build(extended_code, std::string(doing) + ": " + sqlite3_errstr(extended_code), outcome);
}

void throw_error(sqlite3* db, std::string_view doing, Outcome outcome) {
  const int code = sqlite3_extended_errcode(db);
  std::string message = std::string(doing) + ": ";
  message +=
      (code & 0xFF) == SQLITE_CONSTRAINT || (code & 0xFF) == SQLITE_ERROR ? sqlite3_errmsg(db) : sqlite3_errstr(code);
  throw build(code, std::move(message), outcome);
}

Error make_error(ErrorCode code, std::string message) {
  return Error(code, std::move(message),
               {.backend = std::string(backend_name),
                .native_code = 0,
                .sqlstate = {},
                .retryable = false,
                .outcome = Outcome::not_applied});
}

}  // namespace stele::sqlite
