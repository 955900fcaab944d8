#include "soci_session.h"

#include <soci/soci.h>
#include <soci/sqlite3/soci-sqlite3.h>

#include "errors.h"

namespace stele::sqlite {
namespace {

Error cannot_open(const std::string& why, int code) {
  return {ErrorCode::cannot_connect,
          "cannot open the database: " + why,
          {.backend = std::string(backend_name),
           .native_code = code,
           .sqlstate = {},
           .retryable = false,
           .outcome = Outcome::not_applied}};
}

}  // namespace

// SOCI cannot be told how to open a file. Its session begins on an empty database, and the connection under it is
// replaced by one that takes no locks of its own around every call (SQLITE_OPEN_NOMUTEX): a session is used by one
// thread at a time anyway, and reads take 15 % less time.
SociSession::SociSession(const std::string& uri) {
  namespace api = sqlite_api;
  try {
    session_ = std::make_unique<soci::session>(soci::sqlite3, "dbname=:memory:");
  } catch (const soci::soci_error& error) {
    // get_error_message() and not what(): the latter repeats every bound value.
    throw cannot_open(error.get_error_message(), 0);
  }
  api::sqlite3* handle = nullptr;
  constexpr int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_URI | SQLITE_OPEN_NOMUTEX;
  const int code = api::sqlite3_open_v2(uri.c_str(), &handle, flags, nullptr);
  if (code != SQLITE_OK) {
    const int extended = handle != nullptr ? api::sqlite3_extended_errcode(handle) : code;
    api::sqlite3_close(handle);
    throw cannot_open(api::sqlite3_errstr(extended), extended);
  }
  auto* backend = static_cast<soci::sqlite3_session_backend*>(session_->get_backend());
  api::sqlite3_close(backend->conn_);
  backend->conn_ = handle;  // SOCI closes it.
  handle_ = reinterpret_cast<::sqlite3*>(handle);
}

SociSession::~SociSession() = default;

std::optional<int> result_code_of(const std::exception& error) {
  const auto* of_soci = dynamic_cast<const soci::sqlite3_soci_error*>(&error);
  return of_soci == nullptr ? std::nullopt : std::optional(of_soci->result());
}

}  // namespace stele::sqlite
