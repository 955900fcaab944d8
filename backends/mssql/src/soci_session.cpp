#include "soci_session.h"

#include <soci/odbc/soci-odbc.h>
#include <soci/soci.h>

#include <array>

#include "errors.h"
#include "statement.h"

namespace stele::mssql {
namespace {

Error cannot_connect(const Settings& settings, const soci::odbc_soci_error& error) {
  Diagnostic diagnostic = diagnostic_of(error);
  const bool no_driver = diagnostic.sqlstate.starts_with("IM") ||
                         (diagnostic.sqlstate == "01000" && diagnostic.message.find("open lib") != std::string::npos);
  if (no_driver) diagnostic.message += ". " + missing_driver_hint(settings.driver);
  const Error classified = make_error(diagnostic, false, "cannot connect", Outcome::not_applied);
  const ErrorCode code =
      classified.code() == ErrorCode::permission_denied ? ErrorCode::permission_denied : ErrorCode::cannot_connect;
  return Error(code, classified.message(),
               {.backend = std::string(backend_name),
                .native_code = classified.native_code(),
                .sqlstate = classified.sqlstate(),
                .retryable = !no_driver,
                .outcome = Outcome::not_applied});
}

}  // namespace

Diagnostic diagnostic_of(const soci::odbc_soci_error& error) {
  // Not what(): it may repeat the connection string.
  return {reinterpret_cast<const char*>(error.odbc_error_code()), static_cast<std::int32_t>(error.native_error_code()),
          without_origin(reinterpret_cast<const char*>(error.odbc_error_message())), 0};
}

SociSession::SociSession(const Settings& settings) {
  try {
    soci::connection_parameters parameters(soci::odbc, settings.connection);
    // Without it the driver might ask in a window for what is missing.
    parameters.set_option(soci::odbc_option_driver_complete, "0");
    session_ = std::make_unique<soci::session>(parameters);
  } catch (const soci::odbc_soci_error& error) {
    throw cannot_connect(settings, error);
  } catch (const soci::soci_error&) {
    throw make_error(ErrorCode::cannot_connect, "cannot connect");
  }
  handle_ = static_cast<soci::odbc_session_backend*>(session_->get_backend())->hdbc_;
  std::array<SQLCHAR, 64> name{};
  SQLSMALLINT length = 0;
  SQLGetInfo(handle_, SQL_DRIVER_NAME, name.data(), static_cast<SQLSMALLINT>(name.size()), &length);
  freetds_ = names_freetds(reinterpret_cast<const char*>(name.data()));
}

SociSession::~SociSession() = default;

}  // namespace stele::mssql
