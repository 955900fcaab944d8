// The SOCI session behind a connection, and the PGconn behind that.
#pragma once

#include <memory>
#include <string>

struct pg_conn;

namespace soci {
class session;
}

namespace stele::postgres {

class SociSession {
 public:
  /// Connects. Throws cannot_connect.
  explicit SociSession(const std::string& conninfo);
  SociSession(const SociSession&) = delete;
  SociSession& operator=(const SociSession&) = delete;
  ~SociSession();

  soci::session& soci() noexcept { return *session_; }
  pg_conn* handle() const noexcept { return handle_; }

 private:
  std::unique_ptr<soci::session> session_;
  pg_conn* handle_;
};

}  // namespace stele::postgres
