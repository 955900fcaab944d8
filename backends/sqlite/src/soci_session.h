// The SOCI session behind a connection. SOCI's headers put sqlite3.h into a namespace of their own, so only this file's
// source includes them.
#pragma once

#include <exception>
#include <memory>
#include <optional>
#include <string>

struct sqlite3;

namespace soci {
class session;
}

namespace stele::sqlite {

class SociSession {
 public:
  /// Opens `uri` (SQLite's file: form). Throws cannot_connect.
  explicit SociSession(const std::string& uri);
  SociSession(const SociSession&) = delete;
  SociSession& operator=(const SociSession&) = delete;
  ~SociSession();

  soci::session& soci() noexcept { return *session_; }
  sqlite3* handle() const noexcept { return handle_; }

 private:
  std::unique_ptr<soci::session> session_;
  sqlite3* handle_;
};

/// SQLite's result code behind an exception of SOCI.
std::optional<int> result_code_of(const std::exception& error);

}  // namespace stele::sqlite
