// The SOCI session behind a connection, and ODBC's handle behind that.
#pragma once

#include <memory>

#include "errors.h"
#include "settings.h"

namespace soci {
class odbc_soci_error;
class session;
}  // namespace soci

namespace stele::mssql {

/// What ODBC said, without the connection string.
Diagnostic diagnostic_of(const soci::odbc_soci_error& error);

/// It opens the connection and closes it. Stele's own statements do without SOCI's, which are for handlers of read
/// models: they cut what they read, and miss the errors of later results.
class SociSession {
 public:
  /// Connects. Throws cannot_connect.
  explicit SociSession(const Settings& settings);
  SociSession(const SociSession&) = delete;
  SociSession& operator=(const SociSession&) = delete;
  ~SociSession();

  soci::session& soci() noexcept { return *session_; }
  void* handle() const noexcept { return handle_; }
  bool is_freetds() const noexcept { return freetds_; }

 private:
  std::unique_ptr<soci::session> session_;
  void* handle_;
  bool freetds_;
};

}  // namespace stele::mssql
